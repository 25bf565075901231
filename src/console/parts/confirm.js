/** Asks before something is done that cannot be taken back, does it, and says what came of it. */
import { html } from '../html.js'
import { Component, createRef } from '../vendor/preact.js'
import { Failure, fieldValue } from '../view.js'

/**
 * @typedef {{
 *   readonly title: string,
 *   readonly text: unknown,
 *   readonly action: string,
 *   readonly isDangerous?: boolean,
 *   readonly typed?: string,
 *   readonly run: (progress: (text: string) => void) => Promise<string>,
 * }} Question `typed`: what has to be typed before it can be done
 */
/** @typedef {{ question: Question, onFailure: import('../view.js').OnFailure, onClose: (isDone: boolean) => void }} Props */

/** @extends {Component<Props, { step: 'asked' | 'running' | 'done', text: string, typed: string, error: unknown }>} */
export class Confirm extends Component {
  /** @type {{ step: 'asked' | 'running' | 'done', text: string, typed: string, error: unknown }} */
  state = { step: 'asked', text: '', typed: '', error: undefined }
  #dialog = createRef()

  componentDidMount() {
    this.#dialog.current.showModal()
  }

  /**
   * @param {Props} _props
   * @param {{ step: string }} before
   */
  componentDidUpdate(_props, before) {
    // What had the focus is gone or was disabled meanwhile.
    if (before.step !== this.state.step && this.state.step === 'done') {
      this.#dialog.current.querySelector('button[type=submit]').focus()
    }
  }

  /** @param {Event} event */
  #run = async event => {
    event.preventDefault()
    if (this.state.step === 'done') return this.#dialog.current.close()
    this.setState({ step: 'running', error: undefined })
    try {
      const text = await this.props.question.run(progress => this.setState({ text: progress }))
      this.setState({ step: 'done', text })
    } catch (error) {
      this.setState({ step: 'asked', text: '', error })
      this.props.onFailure(error)
    }
  }

  /** @param {Event} event Escape must not hide what is under way. */
  #onCancel = event => {
    if (this.state.step === 'running') event.preventDefault()
  }

  render() {
    const { title, text, action, isDangerous = false, typed } = this.props.question
    const { step } = this.state
    const isOpen = typed === undefined || this.state.typed === typed
    return html`
      <dialog
        ref=${this.#dialog}
        aria-labelledby="confirm-title"
        onCancel=${this.#onCancel}
        onClose=${() => this.props.onClose(step === 'done')}
      >
        <form class="question" onSubmit=${this.#run}>
          <h2 id="confirm-title">${title}</h2>
          ${step === 'done' ? html`<p role="status">${this.state.text}</p>` : html`<p>${text}</p>`}
          ${
            step === 'asked' &&
            typed !== undefined &&
            html`
              <label>
                <span>Type <code>${typed}</code> to go on</span>
                <input
                  name="typed"
                  autocomplete="off"
                  autocapitalize="off"
                  spellcheck=${false}
                  value=${this.state.typed}
                  onInput=${(/** @type {Event} */ event) => this.setState({ typed: fieldValue(event) })}
                />
              </label>
            `
          }
          ${step === 'running' && html`<p role="status">${this.state.text || 'Working …'}</p>`}
          <${Failure} error=${this.state.error} />
          <div class="actions">
            ${
              step === 'asked' &&
              html`<button type="button" class="quiet" onClick=${() => this.#dialog.current.close()}>Cancel</button>`
            }
            <button type="submit" class=${isDangerous && step !== 'done' ? 'danger' : ''} disabled=${step === 'running' || !isOpen}>
              ${step === 'done' ? 'Close' : action}
            </button>
          </div>
        </form>
      </dialog>
    `
  }
}
