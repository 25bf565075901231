/** Dead letters: why they were given up, and what an administrator does with them. */
import { segment } from '../../api.js'
import { number, reasonName, time } from '../../format.js'
import { html } from '../../html.js'
import { Confirm } from '../../parts/confirm.js'
import { PagedList } from '../../parts/list.js'
import { toSet } from '../../route.js'
import { Component } from '../../vendor/preact.js'
import { discarding, requeueing } from '../acts.js'

/** @typedef {import('../../types.d.ts').ListedSet} ListedSet */
/** @typedef {{ selected: ReadonlySet<string>, question?: import('../../parts/confirm.js').Question, version: number }} State */

/** @extends {Component<import('../receiver.js').PartProps, State>} */
export class Parked extends Component {
  /** @type {State} */
  state = { selected: new Set(), version: 0 }

  /** @param {boolean} isDone */
  #close = isDone => {
    if (!isDone) return this.setState({ question: undefined })
    // What was moved is not in the list any more.
    this.setState({ question: undefined, selected: new Set(), version: this.state.version + 1 })
    this.props.onChange()
  }

  render() {
    const { id, session, stats, onFailure } = this.props
    const { selected, question, version } = this.state
    const isAdmin = session.role === 'admin'
    return html`
      <section aria-labelledby="parked">
        <h2 id="parked" class="unseen">Dead letters</h2>
        ${isAdmin ? this.#renderActions() : html`<p class="hint">A read token looks only: requeue and discard need an admin token.</p>`}
        <${PagedList}
          key=${version}
          caption="Dead letters"
          columns=${columnsOf(id)}
          empty="No dead letters."
          keyOf=${(/** @type {ListedSet} */ { jti }) => jti}
          load=${(/** @type {string | undefined} */ cursor) =>
            session.api.get(`v1/receivers/${segment(id)}/parked`, { limit: 50, cursor })}
          onFailure=${onFailure}
          ...${
            isAdmin && stats.parked > 0
              ? {
                  selected,
                  onSelect: (/** @type {ReadonlySet<string>} */ chosen) => this.setState({ selected: chosen }),
                }
              : {}
          }
        />
        ${question !== undefined && html`<${Confirm} question=${question} onFailure=${onFailure} onClose=${this.#close} />`}
      </section>
    `
  }

  #renderActions() {
    const { id, stats, session } = this.props
    const { selected } = this.state
    const jtis = [...selected]
    const ask = (/** @type {import('../../parts/confirm.js').Question} */ question) => () => this.setState({ question })
    const all = { all: true, count: stats.parked }
    return html`
      <div class="actions start">
        <button type="button" disabled=${jtis.length === 0} onClick=${ask(requeueing(session.api, id, { jtis }))}>
          Requeue selected (${number(jtis.length)})
        </button>
        <button type="button" class="danger" disabled=${jtis.length === 0} onClick=${ask(discarding(session.api, id, { jtis }))}>
          Discard selected (${number(jtis.length)})
        </button>
        <button type="button" class="quiet" disabled=${stats.parked === 0} onClick=${ask(requeueing(session.api, id, all))}>
          Requeue all
        </button>
        <button type="button" class="quiet danger" disabled=${stats.parked === 0} onClick=${ask(discarding(session.api, id, all))}>
          Discard all
        </button>
      </div>
    `
  }
}

/**
 * @param {string} id
 * @returns {import('../../parts/list.js').Column<ListedSet>[]}
 */
function columnsOf(id) {
  return [
    { title: 'jti', value: ({ jti }) => html`<a class="code" href=${toSet(id, jti)}>${jti}</a>` },
    { title: 'Reason', value: ({ reason = '' }) => reasonName(reason) },
    {
      title: 'Reported',
      value: ({ err, description }) =>
        err === undefined ? '' : html`<code>${err}</code> <span class="said">${description}</span>`,
    },
    { title: 'Attempts', value: ({ attempts }) => number(attempts), kind: 'number' },
    { title: 'Parked', value: ({ parkedAt }) => (parkedAt === undefined ? '' : time(parkedAt)), kind: 'time' },
    { title: 'Published', value: ({ publishedAt }) => time(publishedAt), kind: 'time' },
  ]
}
