/** Replay: SETs that were acknowledged and are still retained become owed again. */
import { number } from '../../format.js'
import { html } from '../../html.js'
import { Confirm } from '../../parts/confirm.js'
import { Component } from '../../vendor/preact.js'
import { replaying } from '../acts.js'

/** @typedef {{ question?: import('../../parts/confirm.js').Question }} State */

/** @extends {Component<import('../receiver.js').PartProps, State>} */
export class Replay extends Component {
  /** @type {State} */
  state = {}

  /** @param {SubmitEvent} event */
  #ask = event => {
    event.preventDefault()
    const { session, id } = this.props
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget))
    // The field is in the time zone of whoever fills it in.
    const moment = (/** @type {string} */ name) => {
      const text = String(form.get(name) ?? '')
      return text === '' ? undefined : new Date(text).toISOString()
    }
    const from = moment('from')
    if (from !== undefined) this.setState({ question: replaying(session.api, id, from, moment('to')) })
  }

  /** @param {boolean} isDone */
  #close = isDone => {
    this.setState({ question: undefined })
    if (isDone) this.props.onChange()
  }

  render() {
    const { session, stats, onFailure } = this.props
    const { question } = this.state
    const isAdmin = session.role === 'admin'
    return html`
      <section aria-labelledby="replay">
        <h2 id="replay" class="unseen">Replay</h2>
        <p>
          ${
            stats.retained === 0
              ? 'No acknowledged SETs are retained, so there is nothing to replay. The setting retainAckedMs says how long they stay.'
              : `${number(stats.retained)} acknowledged SETs are retained. Those acknowledged in the time given here are delivered again, under the same jti; what is pending stays as it is.`
          }
        </p>
        ${
          isAdmin
            ? html`
                <form class="fields" onSubmit=${this.#ask}>
                  <label>Acknowledged from <input type="datetime-local" name="from" step="1" required /></label>
                  <label><span>to <small>(empty: until now)</small></span> <input type="datetime-local" name="to" step="1" /></label>
                  <button type="submit" disabled=${stats.retained === 0}>Replay …</button>
                </form>
              `
            : html`<p class="hint">A read token looks only: replay needs an admin token.</p>`
        }
        ${question !== undefined && html`<${Confirm} question=${question} onFailure=${onFailure} onClose=${this.#close} />`}
      </section>
    `
  }
}
