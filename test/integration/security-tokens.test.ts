/** Opaque tokens: several per receiver, expiry, revocation on every process, last use, and what they cost Redis. */
import { beforeAll, describe, expect, it } from 'vitest'
import { newToken } from '../../src/delivery/tokens.ts'
import { keysFor } from '../../src/store/keys.ts'
import { sha256Of } from '../../src/store/token-store.ts'
import { ask } from '../support/http.ts'
import { commandsDuring } from '../support/monitor.ts'
import { connect, testPrefix } from '../support/redis.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const EVENT = { events: { 'https://schemas.example/event/happened': {} } }
const NOW = { returnImmediately: true }

interface Made {
  readonly token: string
  readonly tokenId: string
}

const prefix = testPrefix()
const keys = keysFor(prefix)
let one: TestTransmitter
let two: TestTransmitter
beforeAll(async () => {
  one = await startTransmitter({ KEY_PREFIX: prefix, RATE_LIMIT_POLL: '0' })
  two = await startTransmitter({ KEY_PREFIX: prefix, RATE_LIMIT_POLL: '0', KEYS_DIR: one.keysDir }, [
    'public',
    'internal',
  ])
  await one.addReceiver('r1')
})

const make = (input: Record<string, unknown> = { scope: 'poll', receiver: 'r1' }) =>
  one.admin<Made>('POST', '/v1/tokens', input)
const poll = (at: TestTransmitter, token: string) => ask(`${at.publicUrl}/receivers/r1/poll`, { token, body: NOW })
const listed = async (tokenId: string) => {
  const { items } = await one.admin<{ items: { tokenId: string; lastUsedAt?: string }[] }>(
    'GET',
    '/v1/tokens?limit=1000',
  )
  return items.find(item => item.tokenId === tokenId)
}
const isLookUp = ([command, key]: readonly string[]) => /^hmget$/i.test(command ?? '') && key?.includes(':token:')

describe('a token', () => {
  it('stands beside others of the same receiver, so that they can be exchanged without a gap', async () => {
    const [old, next] = [await make(), await make()]
    for (const { token } of [old, next]) expect((await poll(one, token)).status).toBe(200)
    await one.admin('DELETE', `/v1/tokens/${old.tokenId}`)
    expect((await poll(one, old.token)).status).toBe(401)
    expect((await poll(one, next.token)).status).toBe(200)
  })

  it('works at once on every process', async () => {
    expect((await poll(two, (await make()).token)).status).toBe(200)
  })

  it('is worthless on every process within a second after it was revoked', async () => {
    for (let round = 0; round < 3; round++) {
      const { token, tokenId } = await make()
      expect((await poll(two, token)).status).toBe(200)
      await one.admin('DELETE', `/v1/tokens/${tokenId}`)
      const sinceMs = performance.now()
      expect((await poll(one, token)).status).toBe(401)
      await until('the refusal', async () => (await poll(two, token)).status === 401)
      expect(performance.now() - sinceMs).toBeLessThan(1000)
    }
  })

  it('is gone for good once it was revoked, also for those who are told twice', async () => {
    const { tokenId } = await make()
    await one.admin('DELETE', `/v1/tokens/${tokenId}`)
    expect(await listed(tokenId)).toBeUndefined()
    await expect(one.admin('DELETE', `/v1/tokens/${tokenId}`)).rejects.toThrow('404')
  })

  it('expires on its own, and leaves the list', async () => {
    const { token, tokenId } = await make({ scope: 'poll', receiver: 'r1', expiresInSeconds: 1 })
    expect((await poll(one, token)).status).toBe(200)
    await until('expiry', async () => (await poll(one, token)).status === 401)
    const redis = connect()
    // Redis forgets it a day later.
    await redis.del(keys.token(sha256Of(token)))
    expect(await listed(tokenId)).toBeUndefined()
    expect(await redis.zscore(keys.tokens, sha256Of(token))).toBeNull()
  })

  it('is kept as a hash only, and shown once', async () => {
    const { token, tokenId } = await make({ scope: 'read', description: 'for the dashboard' })
    const redis = connect()
    const found: string[] = []
    for await (const names of redis.scanStream({ match: `${prefix}:*`, count: 1000 }))
      found.push(...(names as string[]))
    const values = await Promise.all(
      found.map(async key => {
        const kind = await redis.type(key)
        if (kind === 'hash') return JSON.stringify(await redis.hgetall(key))
        if (kind === 'stream') return JSON.stringify(await redis.xrange(key, '-', '+'))
        return kind === 'zset' ? JSON.stringify(await redis.zrange(key, '0', '-1')) : ''
      }),
    )
    expect(values.join()).toContain(tokenId)
    expect(found.join() + values.join()).not.toContain(token.slice(4))
    expect(JSON.stringify(await listed(tokenId))).not.toContain(token.slice(4, 20))
  })

  it('can be told from a stranger without a look-up, by its checksum', async () => {
    const mistyped = newToken().replace(/.$/, last => (last === '0' ? '1' : '0'))
    const commands = await commandsDuring(prefix, async () => {
      for (const token of [
        mistyped,
        'sst_',
        'sst_short',
        newToken().slice(0, -1),
        `${newToken()}x`,
        'eyJhbGciOiJub25lIn0.e30.',
      ]) {
        expect((await poll(two, token)).status).toBe(401)
      }
    })
    expect(commands.filter(isLookUp)).toEqual([])
  })

  it('that was made up is looked up once', async () => {
    const token = newToken()
    const commands = await commandsDuring(prefix, async () => {
      for (let i = 0; i < 20; i++) expect((await poll(two, token)).status).toBe(401)
    })
    expect(commands.filter(isLookUp).length).toBe(1)
  })
})

describe('in the steady state', () => {
  /** A process that was stopped for a second bypasses its caches, as it should: that is not the steady state. */
  const steadily = (what: string, isSteady: () => Promise<boolean>) => until(what, isSteady, 15_000)

  it('a poll asks Redis once, and nothing of it for its token', async () => {
    const { token } = await make()
    await poll(two, token)
    const commands = await commandsDuring(`${prefix}:{r1}`, async () => {
      for (let i = 0; i < 50; i++) expect((await poll(two, token)).status).toBe(200)
    })
    const scripts = commands.filter(([command]) => /^evalsha$/i.test(command ?? ''))
    expect(scripts.length).toBe(50)
    await steadily('50 polls without a look-up', async () => {
      const others = await commandsDuring(prefix, async () => {
        for (let i = 0; i < 50; i++) await poll(two, token)
      })
      return !others.some(isLookUp)
    })
  })

  it('a publish asks Redis nothing for its token', async () => {
    const token = await one.publishToken('steady')
    const publish = () => ask(`${one.internalUrl}/v1/events`, { token, body: { ...EVENT, receivers: ['r1'] } })
    await publish()
    await steadily('20 publish calls without a look-up', async () => {
      const commands = await commandsDuring(prefix, async () => {
        for (let i = 0; i < 20; i++) expect((await publish()).status).toBe(202)
      })
      return !commands.some(isLookUp)
    })
  })
})

describe('the last use of a token', () => {
  it('is told, coarsely', async () => {
    const { token, tokenId } = await make()
    expect(await listed(tokenId)).not.toHaveProperty('lastUsedAt')
    const beforeMs = Date.now()
    await poll(two, token)
    const usedAt = await until('the note', async () => (await listed(tokenId))?.lastUsedAt)
    expect(Math.abs(Date.parse(usedAt) - beforeMs)).toBeLessThan(10_000)
  })

  it('is written once for any number of uses on any number of processes', async () => {
    const { token, tokenId } = await make()
    const commands = await commandsDuring(keys.token(sha256Of(token)), async () => {
      for (let i = 0; i < 25; i++) await Promise.all([poll(one, token), poll(two, token)])
      await until('the note', async () => (await listed(tokenId))?.lastUsedAt)
    })
    // Each process reports once, and the script lets the first of them write.
    const reports = commands.filter(([command]) => /^evalsha$/i.test(command ?? ''))
    expect(reports.length).toBeLessThanOrEqual(2)
    const redis = connect()
    const key = keys.token(sha256Of(token))
    const usedAt = await redis.hget(key, 'usedAt')
    await two.stop()
    expect(await redis.hget(key, 'usedAt')).toBe(usedAt)
  })

  it('does not bring a revoked token back', async () => {
    const { token, tokenId } = await make()
    await poll(one, token)
    await one.admin('DELETE', `/v1/tokens/${tokenId}`)
    const { token: later, tokenId: laterId } = await make()
    await poll(one, later)
    await until('a later note', async () => (await listed(laterId))?.lastUsedAt)
    expect(await connect().exists(keys.token(sha256Of(token)))).toBe(0)
  })
})
