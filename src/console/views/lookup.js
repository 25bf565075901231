/** Where is this SET? Its state, its way so far, and what it says. */
import { ApiError, segment } from '../api.js'
import { duration, number, reasonName, stateName, time } from '../format.js'
import { html } from '../html.js'
import { Badge } from '../parts/badge.js'
import { Confirm } from '../parts/confirm.js'
import { toReceiver, toSet } from '../route.js'
import { Component } from '../vendor/preact.js'
import { Failure } from '../view.js'
import { discarding, requeueing } from './acts.js'

/** @typedef {import('../types.d.ts').LocatedSet} LocatedSet */
/** @typedef {import('../view.js').ViewProps & { receiver: string, jti: string }} Props */
/**
 * @typedef {{
 *   readonly set?: LocatedSet,
 *   readonly ids: readonly string[],
 *   readonly error: unknown,
 *   readonly question?: import('../parts/confirm.js').Question,
 * }} State
 */

/** Ids offered while the receiver is typed. */
const IDS_MAX = 1000

/** @extends {Component<Props, State>} */
export class Lookup extends Component {
  /** @type {State} */
  state = { ids: [], error: undefined }

  componentDidMount() {
    document.title = 'Look up a SET · setstream'
    this.#offer()
    this.#locate()
  }

  /** @param {Props} before */
  componentDidUpdate(before) {
    if (before.receiver !== this.props.receiver || before.jti !== this.props.jti) this.#locate()
  }

  async #offer() {
    try {
      /** @type {import('../types.d.ts').Page<{ id: string }>} */
      const { items } = await this.props.session.api.get('v1/receivers', { limit: IDS_MAX })
      this.setState({ ids: items.map(({ id }) => id) })
    } catch {
      // Without them the id is typed whole.
    }
  }

  async #locate() {
    const { session, receiver, jti, onFailure } = this.props
    this.setState({ set: undefined, error: undefined })
    if (receiver === '' || jti === '') return
    try {
      /** @type {LocatedSet} */
      const set = await session.api.get(`v1/receivers/${segment(receiver)}/sets/${segment(jti)}`)
      // Another one may have been asked for meanwhile.
      if (receiver === this.props.receiver && jti === this.props.jti) this.setState({ set })
    } catch (error) {
      this.setState({ error })
      onFailure(error)
    }
  }

  /** @param {SubmitEvent} event */
  #submit = event => {
    event.preventDefault()
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget))
    const [receiver, jti] = [String(form.get('receiver')).trim(), String(form.get('jti')).trim()]
    const hash = toSet(receiver, jti)
    if (location.hash === hash) this.#locate()
    else location.hash = hash
  }

  /** @param {boolean} isDone */
  #close = isDone => {
    this.setState({ question: undefined })
    if (isDone) this.#locate()
  }

  render() {
    const { receiver, jti, onFailure } = this.props
    const { set, ids, error, question } = this.state
    const isMissing = error instanceof ApiError && error.status === 404
    return html`
      <h1>Look up a SET</h1>
      <form class="fields" onSubmit=${this.#submit}>
        <label>
          Receiver
          <input name="receiver" required list="receiver-ids" value=${receiver} autocomplete="off" autocapitalize="off" spellcheck=${false} />
        </label>
        <datalist id="receiver-ids">${ids.map(id => html`<option key=${id} value=${id} />`)}</datalist>
        <label class="wide">
          jti
          <input name="jti" class="code" required value=${jti} autocomplete="off" autocapitalize="off" spellcheck=${false} />
        </label>
        <button type="submit">Look up</button>
      </form>
      <${Failure} error=${error} />
      ${
        isMissing &&
        html`
          <p class="hint">
            What was acknowledged or discarded is forgotten after a while; a jti that was never issued to this receiver looks the
            same.
          </p>
        `
      }
      ${set !== undefined && this.#renderSet(set)}
      ${question !== undefined && html`<${Confirm} question=${question} onFailure=${onFailure} onClose=${this.#close} />`}
    `
  }

  /** @param {LocatedSet} set */
  #renderSet(set) {
    const { session, receiver } = this.props
    const choice = { jtis: [set.jti] }
    return html`
      <article aria-labelledby="found">
        <div class="above">
          <h2 id="found" class="code">${set.jti}</h2>
          <${Badge} word=${stateName(set.state)} />
          <span class="hint">of <a href=${toReceiver(receiver)}>${receiver}</a></span>
        </div>
        <h3>Timeline</h3>
        <ol class="timeline">
          ${timelineOf(set).map(
            ({ at, what, detail, tone }) => html`
              <li key=${what} class=${tone}>
                <span class="when">${at}</span>
                <span>${what} ${detail !== undefined && html`<span class="said">${detail}</span>`}</span>
              </li>
            `,
          )}
        </ol>
        ${
          set.state === 'parked' &&
          session.role === 'admin' &&
          html`
            <div class="actions start">
              <button type="button" onClick=${() => this.setState({ question: requeueing(session.api, receiver, choice) })}>
                Requeue
              </button>
              <button
                type="button"
                class="danger"
                onClick=${() => this.setState({ question: discarding(session.api, receiver, choice) })}
              >
                Discard
              </button>
            </div>
          `
        }
        <h3>Claims</h3>
        ${
          set.claims === undefined
            ? html`<p class="hint">They are not kept any longer.</p>`
            : html`<pre tabindex="0">${JSON.stringify(set.claims, undefined, 2)}</pre>`
        }
      </article>
    `
  }
}

/**
 * @param {LocatedSet} set
 * @returns {{ at: string, what: string, detail?: string | undefined, tone: string }[]}
 */
function timelineOf(set) {
  const {
    publishedAt,
    attempts = 0,
    parkedAt,
    acknowledgedAt,
    reason = '',
    err,
    description,
    language,
    inStateSeconds,
  } = set
  const since = inStateSeconds === undefined ? '' : `for ${duration(inStateSeconds)}`
  const steps = []
  if (publishedAt !== undefined) steps.push({ at: time(publishedAt), what: 'Published: queued in the log', tone: '' })
  if (attempts > 0 || set.state === 'acknowledged') {
    // How often is not known any more once it is acknowledged.
    const what =
      attempts === 0 ? 'Delivered' : attempts === 1 ? 'Delivered once' : `Delivered ${number(attempts)} times`
    steps.push({ at: '', what, tone: '' })
  }
  switch (set.state) {
    case 'queued':
      steps.push({ at: 'now', what: 'Waits for its first delivery', tone: 'now' })
      break
    case 'inFlight':
      steps.push({ at: 'now', what: `In flight ${since}: waits for its acknowledgement`, tone: 'now' })
      break
    case 'owedAgain':
      steps.push({ at: 'now', what: `Owed again ${since}: comes with the next poll`, tone: 'now warn' })
      break
    case 'parked': {
      const said = [err, description, language === undefined ? undefined : `(${language})`].filter(
        part => part !== undefined,
      )
      steps.push({
        at: parkedAt === undefined ? '' : time(parkedAt),
        what: `Parked: ${reasonName(reason)}`,
        detail: said.length > 0 ? said.join(' ') : undefined,
        tone: 'now bad',
      })
      break
    }
    case 'acknowledged':
      steps.push({ at: acknowledgedAt === undefined ? '' : time(acknowledgedAt), what: 'Acknowledged', tone: 'now ok' })
      break
    case 'discarded':
      steps.push({ at: '', what: 'Discarded', tone: 'now' })
      break
  }
  return steps
}
