/**
 * A real Prometheus scrapes a real transmitter with ops/prometheus/: its rules are healthy, and every query of the
 * dashboards finds something, so that no panel stays empty. PROMETHEUS and PROMTOOL name the programs.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { panelQueries } from '../support/dashboards.ts'
import { callAdmin, openLab } from '../support/feed.ts'
import { HAPPENED } from '../support/foreign-set.ts'
import { startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

/** Without TLS there is no certificate to tell of. */
const EMPTY_HERE = ['setstream_tls_certificate_expiry_timestamp_seconds']

const redis = await startPrivateRedis({ args: ['--maxmemory', '256mb'] })
const env = { REDIS_URL: redis.url, METRICS_SNAPSHOT_MS: '500', RATE_LIMIT_POLL: '0' }
const lab = await openLab(env, ['public', 'internal', 'workers'])
const feed = await lab.feed({ settings: { sloMs: 60_000 } })
const prometheus = await startPrometheus(lab.transmitter.opsUrl)

async function startPrometheus(opsUrl: string) {
  const directory = await mkdtemp(join(tmpdir(), 'setstream-prometheus-'))
  const rules = join(directory, 'setstream.rules.yml')
  await copyFile(new URL('../../ops/prometheus/setstream.rules.yml', import.meta.url), rules)
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [rules],
    scrape_configs: [{ job_name: 'setstream', static_configs: [{ targets: [new URL(opsUrl).host] }] }],
  }
  const file = join(directory, 'prometheus.yml')
  await writeFile(file, JSON.stringify(config))
  const child: ChildProcess = spawn(
    process.env.PROMETHEUS as string,
    [`--config.file=${file}`, `--storage.tsdb.path=${join(directory, 'data')}`, '--web.listen-address=127.0.0.1:0'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr?.on('data', chunk => {
    log += chunk
  })
  afterAll(async () => {
    const gone = once(child, 'close')
    child.kill('SIGTERM')
    await gone
    await rm(directory, { recursive: true, force: true })
  })
  const address = await until('Prometheus listens', () => /"Listening on" address=(\S+)/.exec(log)?.[1], 30_000).catch(
    () => {
      throw new Error(`Prometheus does not listen:\n${log}`)
    },
  )
  const url = `http://${address}`
  await until(
    'Prometheus is ready',
    () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    30_000,
  )
  // biome-ignore lint/suspicious/noExplicitAny: Prometheus's own answers.
  const get = async (path: string): Promise<any> => (await fetch(`${url}/api/v1/${path}`)).json()
  return { get, query: (expr: string) => get(`query?query=${encodeURIComponent(expr)}`) }
}

/** Something of everything there is to count. */
async function useIt(): Promise<void> {
  const jtis = await feed.publishMany(4)
  await feed.pollNow({ acks: [] })
  await feed.report(jtis.slice(0, 1))
  await feed.ack(jtis.slice(1, 3))
  await callAdmin(lab.transmitter, 'POST', '/v1/events', { events: { [HAPPENED]: {} }, nonsense: true })
}

describe('Prometheus', () => {
  it('takes the rules, and reads what the transmitter exports without a complaint', async () => {
    await until(
      'it has scraped',
      async () => (await prometheus.query('up{job="setstream"}')).data.result[0]?.value[1] === '1',
      30_000,
    )
    const { data } = await prometheus.get('rules')
    const rules = data.groups.flatMap(({ rules }: { rules: unknown[] }) => rules)
    expect(rules.length).toBeGreaterThan(20)
    await until(
      'every rule was evaluated',
      async () =>
        (await prometheus.get('rules')).data.groups.every(({ rules }: { rules: { health: string }[] }) =>
          rules.every(({ health }) => health === 'ok'),
        ),
      30_000,
    )
  })

  it('finds something for every query of the dashboards', async () => {
    const values = { __rate_interval: '10s', receiver: feed.id }
    const queries = panelQueries(values).filter(({ expr }) => !EMPTY_HERE.some(name => expr.includes(name)))
    expect(queries.length).toBeGreaterThan(50)
    const empty = async () => {
      await useIt()
      const answers = await Promise.all(
        queries.map(async ({ dashboard, panel, expr }) => {
          const { status, error, data } = await prometheus.query(expr)
          expect(error, expr).toBeUndefined()
          expect(status).toBe('success')
          return data.result.length === 0 ? `${dashboard}: ${panel}: ${expr}` : undefined
        }),
      )
      return answers.filter(answer => answer !== undefined)
    }
    let left: string[] = []
    await until(
      'nothing is empty',
      async () => {
        left = await empty()
        return left.length === 0
      },
      40_000,
    ).catch(() => {})
    expect(left).toEqual([])
  })
})

describe('promtool', () => {
  it('finds nothing to mend in our own metrics', async () => {
    const text = await (await fetch(`${lab.transmitter.opsUrl}/metrics`)).text()
    const ours = text.split('\n').filter(line => /^(# (HELP|TYPE) )?setstream_/.test(line))
    const { stdout, stderr, status } = spawnSync(process.env.PROMTOOL as string, ['check', 'metrics'], {
      input: `${ours.join('\n')}\n`,
      encoding: 'utf8',
    })
    expect([stdout, stderr]).toEqual(['', ''])
    expect(status).toBe(0)
  })

  it('takes prometheus.yml as it is mounted in docker-compose.yml', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'setstream-prometheus-'))
    try {
      const from = (name: string) => fileURLToPath(new URL(`../../ops/prometheus/${name}`, import.meta.url))
      const config = join(directory, 'prometheus.yml')
      await copyFile(from('prometheus.yml'), config)
      await writeFile(config, (await readFile(config, 'utf8')).replace('/etc/prometheus/', `${from('')}`))
      const { stdout, status } = spawnSync(process.env.PROMTOOL as string, ['check', 'config', config], {
        encoding: 'utf8',
      })
      expect([status, stdout]).toEqual([0, expect.stringContaining('rules found')])
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
