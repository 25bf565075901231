/** A receiver's SETs by state. */
import { segment } from '../../api.js'
import { duration, number, reasonName, size, stateName, time } from '../../format.js'
import { html } from '../../html.js'
import { PagedList } from '../../parts/list.js'
import { toReceiver, toSet } from '../../route.js'

/** @typedef {import('../../types.d.ts').ListedSet} ListedSet */

/** State → the number that `/stats` has for it. @type {readonly (readonly [state: string, count: 'queued' | 'inFlight' | 'owedAgain' | 'parked' | 'retained'])[]} */
const STATES = [
  ['queued', 'queued'],
  ['inFlight', 'inFlight'],
  ['owedAgain', 'owedAgain'],
  ['parked', 'parked'],
  ['acknowledged', 'retained'],
]

/** @param {import('../receiver.js').PartProps} props */
export function Sets({ id, state, stats, session, onFailure }) {
  const shown = STATES.some(([name]) => name === state) ? state : 'queued'
  /** @type {import('../../parts/list.js').Column<ListedSet>[]} */
  const columns = [
    { title: 'jti', value: ({ jti }) => html`<a class="code" href=${toSet(id, jti)}>${jti}</a>` },
    { title: 'Published', value: ({ publishedAt }) => time(publishedAt), kind: 'time' },
    { title: 'Attempts', value: ({ attempts }) => number(attempts), kind: 'number' },
    { title: 'Size', value: ({ bytes }) => size(bytes), kind: 'number' },
  ]
  if (shown === 'inFlight' || shown === 'owedAgain') {
    columns.push({ title: 'Since', value: ({ inStateSeconds = 0 }) => duration(inStateSeconds), kind: 'number' })
  }
  if (shown === 'parked') columns.push({ title: 'Reason', value: ({ reason = '' }) => reasonName(reason) })
  return html`
    <section aria-labelledby="sets">
      <h2 id="sets" class="unseen">SETs by state</h2>
      <nav class="choices" aria-label="State">
        ${STATES.map(
          ([name, count]) => html`
            <a key=${name} href="${toReceiver(id, 'sets')}?state=${name}" aria-current=${name === shown ? 'true' : undefined}>
              ${stateName(name)} <span class="count">${number(stats[count])}</span>
            </a>
          `,
        )}
      </nav>
      <${PagedList}
        key=${shown}
        caption="SETs that are ${stateName(shown)}"
        columns=${columns}
        empty=${
          shown === 'acknowledged'
            ? 'None. Acknowledged SETs are kept only as long as retainAckedMs says.'
            : `No SET is ${stateName(shown)}.`
        }
        keyOf=${(/** @type {ListedSet} */ { jti }) => jti}
        load=${(/** @type {string | undefined} */ cursor) =>
          session.api.get(`v1/receivers/${segment(id)}/sets`, { state: shown, limit: 50, cursor })}
        onFailure=${onFailure}
      />
    </section>
  `
}
