/** What the receiver reported about SETs it refused (`setErrs`). */
import { segment } from '../../api.js'
import { number, time } from '../../format.js'
import { html } from '../../html.js'
import { PagedList } from '../../parts/list.js'
import { toSet } from '../../route.js'

/** @typedef {import('../../types.d.ts').Report} Report */

/** @param {import('../receiver.js').PartProps} props */
export function Reports({ id, session, onFailure }) {
  /** @type {import('../../parts/list.js').Column<Report>[]} */
  const columns = [
    { title: 'When', value: ({ at }) => time(at), kind: 'time' },
    { title: 'jti', value: ({ jti }) => html`<a class="code" href=${toSet(id, jti)}>${jti}</a>` },
    { title: 'Code', value: ({ err }) => html`<code>${err}</code>` },
    { title: 'Description', value: ({ description }) => html`<span class="said">${description}</span>` },
    { title: 'Language', value: ({ language = '' }) => language },
    { title: 'Attempts', value: ({ attempts }) => number(attempts), kind: 'number' },
  ]
  return html`
    <section aria-labelledby="errors">
      <h2 id="errors" class="unseen">Errors</h2>
      <${PagedList}
        caption="Reports of the receiver, newest first"
        columns=${columns}
        empty="The receiver has reported no errors."
        keyOf=${(/** @type {Report} */ { jti, at }) => `${at} ${jti}`}
        load=${(/** @type {string | undefined} */ cursor) =>
          session.api.get(`v1/receivers/${segment(id)}/errors`, { limit: 50, cursor })}
        onFailure=${onFailure}
      />
    </section>
  `
}
