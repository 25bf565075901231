/** Signing in with a token. */
import { html } from '../html.js'
import { Component } from '../vendor/preact.js'
import { messageOf } from '../view.js'

/** @typedef {{ notice: string, onSignIn: (token: string) => Promise<void> }} Props */

/** @extends {Component<Props, { failure: string, isBusy: boolean }>} */
export class SignIn extends Component {
  state = { failure: '', isBusy: false }

  /** @param {SubmitEvent} event */
  #submit = async event => {
    event.preventDefault()
    const form = /** @type {HTMLFormElement} */ (event.currentTarget)
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem('token'))
    this.setState({ isBusy: true, failure: '' })
    try {
      await this.props.onSignIn(field.value.trim())
    } catch (error) {
      this.setState({ isBusy: false, failure: messageOf(error) })
      field.select()
    }
  }

  render() {
    const { failure, isBusy } = this.state
    const notice = failure || this.props.notice
    return html`
      <main class="sign-in">
        <form onSubmit=${this.#submit}>
          <h1><img src="icon.svg" alt="" width="32" height="32" />setstream console</h1>
          <label for="token">Admin or read token</label>
          <input id="token" name="token" type="password" autocomplete="off" required autofocus placeholder="sst_…" />
          ${notice !== '' && html`<p class="notice bad" role="alert">${notice}</p>`}
          <button type="submit" disabled=${isBusy}>${isBusy ? 'Signing in …' : 'Sign in'}</button>
          <p class="hint">
            It stays in this tab, until the tab is closed. With <code>npm start</code> it is in
            <code> .data/admin-token</code>; <code>setstream tokens create --scope read</code> makes one that changes nothing.
          </p>
        </form>
      </main>
    `
  }
}
