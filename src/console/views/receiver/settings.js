/** How the receiver is registered. Changing it is the business of the command line and the interface. */
import { time } from '../../format.js'
import { html } from '../../html.js'

/** @param {import('../receiver.js').PartProps} props */
export function Settings({ record }) {
  const lines = (/** @type {string | readonly string[]} */ values) =>
    [values].flat().map(value => html`<div key=${value}><code>${value}</code></div>`)
  const settings = Object.entries(record.settings)
  return html`
    <section aria-labelledby="settings">
      <h2 id="settings" class="unseen">Settings</h2>
      <dl class="facts">
        <dt>Audience</dt>
        <dd>${lines(record.audience)}</dd>
        <dt>Poll URL</dt>
        <dd><code>${record.pollUrl}</code></dd>
        <dt>Event types</dt>
        <dd>${lines(record.eventTypes)}</dd>
        ${record.owner !== undefined && html`<dt>Owner</dt><dd>${record.owner}</dd>`}
        <dt>Settings</dt>
        <dd>
          ${
            settings.length === 0
              ? 'as the process has them'
              : settings.map(([name, value]) => html`<div key=${name}><code>${name}: ${value}</code></div>`)
          }
        </dd>
        <dt>Registered</dt>
        <dd>${time(record.createdAt)}</dd>
        <dt>Changed</dt>
        <dd>${time(record.updatedAt)}</dd>
      </dl>
    </section>
  `
}
