/** One receiver: what it holds, its SETs by state, its dead letters, its reports, replay, settings. */
import { segment } from '../api.js'
import { ago, duration, number, size } from '../format.js'
import { rateOf, sampleOf } from '../history.js'
import { html } from '../html.js'
import { Repeat } from '../live.js'
import { Badge } from '../parts/badge.js'
import { DepthChart } from '../parts/chart.js'
import { Tiles } from '../parts/tiles.js'
import { toReceiver } from '../route.js'
import { troublesOf } from '../trouble.js'
import { Component } from '../vendor/preact.js'
import { Failure } from '../view.js'
import { Parked } from './receiver/parked.js'
import { Replay } from './receiver/replay.js'
import { Reports } from './receiver/reports.js'
import { Sets } from './receiver/sets.js'
import { Settings } from './receiver/settings.js'
import { rateText } from './receivers.js'

/** @typedef {import('../types.d.ts').Stats} Stats */
/** @typedef {import('../types.d.ts').Receiver} Receiver */
/** @typedef {import('../view.js').ViewProps & { id: string, tab: string, state: string }} Props */
/** What each part of the page is given. @typedef {Props & { stats: Stats, record: Receiver, onChange: () => void }} PartProps */

/** @extends {Component<Props, { stats?: Stats, record?: Receiver, error: unknown }>} */
export class ReceiverView extends Component {
  /** @type {{ stats?: Stats, record?: Receiver, error: unknown }} */
  state = { error: undefined }
  #repeat = new Repeat(() => this.#look())

  componentDidMount() {
    document.title = `${this.props.id} · setstream`
    this.#repeat.start()
  }

  componentWillUnmount() {
    this.#repeat.stop()
  }

  #look = async () => {
    const { session, history, id, onFailure } = this.props
    const path = `v1/receivers/${segment(id)}`
    try {
      /** @type {Receiver} */
      const record = this.state.record ?? (await session.api.get(path))
      /** @type {Stats} */
      const stats = await session.api.get(`${path}/stats`)
      history.add(id, sampleOf(stats, Date.now()))
      this.setState({ record, stats, error: undefined })
    } catch (error) {
      this.setState({ error })
      onFailure(error)
    }
  }

  render() {
    const { id } = this.props
    const { stats, record, error } = this.state
    return html`
      <p class="path"><a href="#/">Receivers</a> / ${id}</p>
      <${Failure} error=${error} />
      ${
        stats === undefined || record === undefined
          ? error === undefined && html`<p role="status" aria-busy="true">Loading …</p>`
          : this.#renderReceiver(stats, record)
      }
    `
  }

  /**
   * @param {Stats} stats
   * @param {Receiver} record
   */
  #renderReceiver(stats, record) {
    const { id, tab, session, history } = this.props
    const samples = history.of(id)
    const nowMs = session.api.nowMs()
    const troubles = troublesOf(stats, nowMs, Number(record.settings.sloMs ?? 0))
    return html`
      <div class="above">
        <h1>${id}</h1>
        <${Badge} word=${stats.status} />
        ${record.description !== undefined && html`<span class="hint">${record.description}</span>`}
      </div>
      ${troubles.map(
        ({ kind, label, advice, severity }) => html`
          <p key=${kind} class="notice ${severity === 3 ? 'bad' : severity === 2 ? 'warn' : ''}" role="status">
            <strong>${label}</strong> ${advice}
          </p>
        `,
      )}
      <${Tiles}
        tiles=${[
          { title: 'Queued', value: number(stats.queued), hint: 'Never sent.' },
          { title: 'In flight', value: number(stats.inFlight), hint: 'Delivered, not acknowledged yet.' },
          { title: 'Owed again', value: number(stats.owedAgain), hint: 'Delivered, not acknowledged in time.' },
          { title: 'Parked', value: number(stats.parked), tone: stats.parked > 0 ? 'bad' : '', hint: 'Dead letters.' },
          { title: 'Oldest', value: duration(stats.oldestUnackedSeconds), hint: 'Oldest unacknowledged SET.' },
          { title: 'Last poll', value: stats.heldPolls > 0 ? 'polling' : ago(stats.lastPollAt, nowMs) },
          {
            title: 'Published/s',
            value: rateText(rateOf(samples, 'published')),
            hint: `${number(stats.published)} in all`,
          },
          {
            title: 'Delivered/s',
            value: rateText(rateOf(samples, 'delivered')),
            hint: `${number(stats.delivered)} in all`,
          },
          { title: 'Acked/s', value: rateText(rateOf(samples, 'acked')), hint: `${number(stats.acked)} in all` },
          { title: 'Size', value: size(stats.bytes), hint: 'Of the SETs held.' },
        ]}
      />
      <section aria-labelledby="depth">
        <h2 id="depth">Depth <small>since the console was opened</small></h2>
        <${DepthChart} samples=${samples} label="SETs of ${id}" />
      </section>
      <nav class="tabs" aria-label="About ${id}">
        ${tabsOf(stats).map(
          ([name, title]) =>
            html`<a key=${name} href=${toReceiver(id, name)} aria-current=${name === tab ? 'page' : undefined}>${title}</a>`,
        )}
      </nav>
      ${this.#renderTab({ ...this.props, stats, record, onChange: () => this.#look() })}
    `
  }

  /** @param {PartProps} props */
  #renderTab(props) {
    switch (props.tab) {
      case 'parked':
        return html`<${Parked} ...${props} />`
      case 'errors':
        return html`<${Reports} ...${props} />`
      case 'replay':
        return html`<${Replay} ...${props} />`
      case 'settings':
        return html`<${Settings} ...${props} />`
      default:
        return html`<${Sets} ...${props} />`
    }
  }
}

/**
 * @param {Stats} stats
 * @returns {(readonly [name: string, title: string])[]}
 */
function tabsOf(stats) {
  return [
    ['sets', 'SETs'],
    ['parked', stats.parked > 0 ? `Dead letters (${number(stats.parked)})` : 'Dead letters'],
    ['errors', 'Errors'],
    ['replay', 'Replay'],
    ['settings', 'Settings'],
  ]
}
