/** The forms of REDIS_URL that need a server of their own: TLS, and a user who may do no more than is needed. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { openLab } from '../support/feed.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { freePort } from '../support/redis-process.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)

describe('a user with a password', () => {
  it('needs its own keys and channels, and no command that is dangerous but INFO', async () => {
    const server = await startPrivateRedis()
    const admin = connect({}, server.url)
    const prefix = 'acl-test'
    const url = server.url.replace('//', '//set%3Astream:p%40ss%2Fword@')
    await admin.acl(
      ...(['SETUSER', 'set:stream', 'on', '>p@ss/word', 'resetkeys', 'resetchannels'] as const),
      ...[`~${prefix}:*`, `~{${prefix}:*`, `&${prefix}:*`, `&{${prefix}:*`, '+@all', '-@admin', '-@dangerous', '+info'],
    )
    await admin.acl('SETUSER', 'default', 'off')
    const lab = await openLab({ REDIS_URL: url, KEY_PREFIX: prefix }, ['public', 'internal', 'workers'])
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const [held] = await feed.hold()
    const jti = await feed.publish()
    expect((await held)?.jtis).toEqual([jti])
    await until('a worker makes it owed again', async () => (await feed.stats()).owedAgain === 1, 10_000)
    expect((await feed.pollNow({ ack: [jti] })).jtis).toEqual([])
    await feed.publish()
    await feed.report((await feed.pollNow()).jtis)
    expect((await feed.admin('DELETE', '?force=true')).status).toBe(204)
    expect(await admin.acl('LOG')).toEqual([])
  })

  it('of a wrong password is 503, and never in what is answered or thrown', async () => {
    const server = await startPrivateRedis({ args: ['--requirepass', 'right'] })
    const url = server.url.replace('//', '//:a-wrong-secret@')
    const lab = await openLab({ REDIS_URL: url }).catch((error: Error) => error)
    if (lab instanceof Error) expect(lab.message).not.toContain('a-wrong-secret')
    else {
      const response = await fetch(`${lab.transmitter.internalUrl}/v1/receivers`, {
        headers: { authorization: `Bearer ${lab.transmitter.adminToken}` },
      })
      expect(response.status).toBe(503)
      expect(await response.text()).not.toContain('a-wrong-secret')
    }
  })
})

describe('rediss://', () => {
  it('is TLS, and the certificate is verified', async () => {
    const server = await startPrivateRedis()
    const { directory } = server
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
      ...[
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=IP:127.0.0.1,DNS:localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ],
    ])
    const admin = connect({}, server.url)
    await admin.config(
      'SET',
      'tls-cert-file',
      cert,
      'tls-key-file',
      key,
      'tls-ca-cert-file',
      cert,
      'tls-auth-clients',
      'no',
    )
    const tlsPort = await freePort()
    await admin.config('SET', 'tls-port', tlsPort)
    const url = `rediss://127.0.0.1:${tlsPort}`
    const lab = await openLab({ REDIS_URL: server.url })
    const feed = await lab.feed()
    const trusting = await lab.spawn(['public', 'internal'], { REDIS_URL: url, NODE_EXTRA_CA_CERTS: cert })
    const [held] = await feed.hold({}, { at: trusting })
    const { status } = await feed.tryPublish({ id: 'over TLS' }, trusting as never)
    expect(status).toBe(202)
    expect((await held)?.jtis).toHaveLength(1)
    // Without the authority it is not talked to.
    const wary = await lab.spawn(['internal'], { REDIS_URL: url })
    expect((await fetch(`${wary.internalUrl}/readyz`)).status).toBe(503)
  })
})

describe('a REDIS_URL', () => {
  it.for([
    ['redis://', /REDIS_URL/],
    ['http://127.0.0.1', /REDIS_URL/],
    ['redis://host/x', /database/],
    ['redis://a:%zz@host', /percent-encoded/],
    ['redis+sentinel://h1,h2', /master/],
    ['redis+cluster://h1,h2/1', /one database/],
    ['redis://ho:st:1', /host/],
  ] as const)('%s is refused, and not repeated', ([url, why]) => {
    expect(() => parseRedisUrl(readConfig({ REDIS_URL: url }).REDIS_URL ?? '')).toThrow(why)
  })
})
