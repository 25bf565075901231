/** The depth of a receiver over the last minutes, in a word's space. The numbers beside it say it too. */
import { depthOf } from '../history.js'
import { html } from '../html.js'

/** @typedef {import('../types.d.ts').Sample} Sample */

const WIDTH = 88
const HEIGHT = 22
const SAMPLES_MAX = 60

/** @param {{ samples: readonly Sample[] }} props */
export function Sparkline({ samples }) {
  const shown = samples.slice(-SAMPLES_MAX).map(depthOf)
  const top = Math.max(...shown, 1)
  const points = shown.map((depth, i) => {
    // The newest is always at the right edge.
    const x = WIDTH - ((shown.length - 1 - i) * WIDTH) / (SAMPLES_MAX - 1)
    return `${x.toFixed(1)},${(HEIGHT - 2 - (depth * (HEIGHT - 4)) / top).toFixed(1)}`
  })
  return html`
    <svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" width=${WIDTH} height=${HEIGHT} aria-hidden="true">
      <polyline points=${points.join(' ')} />
    </svg>
  `
}
