/** Options are checked when a client is made, so that a mistake shows at start and not at the first event. */

/** @throws {TypeError} */
export function count(name: string, value: number, maximum: number = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isInteger(value) || value < 1 || value > maximum) {
    const range = maximum === Number.MAX_SAFE_INTEGER ? 'above 0' : `from 1 to ${maximum}`
    throw new TypeError(`${name} is not a whole number ${range}`)
  }
  return value
}

/**
 * RFC 6750 §5.2: a token goes only to a server whose identity was verified, hence TLS or this very machine.
 * @throws {TypeError} saying what is wrong and what to do.
 */
export function checkUrl(name: string, value: string, allowPlainHttp: boolean): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TypeError(`${name} is not an http(s) URL`)
  }
  if (url.username !== '' || url.password !== '') throw new TypeError(`${name} must not hold a user name or password`)
  if (url.protocol === 'http:' && !allowPlainHttp && !isLoopback(url.hostname)) {
    throw new TypeError(
      `${name} is plain HTTP to another machine, which would show the token to the network: use https, ` +
        'or allow it (allowPlainHttp) where the network between is trusted',
    )
  }
  return url
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
