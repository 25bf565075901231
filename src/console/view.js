/** What every view is given, and how failures are told. */
import { ApiError } from './api.js'
import { html } from './html.js'

/** @typedef {(error: unknown) => void} OnFailure */
/**
 * @typedef {{
 *   readonly session: import('./session.js').Session,
 *   readonly history: import('./history.js').History,
 *   readonly onFailure: OnFailure,
 * }} ViewProps
 */

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}

/** @param {{ error: unknown }} props */
export function Failure({ error }) {
  if (error === undefined) return null
  const faults = error instanceof ApiError ? error.faults : []
  return html`
    <div class="notice bad" role="alert">
      ${messageOf(error)}
      ${faults.length > 0 && html`<ul>${faults.map(({ at, message }) => html`<li><code>${at}</code> ${message}</li>`)}</ul>`}
    </div>
  `
}

/**
 * A field's value in an event of it.
 * @param {Event} event
 */
export function fieldValue(event) {
  return /** @type {HTMLInputElement} */ (event.currentTarget).value
}
