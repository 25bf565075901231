/** Who is signed in. The token stays in this tab: it goes when the tab is closed, and no other page sees it. */
import { Api, ApiError } from './api.js'

/** @typedef {import('./types.d.ts').Role} Role */
/** @typedef {{ readonly api: Api, readonly role: Role, readonly token: string }} Session */

const KEY = 'setstream.console.token'

/**
 * @param {string} token
 * @returns {Promise<Session>}
 * @throws {ApiError} what is wrong with the token
 */
export async function signIn(token) {
  const api = new Api(token)
  try {
    await api.get('v1/receivers', { limit: 1 })
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) throw new ApiError('This token is not valid.', 401)
    if (error instanceof ApiError && error.status === 403) {
      throw new ApiError('This token may not look around. The console takes admin and read tokens.', 403)
    }
    throw error
  }
  const role = await roleOf(api)
  sessionStorage.setItem(KEY, token)
  return { api, role, token }
}

export function rememberedToken() {
  return sessionStorage.getItem(KEY) ?? undefined
}

export function forgetToken() {
  sessionStorage.removeItem(KEY)
}

/**
 * The audit log is for administrators only.
 * @param {Api} api
 * @returns {Promise<Role>}
 */
async function roleOf(api) {
  try {
    await api.get('v1/audit', { limit: 1 })
    return 'admin'
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return 'read'
    throw error
  }
}
