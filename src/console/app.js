/** The whole console: who is signed in, which view is shown, and the frame around it. */
import { ApiError } from './api.js'
import { History } from './history.js'
import { html } from './html.js'
import { parseRoute } from './route.js'
import { forgetToken, rememberedToken, signIn } from './session.js'
import { Component } from './vendor/preact.js'
import { Lookup } from './views/lookup.js'
import { ReceiverView } from './views/receiver.js'
import { Receivers } from './views/receivers.js'
import { SignIn } from './views/sign-in.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {{ session?: Session, isOpening: boolean, notice: string, route: import('./route.js').Route }} State */

/** @extends {Component<object, State>} */
export class App extends Component {
  /** @type {State} */
  state = { isOpening: true, notice: '', route: parseRoute(location.hash) }
  #history = new History()
  #onHash = () => {
    this.setState({ route: parseRoute(location.hash) })
    scrollTo(0, 0)
  }
  /** @type {import('./view.js').OnFailure} */
  #onFailure = error => {
    // Revoked, or expired: what is on the screen is not this visitor's any more.
    if (error instanceof ApiError && error.status === 401) this.#signOut('The token does not hold any longer.')
  }

  componentDidMount() {
    addEventListener('hashchange', this.#onHash)
    this.#resume()
  }

  componentWillUnmount() {
    removeEventListener('hashchange', this.#onHash)
  }

  async #resume() {
    const token = rememberedToken()
    try {
      if (token !== undefined) await this.#enter(token)
      this.setState({ isOpening: false })
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) forgetToken()
      this.setState({ isOpening: false, notice: error instanceof Error ? error.message : String(error) })
    }
  }

  /** @param {string} token */
  #enter = async token => {
    const session = await signIn(token)
    this.#history = new History()
    this.setState({ session, notice: '' })
  }

  /** @param {string} notice */
  #signOut(notice) {
    // The cookie of the jobs' pages; it ends by itself too.
    if (this.state.session?.role === 'admin')
      this.state.session.api.delete('console/queues/session').catch(() => undefined)
    forgetToken()
    this.setState({ session: undefined, notice })
  }

  render() {
    const { session, isOpening, notice, route } = this.state
    if (isOpening) return html`<p class="opening" role="status">Signing in …</p>`
    if (session === undefined) return html`<${SignIn} notice=${notice} onSignIn=${this.#enter} />`
    const isAt = (/** @type {boolean} */ here) => (here ? 'page' : undefined)
    return html`
      <a class="skip" href="#main" onClick=${skipToMain}>Skip to the content</a>
      <header class="bar">
        <a class="brand" href="#/"><img src="icon.svg" alt="" width="24" height="24" />setstream</a>
        <nav class="ways" aria-label="Console">
          <a href="#/" aria-current=${isAt(route.view !== 'lookup')}>Receivers</a>
          <a href="#/lookup" aria-current=${isAt(route.view === 'lookup')}>Look up a SET</a>
          ${session.role === 'admin' && html`<${JobsLink} session=${session} />`}
          <a href="../docs/" target="_blank" rel="noreferrer">API</a>
        </nav>
        <span class="who">
          <span class="badge" title=${ROLE_TITLES[session.role]}>${session.role}</span>
          <button type="button" class="quiet" onClick=${() => this.#signOut('')}>Sign out</button>
        </span>
      </header>
      <main id="main" tabindex="-1">
        ${viewOf(route, { session, history: this.#history, onFailure: this.#onFailure })}
      </main>
    `
  }
}

/** @type {Readonly<Record<string, string>>} */
const ROLE_TITLES = {
  admin: 'An admin token: it may change things.',
  read: 'A read token: it sees everything but credentials, and changes nothing.',
}

/**
 * @param {import('./route.js').Route} route
 * @param {import('./view.js').ViewProps} props
 */
function viewOf(route, props) {
  switch (route.view) {
    case 'receiver':
      return html`<${ReceiverView} key=${route.id} ...${props} id=${route.id} tab=${route.tab} state=${route.state} />`
    case 'lookup':
      return html`<${Lookup} key="lookup" ...${props} receiver=${route.receiver} jti=${route.jti} />`
    default:
      return html`<${Receivers} key="receivers" ...${props} />`
  }
}

/** @param {Event} event */
function skipToMain(event) {
  // The part behind the # is the route.
  event.preventDefault()
  document.getElementById('main')?.focus()
}

/**
 * The queues of BullMQ are pages of their own, which ask for no token of their own: they are opened with ours.
 * @extends {Component<{ session: Session }, { failure: string }>}
 */
class JobsLink extends Component {
  state = { failure: '' }

  /** @param {Event} event */
  #open = async event => {
    event.preventDefault()
    // Opened at once: after the call it would be a pop-up that nobody asked for.
    const page = window.open('about:blank', '_blank')
    try {
      await this.props.session.api.post('console/queues/session')
      if (page === null) location.assign('queues/')
      else page.location.replace(new URL('queues/', document.baseURI))
    } catch (error) {
      page?.close()
      this.setState({ failure: error instanceof Error ? error.message : String(error) })
    }
  }

  render() {
    return html`<a href="queues/" title=${this.state.failure || 'Background jobs (BullMQ)'} onClick=${this.#open}>Jobs</a>`
  }
}
