/** Depth over time: what was queued, in flight, owed again and parked since the console was opened. */
import { number } from '../format.js'
import { html } from '../html.js'
import { Component, createRef } from '../vendor/preact.js'
import UPlot from '../vendor/uplot.js'

/** @typedef {import('../types.d.ts').Sample} Sample */
/** @typedef {{ samples: readonly Sample[], label: string }} Props */

const HEIGHT = 220
/** What a quiet chart shows, so that a few samples are not stretched over its width. */
const SPAN_MIN_SECONDS = 60
const clock = (/** @type {number} */ seconds) => new Date(seconds * 1000).toLocaleTimeString('en-GB')
const SERIES = /** @type {const} */ ([
  ['queued', 'queued'],
  ['inFlight', 'in flight'],
  ['owedAgain', 'owed again'],
  ['parked', 'parked'],
])

/** @extends {Component<Props>} */
export class DepthChart extends Component {
  #box = createRef()
  /** @type {UPlot | undefined} */
  #plot
  #scheme = matchMedia('(prefers-color-scheme: dark)')
  #resize = new ResizeObserver(() => this.#fit())
  #draw = () => {
    this.#plot?.destroy()
    this.#plot = new UPlot(optionsOf(this.#box.current), dataOf(this.props.samples), this.#box.current)
    // Only then does it take what its legend is to tell.
    this.#plot.hooks.ready = [() => this.#tellLast()]
  }

  componentDidMount() {
    this.#draw()
    this.#resize.observe(this.#box.current)
    // Colours are read once, when it is drawn.
    this.#scheme.addEventListener('change', this.#draw)
  }

  componentDidUpdate() {
    this.#plot?.setData(dataOf(this.props.samples))
    this.#tellLast()
  }

  componentWillUnmount() {
    this.#resize.disconnect()
    this.#scheme.removeEventListener('change', this.#draw)
    this.#plot?.destroy()
  }

  /** The legend tells the newest, unless somebody points at another moment. */
  #tellLast() {
    const plot = this.#plot
    if (plot !== undefined && (plot.cursor.idx ?? null) === null) plot.setLegend({ idx: this.props.samples.length - 1 })
  }

  #fit() {
    const width = this.#box.current?.clientWidth ?? 0
    if (width > 0 && this.#plot !== undefined && this.#plot.width !== width)
      this.#plot.setSize({ width, height: HEIGHT })
  }

  render() {
    const last = this.props.samples.at(-1)
    const now =
      last === undefined ? 'nothing yet' : SERIES.map(([name, title]) => `${number(last[name])} ${title}`).join(', ')
    return html`<div class="chart" ref=${this.#box} role="img" aria-label="${this.props.label}: ${now}"></div>`
  }
}

/**
 * @param {readonly Sample[]} samples
 * @returns {UPlot.AlignedData}
 */
function dataOf(samples) {
  return [samples.map(({ atMs }) => atMs / 1000), ...SERIES.map(([name]) => samples.map(sample => sample[name]))]
}

/**
 * @param {HTMLElement} box
 * @returns {UPlot.Options}
 */
function optionsOf(box) {
  const style = getComputedStyle(box)
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--muted'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: box.clientWidth || 320,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: {
        // Not what uPlot takes for the range: to one sample alone it gives a whole day.
        range: ({ data: [times] }) => {
          const last = times.at(-1) ?? 0
          return [Math.min(times[0] ?? last, last - SPAN_MIN_SECONDS), last]
        },
      },
      y: { range: (_plot, _min, max) => [0, Math.max(5, max * 1.1)] },
    },
    axes: [
      { ...axis, space: 80, size: 32, values: (_plot, ticks) => ticks.map(clock) },
      { ...axis, size: 56, values: (_plot, ticks) => ticks.map(tick => (Number.isInteger(tick) ? number(tick) : '')) },
    ],
    series: [
      { label: 'time', value: (_plot, at) => (at === null ? '–' : clock(at)) },
      ...SERIES.map(([name, title]) => ({
        label: title,
        stroke: colour(`--series-${name.toLowerCase()}`),
        width: 2,
        points: { show: false },
      })),
    ],
  }
}
