/** Calls of the internal interface with the token of whoever signed in. */

/** @typedef {Readonly<Record<string, string | number | undefined>>} Query */

/** Longer than any call of the console takes; Redis that is away is answered sooner. */
const TIMEOUT_MS = 30_000

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0: there was no answer
   * @param {readonly { at: string, message: string }[]} faults
   */
  constructor(message, status, faults = []) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.faults = faults
  }
}

export class Api {
  #token
  #skewMs = 0

  /** @param {string} token */
  constructor(token) {
    this.#token = token
  }

  /** Now by the clock of the transmitter, about: ages are told by it. */
  nowMs() {
    return Date.now() + this.#skewMs
  }

  /**
   * @template T
   * @param {string} path
   * @param {Query} [query]
   * @returns {Promise<T>}
   */
  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
    return this.#call('GET', given.length === 0 ? path : `${path}?${search}`)
  }

  /**
   * @template T
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<T>}
   */
  post(path, body) {
    return this.#call('POST', path, body)
  }

  /**
   * @template T
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<T>}
   */
  delete(path, body) {
    return this.#call('DELETE', path, body)
  }

  /**
   * Every page of a list.
   * @template T
   * @param {string} path
   * @returns {Promise<T[]>}
   */
  async all(path) {
    const items = []
    let cursor
    do {
      /** @type {import('./types.d.ts').Page<T>} */
      const page = await this.get(path, { limit: 1000, cursor })
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== undefined)
    return items
  }

  /**
   * @param {string} method
   * @param {string} path below the console's parent
   * @param {object} [body]
   */
  async #call(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { authorization: `Bearer ${this.#token}` }
    if (body !== undefined) headers['content-type'] = 'application/json'
    let response
    let text
    try {
      response = await fetch(new URL(`../${path}`, document.baseURI), {
        method,
        headers,
        cache: 'no-store',
        credentials: 'same-origin',
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      text = await response.text()
    } catch {
      throw new ApiError('The transmitter does not answer.', 0)
    }
    const date = response.headers.get('date')
    if (date !== null) this.#skewMs = skewOf(date, Date.now())
    if (response.ok) return text === '' ? undefined : JSON.parse(text)
    throw failureOf(response, text)
  }
}

/**
 * The header has whole seconds: less than two of them is no difference.
 * @param {string} date
 * @param {number} nowMs
 */
function skewOf(date, nowMs) {
  const skewMs = Date.parse(date) - nowMs
  return Math.abs(skewMs) < 2000 ? 0 : skewMs
}

/**
 * @param {Response} response
 * @param {string} text
 */
function failureOf(response, text) {
  try {
    const { detail, faults } = JSON.parse(text)
    return new ApiError(String(detail), response.status, faults)
  } catch {
    return new ApiError(`The transmitter answered ${response.status}.`, response.status)
  }
}

/**
 * One segment of a path.
 * @param {string} text
 */
export function segment(text) {
  return encodeURIComponent(text)
}
