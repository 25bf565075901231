/** All receivers: do events flow, for whom do they not, and how much waits. */
import { ago, duration, number, rate } from '../format.js'
import { depthOf, rateOf, sampleOf } from '../history.js'
import { html } from '../html.js'
import { Repeat } from '../live.js'
import { Badge, TroubleBadge } from '../parts/badge.js'
import { DepthChart } from '../parts/chart.js'
import { Sparkline } from '../parts/sparkline.js'
import { Tiles } from '../parts/tiles.js'
import { toReceiver } from '../route.js'
import { severityOf, troublesOf } from '../trouble.js'
import { Component } from '../vendor/preact.js'
import { Failure, fieldValue } from '../view.js'

/** @typedef {import('../types.d.ts').Stats} Stats */
/** @typedef {import('../types.d.ts').Receiver} Receiver */
/** @typedef {import('../types.d.ts').Page<Stats> & { readonly totals: Stats & { readonly receivers: number } }} StatsPage */
/**
 * @typedef {{
 *   readonly stats: Stats,
 *   readonly samples: readonly import('../types.d.ts').Sample[],
 *   readonly troubles: readonly import('../trouble.js').Trouble[],
 *   readonly publishedRate: number | undefined,
 *   readonly ackedRate: number | undefined,
 * }} Row
 */
/** @typedef {{ readonly title: string, readonly key: string, readonly of?: (row: Row) => number | string, readonly isNumber?: boolean }} Column */
/**
 * @typedef {{
 *   readonly rows: readonly Row[],
 *   readonly totals: StatsPage['totals'] | undefined,
 *   readonly error: unknown,
 *   readonly filter: string,
 *   readonly isTroubled: boolean,
 *   readonly shown: number,
 *   readonly sort: { readonly key: string, readonly isDown: boolean },
 * }} State
 */

const ROWS = 100
/** Settings change seldom. */
const RECORDS_EVERY_MS = 60_000

/** @type {readonly Column[]} */
const COLUMNS = [
  { title: 'Receiver', key: 'receiver', of: ({ stats }) => stats.receiver },
  { title: 'State', key: 'state', of: ({ troubles }) => severityOf(troubles) },
  { title: 'Queued', key: 'queued', of: ({ stats }) => stats.queued, isNumber: true },
  { title: 'In flight', key: 'inFlight', of: ({ stats }) => stats.inFlight, isNumber: true },
  { title: 'Owed again', key: 'owedAgain', of: ({ stats }) => stats.owedAgain, isNumber: true },
  { title: 'Parked', key: 'parked', of: ({ stats }) => stats.parked, isNumber: true },
  { title: 'Oldest', key: 'oldest', of: ({ stats }) => stats.oldestUnackedSeconds, isNumber: true },
  { title: 'Published/s', key: 'published', of: ({ publishedRate }) => publishedRate ?? -1, isNumber: true },
  { title: 'Acked/s', key: 'acked', of: ({ ackedRate }) => ackedRate ?? -1, isNumber: true },
  { title: 'Last poll', key: 'lastPoll', of: ({ stats }) => stats.lastPollAt ?? '', isNumber: true },
  { title: 'Depth', key: 'depth' },
]

/** @extends {Component<import('../view.js').ViewProps, State>} */
export class Receivers extends Component {
  /** @type {State} */
  state = {
    rows: [],
    totals: undefined,
    error: undefined,
    filter: '',
    isTroubled: false,
    shown: ROWS,
    sort: { key: 'state', isDown: true },
  }
  /** @type {Map<string, Receiver>} */
  #records = new Map()
  #recordsAtMs = -RECORDS_EVERY_MS
  #repeat = new Repeat(() => this.#look())
  /** @type {(event: KeyboardEvent) => void} */
  #onKey = event => {
    const target = /** @type {HTMLElement} */ (event.target)
    if (event.key !== '/' || target.closest('input, textarea, select, dialog') !== null) return
    event.preventDefault()
    document.getElementById('filter')?.focus()
  }

  componentDidMount() {
    document.title = 'Receivers · setstream'
    addEventListener('keydown', this.#onKey)
    this.#repeat.start()
  }

  componentWillUnmount() {
    removeEventListener('keydown', this.#onKey)
    this.#repeat.stop()
  }

  async #look() {
    const { session, history, onFailure } = this.props
    const { api } = session
    try {
      const { items, totals } = await readAll(api)
      if (performance.now() - this.#recordsAtMs >= RECORDS_EVERY_MS) {
        /** @type {Receiver[]} */
        const records = await api.all('v1/receivers')
        this.#records = new Map(records.map(record => [record.id, record]))
        this.#recordsAtMs = performance.now()
      }
      const atMs = Date.now()
      history.add('', sampleOf(totals, atMs))
      const rows = items.map(stats => {
        history.add(stats.receiver, sampleOf(stats, atMs), items.length)
        const samples = history.of(stats.receiver)
        const sloMs = Number(this.#records.get(stats.receiver)?.settings.sloMs ?? 0)
        return {
          stats,
          samples,
          troubles: troublesOf(stats, api.nowMs(), sloMs),
          publishedRate: rateOf(samples, 'published'),
          ackedRate: rateOf(samples, 'acked'),
        }
      })
      this.setState({ rows, totals, error: undefined })
    } catch (error) {
      this.setState({ error })
      onFailure(error)
    }
  }

  render() {
    const { rows, totals, error } = this.state
    return html`
      <h1 class="unseen">Receivers</h1>
      <${Failure} error=${error} />
      ${error !== undefined && totals !== undefined && html`<p class="hint">What is shown is what was seen before.</p>`}
      ${totals === undefined ? error === undefined && html`<p role="status" aria-busy="true">Counting …</p>` : this.#renderSummary(totals)}
      ${totals !== undefined && rows.length === 0 && html`<${NoReceivers} />`}
      ${rows.length > 0 && this.#renderTable()}
    `
  }

  /** @param {StatsPage['totals']} totals */
  #renderSummary(totals) {
    const samples = this.props.history.of('')
    return html`
      <${Verdict} rows=${this.state.rows} />
      <${Tiles}
        tiles=${[
          { title: 'Receivers', value: number(totals.receivers) },
          { title: 'Queued', value: number(totals.queued), hint: 'Never sent.' },
          { title: 'In flight', value: number(totals.inFlight), hint: 'Delivered, not acknowledged yet.' },
          {
            title: 'Owed again',
            value: number(totals.owedAgain),
            hint: 'Delivered, not acknowledged in time: comes again.',
          },
          {
            title: 'Parked',
            value: number(totals.parked),
            tone: totals.parked > 0 ? 'bad' : '',
            hint: 'Dead letters.',
          },
          { title: 'Oldest', value: duration(totals.oldestUnackedSeconds), hint: 'Oldest unacknowledged SET.' },
          { title: 'Published/s', value: rateText(rateOf(samples, 'published')) },
          { title: 'Acked/s', value: rateText(rateOf(samples, 'acked')) },
        ]}
      />
      <section aria-labelledby="depth">
        <h2 id="depth">Depth <small>of all receivers, since the console was opened</small></h2>
        <${DepthChart} samples=${samples} label="SETs of all receivers" />
      </section>
    `
  }

  #renderTable() {
    const { filter, isTroubled, sort, shown } = this.state
    const rows = this.#sorted()
    const { api } = this.props.session
    return html`
      <section aria-labelledby="receivers">
        <div class="above">
          <h2 id="receivers">Receivers</h2>
          <label class="inline">
            <span class="unseen">Filter by id</span>
            <input
              id="filter"
              type="search"
              placeholder="Filter by id ( / )"
              value=${filter}
              onInput=${(/** @type {Event} */ event) => this.setState({ filter: fieldValue(event), shown: ROWS })}
            />
          </label>
          <label class="inline">
            <input
              type="checkbox"
              checked=${isTroubled}
              onChange=${() => this.setState({ isTroubled: !isTroubled, shown: ROWS })}
            />
            Only those in trouble
          </label>
        </div>
        <table class="cards" id="receivers-table">
          <caption class="unseen">Receivers, what they hold, and their rates</caption>
          <thead>
            <tr>${COLUMNS.map(column => this.#renderHead(column, sort))}</tr>
          </thead>
          <tbody>
            ${rows.slice(0, shown).map(row => html`<${ReceiverRow} key=${row.stats.receiver} row=${row} nowMs=${api.nowMs()} />`)}
          </tbody>
        </table>
        ${rows.length === 0 && html`<p class="empty">None of ${number(this.state.rows.length)} receivers fits.</p>`}
        ${
          rows.length > shown &&
          html`
            <div class="actions">
              <button type="button" class="quiet" onClick=${() => this.setState({ shown: shown + ROWS })}>
                Show more of ${number(rows.length)}
              </button>
            </div>
          `
        }
      </section>
    `
  }

  /**
   * @param {Column} column
   * @param {State['sort']} sort
   */
  #renderHead({ title, key, of, isNumber }, sort) {
    const isSorted = sort.key === key
    const by = () =>
      this.setState({ sort: { key, isDown: isSorted ? !sort.isDown : isNumber === true || key === 'state' } })
    return html`
      <th scope="col" class=${isNumber ? 'number' : ''} aria-sort=${isSorted ? (sort.isDown ? 'descending' : 'ascending') : undefined}>
        ${of === undefined ? title : html`<button type="button" class="sort" onClick=${by}>${title}</button>`}
      </th>
    `
  }

  #sorted() {
    const { rows, filter, isTroubled, sort } = this.state
    const of = COLUMNS.find(({ key }) => key === sort.key)?.of ?? (() => 0)
    const direction = sort.isDown ? -1 : 1
    return rows
      .filter(row => row.stats.receiver.includes(filter.trim().toLowerCase()))
      .filter(row => !isTroubled || severityOf(row.troubles) > 1)
      .toSorted((a, b) => {
        const [x, y] = [of(a), of(b)]
        if (x !== y) return (x < y ? -1 : 1) * direction
        // Of equals those who wait longest come first.
        return (
          b.stats.oldestUnackedSeconds - a.stats.oldestUnackedSeconds || (a.stats.receiver < b.stats.receiver ? -1 : 1)
        )
      })
  }
}

/** @param {{ row: Row, nowMs: number }} props */
function ReceiverRow({ row: { stats, samples, troubles, publishedRate, ackedRate }, nowMs }) {
  return html`
    <tr>
      <th scope="row"><a href=${toReceiver(stats.receiver)}>${stats.receiver}</a></th>
      <td data-title="State">
        <span class="badges">
          ${stats.status !== 'paused' && html`<${Badge} word=${stats.status} />`}
          ${troubles.map(trouble => html`<${TroubleBadge} key=${trouble.kind} trouble=${trouble} />`)}
        </span>
      </td>
      <td class="number" data-title="Queued">${number(stats.queued)}</td>
      <td class="number" data-title="In flight">${number(stats.inFlight)}</td>
      <td class="number" data-title="Owed again">${number(stats.owedAgain)}</td>
      <td class="number" data-title="Parked">
        ${stats.parked > 0 ? html`<a class="bad" href=${toReceiver(stats.receiver, 'parked')}>${number(stats.parked)}</a>` : '0'}
      </td>
      <td class="number" data-title="Oldest">${duration(stats.oldestUnackedSeconds)}</td>
      <td class="number" data-title="Published/s">${rateText(publishedRate)}</td>
      <td class="number" data-title="Acked/s">${rateText(ackedRate)}</td>
      <td class="number" data-title="Last poll">${stats.heldPolls > 0 ? 'polling' : ago(stats.lastPollAt, nowMs)}</td>
      <td data-title="Depth" title="Depth: ${number(depthOf(stats))}"><${Sparkline} samples=${samples} /></td>
    </tr>
  `
}

/** The minute's answer: do events flow, and for whom not? @param {{ rows: readonly Row[] }} props */
function Verdict({ rows }) {
  const troubled = rows.filter(({ troubles }) => severityOf(troubles) > 1)
  const silent = troubled.filter(({ troubles }) => severityOf(troubles) === 3)
  if (troubled.length === 0) {
    return html`<p class="notice ok" role="status">Events flow${rows.length > 1 ? ` to all ${number(rows.length)} receivers` : ''}.</p>`
  }
  const named = [...silent, ...troubled.filter(row => !silent.includes(row))].slice(0, 5)
  return html`
    <div class="notice ${silent.length > 0 ? 'bad' : 'warn'}" role="status">
      <p>${number(troubled.length)} of ${number(rows.length)} ${troubled.length === 1 ? 'receivers needs' : 'receivers need'} a look:</p>
      <ul>
        ${named.map(
          ({ stats, troubles }) => html`
            <li key=${stats.receiver}>
              <a href=${toReceiver(stats.receiver)}>${stats.receiver}</a>: ${troubles.map(({ label }) => label).join(', ')}.
              ${' '}${troubles[0]?.advice}
            </li>
          `,
        )}
      </ul>
    </div>
  `
}

function NoReceivers() {
  return html`
    <p class="empty">
      No receivers yet. <code>setstream receivers create --id my-receiver --audience https://my-receiver.example</code> registers one.
    </p>
  `
}

/** @param {number | undefined} perSecond */
export function rateText(perSecond) {
  return perSecond === undefined ? '–' : rate(perSecond)
}

/**
 * @param {import('../api.js').Api} api
 * @returns {Promise<{ items: Stats[], totals: StatsPage['totals'] }>}
 */
async function readAll(api) {
  const items = []
  let totals
  let cursor
  do {
    /** @type {StatsPage} */
    const page = await api.get('v1/stats', { limit: 1000, cursor })
    items.push(...page.items)
    totals ??= page.totals
    cursor = page.next
  } while (cursor !== undefined)
  return { items, totals }
}
