/** Where in the console one is: behind the # of the address, so that it can be linked to and needs no server. Pure. */

/**
 * @typedef {{ readonly view: 'receivers' }
 *   | { readonly view: 'receiver', readonly id: string, readonly tab: string, readonly state: string }
 *   | { readonly view: 'lookup', readonly receiver: string, readonly jti: string }} Route
 */

export const TABS = ['sets', 'parked', 'errors', 'replay', 'settings']

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const [view, id, tab = 'sets'] = path.split('/').map(decode)
  const search = new URLSearchParams(query)
  if (view === 'receivers' && id !== undefined && id !== '') {
    return { view: 'receiver', id, tab: TABS.includes(tab) ? tab : 'sets', state: search.get('state') ?? 'queued' }
  }
  if (view === 'lookup') {
    return { view: 'lookup', receiver: search.get('receiver') ?? '', jti: search.get('jti') ?? '' }
  }
  return { view: 'receivers' }
}

/**
 * @param {string} id
 * @param {string} [tab]
 */
export function toReceiver(id, tab) {
  return `#/receivers/${encodeURIComponent(id)}${tab === undefined ? '' : `/${tab}`}`
}

/**
 * @param {string} receiver
 * @param {string} jti
 */
export function toSet(receiver, jti) {
  return `#/lookup?${new URLSearchParams({ receiver, jti })}`
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
