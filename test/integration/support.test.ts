import { describe, expect, it } from 'vitest'
import { connect, startPrivateRedis, testPrefix } from '../support/redis.ts'

describe('the Redis of the tests', () => {
  it('is real and 7.0 or newer', async () => {
    expect(await connect().info('server')).toMatch(/redis_version:([7-9]|\d\d)\./)
  })

  it('gives each call a prefix of its own that KEY_PREFIX allows', () => {
    expect(testPrefix()).toMatch(/^[a-z0-9][a-z0-9-]{0,31}$/)
    expect(testPrefix()).not.toBe(testPrefix())
  })

  it('can be a private server that is killed and comes back with its data', async () => {
    const server = await startPrivateRedis({ args: ['--appendfsync', 'always'] })
    const redis = connect({}, server.url)
    await redis.set('kept', 'yes')
    await server.kill()
    await server.start()
    expect(await redis.get('kept')).toBe('yes')
    expect((await redis.config('GET', 'appendfsync')) as string[]).toContain('always')
  })
})
