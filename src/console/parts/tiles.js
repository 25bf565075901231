/** Numbers side by side. */
import { html } from '../html.js'

/** @typedef {{ readonly title: string, readonly value: string, readonly tone?: string, readonly hint?: string }} Tile */

/** @param {{ tiles: readonly Tile[] }} props */
export function Tiles({ tiles }) {
  return html`
    <dl class="tiles">
      ${tiles.map(
        ({ title, value, tone = '', hint }) => html`
          <div class=${tone} title=${hint}>
            <dt>${title}</dt>
            <dd>${value}</dd>
          </div>
        `,
      )}
    </dl>
  `
}
