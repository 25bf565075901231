/** Traces: one per SET, over all processes it passes through; and nothing of them where they are not asked for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { HAPPENED } from '../support/foreign-set.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { redisUrl, testPrefix } from '../support/redis.ts'
import { until } from '../support/until.ts'

const collector = await startOtlpReceiver()
const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }

it('links publish, delivery and acknowledgement of a SET by its jti, and says its txn', async () => {
  const lab = await openLab(env, ['internal'])
  const front = await lab.another({}, ['public'])
  const feed = await lab.feed()
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const response = await fetch(`${lab.transmitter.internalUrl}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${lab.transmitter.adminToken}`,
      'content-type': 'application/json',
      traceparent,
    },
    body: JSON.stringify({ id: 'traced', txn: 'txn-4711', receivers: [feed.id], events: { [HAPPENED]: {} } }),
  })
  const { deliveries } = (await response.json()) as { deliveries: { jti: string }[] }
  const jti = deliveries[0]?.jti as string
  // Repeated, it queues no second SET, and there is no second span.
  await feed.publish('traced', { txn: 'txn-4711' })
  expect((await feed.pollNow({}, { at: front })).jtis).toEqual([jti])
  await feed.ack([jti], { at: front })
  await front.stop()
  await lab.transmitter.stop()

  const spans = collector.spans.filter(({ attributes }) => attributes['messaging.message.id'] === jti)
  expect(spans.map(({ name }) => name).sort()).toEqual([
    `acknowledge ${feed.id}`,
    `deliver ${feed.id}`,
    `publish ${feed.id}`,
  ])
  const [acknowledged, delivered, published] = ['acknowledge', 'deliver', 'publish'].map(operation =>
    spans.find(({ attributes }) => attributes['messaging.operation.name'] === operation),
  )
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
  expect(published?.parentId).toBe('')
  expect(delivered?.parentId).toBe(published?.spanId)
  expect(acknowledged?.parentId).toBe(published?.spanId)
  expect(published?.attributes['setstream.txn']).toBe('txn-4711')
  expect(delivered?.attributes).toMatchObject({ 'setstream.txn': 'txn-4711', 'setstream.attempt': 1 })
  expect(published?.links).toEqual([{ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }])
})

it('says of a refused SET by which code, and holds nothing of the token or its subject', async () => {
  const lab = await openLab(env)
  const feed = await lab.feed()
  const jti = await feed.publish('refused', { sub_id: { format: 'email', email: 'marker@example.com' } })
  await feed.pollNow()
  await feed.report([jti], { err: 'vendor_thing', description: 'marker' })
  await lab.transmitter.stop()
  const spans = collector.spans.filter(({ attributes }) => attributes['messaging.message.id'] === jti)
  const report = spans.find(({ attributes }) => attributes['messaging.operation.name'] === 'report')
  expect(report).toMatchObject({ isError: true, attributes: { 'error.type': 'other' } })
  expect(JSON.stringify(collector.spans)).not.toContain('marker')
})

it('leaves out whole SETs where only a share is traced', async () => {
  const lab = await openLab({ ...env, OTEL_TRACES_SAMPLER_ARG: '0.5' })
  const feed = await lab.feed()
  const jtis = await feed.publishMany(100)
  await feed.pollNow()
  await feed.ack(jtis)
  await lab.transmitter.stop()
  const bySet = Map.groupBy(
    collector.spans.filter(({ attributes }) => attributes['messaging.destination.name'] === feed.id),
    ({ attributes }) => attributes['messaging.message.id'],
  )
  expect(bySet.size).toBeGreaterThan(20)
  expect(bySet.size).toBeLessThan(80)
  for (const spans of bySet.values()) expect(spans).toHaveLength(3)
})

it('delivers as ever while the collector is away', async () => {
  const lab = await openLab({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
  const feed = await lab.feed()
  const jti = await feed.publish()
  expect((await feed.pollNow()).jtis).toEqual([jti])
  await feed.ack([jti])
  await lab.transmitter.stop()
})

it('loads nothing of it where there is no endpoint', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-test-'))
  const loaded = async (more: Record<string, string>) => {
    const child = spawn(
      process.execPath,
      [
        '--import',
        hooks,
        fileURLToPath(new URL('../../src/cli.ts', import.meta.url)),
        'serve',
        '--roles',
        'public,workers',
      ],
      {
        env: {
          ...process.env,
          REDIS_URL: redisUrl(),
          KEY_PREFIX: testPrefix(),
          DATA_DIR: dataDir,
          PUBLIC_LISTEN: '127.0.0.1:0',
          OPS_LISTEN: '127.0.0.1:0',
          ...more,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let out = ''
    child.stdout.on('data', chunk => {
      out += chunk
    })
    let err = ''
    child.stderr.on('data', chunk => {
      err += chunk
    })
    await until('it listens', () => out.includes('listening'), 15_000)
    child.kill('SIGTERM')
    await once(child, 'close')
    return [...err.matchAll(/^loaded (\S+)$/gm)].map(([, specifier]) => specifier)
  }
  try {
    expect(await loaded({})).toEqual([])
    expect(await loaded(env)).toContain('@opentelemetry/sdk-trace')
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
})

/** Says which packages of OpenTelemetry are loaded, other than its bare interface, which the metrics library brings. */
const hooks = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(specifier, context, next) {
      if (/^@opentelemetry\\/(?!api)/.test(specifier)) process.stderr.write('loaded ' + specifier + '\\n')
      return next(specifier, context)
    },
  })
`)}`
