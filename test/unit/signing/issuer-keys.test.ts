import { jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { IssuerKeys, IssuerUnavailable } from '../../../src/signing/issuer-keys.ts'
import { type OAuthIssuer, startIssuer } from '../../support/oauth-issuer.ts'

const MINUTE = 60_000
const METADATA = '/.well-known/oauth-authorization-server'

let issuer: OAuthIssuer
const troubles: unknown[] = []
const started: IssuerKeys[] = []
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
  issuer = await startIssuer()
})
afterEach(async () => {
  for (const keys of started.splice(0)) keys.stop()
  troubles.length = 0
  vi.useRealTimers()
  await issuer.stop()
})

const open = (name = issuer.issuer) => new IssuerKeys(name, error => troubles.push(error))
const verify = async (keys: IssuerKeys, token: string) => (await jwtVerify(token, keys.keyFor)).payload
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)

describe('keys of an issuer', () => {
  it('are found through its metadata, once for any number of tokens', async () => {
    const keys = open()
    const tokens = await Promise.all([issuer.accessToken(), issuer.accessToken(), issuer.accessToken()])
    await Promise.all(tokens.map(token => verify(keys, token)))
    await verify(keys, await issuer.accessToken())
    expect(issuer.asked).toEqual([METADATA, '/keys'])
  })

  it('are found at the places of RFC 8414 and of OpenID Connect for an issuer with a path', async () => {
    await issuer.stop()
    issuer = await startIssuer('/tenant')
    const { jwks_uri, ...metadata } = { issuer: issuer.issuer, jwks_uri: `${new URL(issuer.issuer).origin}/keys` }
    issuer.answer = (request, response) => {
      if (request.url === '/tenant/.well-known/openid-configuration')
        response.end(JSON.stringify({ ...metadata, jwks_uri }))
      else if (request.url === '/keys') response.end(JSON.stringify({ keys: [issuer.publicJwk('key-1')] }))
      else response.writeHead(404).end()
    }
    await verify(open(), await issuer.accessToken())
    expect(issuer.asked).toEqual([`${METADATA}/tenant`, '/tenant/.well-known/openid-configuration', '/keys'])
  })

  it('follow the issuer when a token names a new one, at most twice a minute', async () => {
    const keys = open()
    await verify(keys, await issuer.accessToken())
    await issuer.addKey()
    const token = await issuer.accessToken()
    await expect(verify(keys, token)).rejects.toThrow('no applicable key')
    expect(issuer.asked.length).toBe(2)
    pass(31_000)
    await verify(keys, token)
    for (let i = 0; i < 20; i++) {
      const unknown = await issuer.sign({ typ: 'at+jwt', kid: `made-up-${i}` }, {})
      await expect(verify(keys, unknown)).rejects.toThrow('no applicable key')
    }
    expect(issuer.asked.length).toBe(3)
  })

  it('no longer count soon after the issuer has taken them away', async () => {
    const keys = open()
    keys.start()
    started.push(keys)
    const token = await issuer.accessToken()
    await verify(keys, token)
    await issuer.addKey()
    issuer.removeKey('key-1')
    vi.advanceTimersByTime(5 * MINUTE)
    await vi.waitFor(() => expect(verify(keys, token)).rejects.toThrow('no applicable key'))
  })

  it('go on while the issuer is away, but not for ever', async () => {
    const keys = open()
    const token = await issuer.accessToken({ exp: Math.floor(Date.now() / 1000) + 10 * 86_400 })
    await verify(keys, token)
    const newer = await issuer.addKey()
    const unknown = await issuer.accessToken({}, {}, newer)
    await issuer.stop()
    pass(23 * 60 * MINUTE)
    await verify(keys, token)
    await expect(verify(keys, unknown)).rejects.toThrow(IssuerUnavailable)
    pass(2 * 60 * MINUTE)
    await expect(verify(keys, token)).rejects.toThrow(IssuerUnavailable)
    await issuer.start()
    pass(MINUTE)
    await verify(keys, token)
  })

  it('are not asked for again at once after a failure, whatever comes in', async () => {
    issuer.answer = (_, response) => response.writeHead(500).end()
    const keys = open()
    const token = await issuer.accessToken()
    for (let i = 0; i < 20; i++) await expect(verify(keys, token)).rejects.toThrow(IssuerUnavailable)
    expect(issuer.asked.length).toBe(2)
    issuer.answer = undefined
    pass(6000)
    await verify(keys, token)
  })

  it('tell whoever started them that a refresh has failed', async () => {
    await issuer.stop()
    const keys = open()
    keys.start()
    started.push(keys)
    await vi.waitFor(() => expect(troubles.length).toBe(1))
  })
})

describe('an issuer is not believed', () => {
  const metadata = (document: Record<string, unknown>) => {
    issuer.answer = (request, response) => {
      const isMetadata = request.url?.startsWith('/.well-known/')
      response.end(JSON.stringify(isMetadata ? document : { keys: [issuer.publicJwk('key-1')] }))
    }
  }
  const refused = async () => {
    await expect(verify(open(), await issuer.accessToken())).rejects.toThrow(IssuerUnavailable)
    expect(issuer.asked.filter(path => !path.startsWith('/.well-known/'))).toEqual([])
  }

  it('whose metadata speak for another', async () => {
    metadata({ issuer: `${issuer.issuer}/`, jwks_uri: `${issuer.issuer}/keys` })
    await refused()
  })

  it.each(['http://keys.example/', 'file:///etc/passwd', 'http://127.0.0.1.evil.example/', undefined, 7])(
    'whose keys are at %j',
    async uri => {
      metadata({ issuer: issuer.issuer, jwks_uri: uri })
      await refused()
    },
  )

  it('that sends us elsewhere', async () => {
    issuer.answer = (_, response) => response.writeHead(302, { location: `${issuer.issuer}/keys` }).end()
    await refused()
  })

  it('that answers without end', async () => {
    issuer.answer = (_, response) => {
      const more = () => {
        while (response.write(Buffer.alloc(65_536, 32)));
      }
      response.on('drain', more)
      more()
    }
    await refused()
  })
})
