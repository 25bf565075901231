/** What the console is served as, and who sees the queues. What it does in a browser: test/console. */
import { beforeAll, describe, expect, it } from 'vitest'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'

let transmitter: TestTransmitter
let readToken: string

beforeAll(async () => {
  transmitter = await startTransmitter()
  const made = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', { scope: 'read' })
  readToken = made.token
})

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  return fetch(transmitter.internalUrl + path, { method, headers, redirect: 'manual' })
}

describe('the files of the console', () => {
  it('come without a token, each with its type, and are all there', async () => {
    const seen = new Map<string, string | null>()
    const waiting = ['/console/']
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (seen.has(path)) continue
      const response = await get(path)
      expect(response.status, path).toBe(200)
      seen.set(path, response.headers.get('content-type'))
      const text = await response.text()
      const base = new URL(path, transmitter.internalUrl)
      const names = path.endsWith('.js')
        ? [...text.matchAll(/from ['"](\.[^'"]+)['"]/g)]
        : path.endsWith('/')
          ? [...text.matchAll(/(?:src|href)="([^"]+)"/g)]
          : []
      for (const [, name] of names) waiting.push(new URL(name as string, base).pathname)
    }
    expect(seen.get('/console/')).toBe('text/html; charset=utf-8')
    expect(seen.get('/console/main.js')).toBe('text/javascript; charset=utf-8')
    expect(seen.get('/console/vendor/preact.js')).toBe('text/javascript; charset=utf-8')
    expect(seen.get('/console/vendor/uplot.js')).toBe('text/javascript; charset=utf-8')
    expect(seen.get('/console/style.css')).toBe('text/css; charset=utf-8')
    expect(seen.get('/console/icon.svg')).toBe('image/svg+xml')
    expect(seen.size).toBeGreaterThan(25)
  })

  it('are under a policy that lets nothing else run, be asked, or frame them', async () => {
    for (const path of ['/console/', '/console/main.js', '/docs/', '/openapi.json']) {
      const { headers } = await get(path)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self';")
      expect(policy).toContain("style-src 'self';")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/unsafe|https?:|\*/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
    }
    const page = await (await get('/console/')).text()
    expect(page).not.toMatch(/<style|style=|<script(?![^>]*src=)|\son\w+=/i)
  })

  it('are asked for again each time, and sent again only when they changed', async () => {
    const first = await get('/console/style.css')
    expect(first.headers.get('cache-control')).toBe('no-cache')
    const etag = first.headers.get('etag') ?? ''
    expect((await get('/console/style.css', { 'if-none-match': etag })).status).toBe(304)
    expect((await get('/console/style.css', { 'if-none-match': '"other"' })).status).toBe(200)
  })

  it('are those and no others', async () => {
    for (const path of [
      '/console/../errors.ts',
      '/console/%2e%2e/errors.ts',
      '/console/tsconfig.json',
      '/console/types.d.ts',
    ]) {
      expect((await get(path)).status, path).toBe(404)
    }
  })

  it('are found from the address without its last slash', async () => {
    const response = await get('/console')
    expect(response.status).toBe(308)
    expect(new URL(response.headers.get('location') ?? '', response.url).pathname).toBe('/console/')
  })

  it('are not on the listener that receivers see', async () => {
    for (const path of ['/console/', '/docs/', '/openapi.json', '/console/queues/']) {
      expect((await fetch(transmitter.publicUrl + path)).status, path).toBe(404)
    }
  })
})

describe('the queues', () => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const page = { accept: 'text/html' }

  async function cookie(): Promise<string> {
    const response = await get('/console/queues/session', bearer(transmitter.adminToken), 'POST')
    expect(response.status).toBe(204)
    return response.headers.get('set-cookie') ?? ''
  }

  it('are opened by a cookie that no script sees and no other page is sent', async () => {
    const set = await cookie()
    expect(set).toMatch(/; Path=\/console\/queues; Max-Age=\d+; HttpOnly; SameSite=Strict$/)
    const [pair = ''] = set.split(';')
    const opened = await get('/console/queues/', { ...page, cookie: pair })
    expect(opened.status).toBe(200)
    expect(opened.headers.get('content-security-policy')).toContain("script-src 'self'")
    const queues = await (await get('/console/queues/api/queues', { cookie: pair })).json()
    const names = (queues as { queues: { name: string; readOnlyMode: boolean }[] }).queues
    expect(names.map(({ name }) => name).sort()).toEqual(['redelivery', 'retention', 'set-errors'])
    expect(names.every(({ readOnlyMode }) => readOnlyMode)).toBe(true)
  })

  it('give the cookie, and show themselves, to administrators only', async () => {
    expect((await get('/console/queues/session', bearer(readToken), 'POST')).status).toBe(403)
    expect((await get('/console/queues/session', {}, 'POST')).status).toBe(401)
    expect((await get('/console/queues/api/queues', bearer(readToken))).status).toBe(403)
    const refused = await get('/console/queues/api/queues')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('content-type')).toContain('application/problem+json')
    const forged = Buffer.from('sst_forged').toString('base64url')
    expect((await get('/console/queues/api/queues', { cookie: `setstream_queues=${forged}` })).status).toBe(401)
  })

  it('send who opens them without a cookie to the console', async () => {
    const response = await get('/console/queues/', page)
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe('/console/')
  })

  it('are not changed from here, by nobody', async () => {
    const [pair = ''] = (await cookie()).split(';')
    for (const [method, path] of [
      ['PUT', '/console/queues/api/queues/retention/pause'],
      ['PUT', '/console/queues/api/queues/retention/empty'],
      ['POST', '/console/queues/api/queues/retention/add'],
    ] as const) {
      const response = await get(path, { cookie: pair }, method)
      expect(response.status, path).toBe(403)
    }
  })

  it('cookie is no credential elsewhere', async () => {
    const [pair = ''] = (await cookie()).split(';')
    expect((await get('/v1/receivers', { cookie: pair })).status).toBe(401)
  })

  it('mark it for TLS only where the browser came over it', async () => {
    const headers = { ...bearer(transmitter.adminToken), 'x-forwarded-proto': 'https' }
    const response = await get('/console/queues/session', headers, 'POST')
    expect(response.headers.get('set-cookie')).toMatch(/; Secure$/)
  })

  it('end the cookie on request', async () => {
    const response = await get('/console/queues/session', {}, 'DELETE')
    expect(response.headers.get('set-cookie')).toMatch(/^setstream_queues=; .*Max-Age=0/)
  })
})
