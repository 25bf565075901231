/** A list that is read page by page, and shown as a table. */
import { html } from '../html.js'
import { Component } from '../vendor/preact.js'
import { Failure } from '../view.js'

/**
 * @template T
 * @typedef {{
 *   readonly load: (cursor: string | undefined) => Promise<import('../types.d.ts').Page<T>>,
 *   readonly columns: readonly Column<T>[],
 *   readonly caption: string,
 *   readonly empty: string,
 *   readonly keyOf: (item: T) => string,
 *   readonly onFailure: import('../view.js').OnFailure,
 *   readonly selected?: ReadonlySet<string>,
 *   readonly onSelect?: (selected: ReadonlySet<string>) => void,
 * }} Props
 */
/**
 * @template T
 * @typedef {{ readonly title: string, readonly value: (item: T) => unknown, readonly kind?: 'number' | 'time' }} Column
 */
/** @typedef {{ items: readonly any[], next: string | undefined, isLoading: boolean, error: unknown }} State */

/** @extends {Component<Props<any>, State>} */
export class PagedList extends Component {
  /** @type {State} */
  state = { items: [], next: undefined, isLoading: true, error: undefined }
  #isGone = false

  componentDidMount() {
    this.#load(undefined)
  }

  componentWillUnmount() {
    this.#isGone = true
  }

  /** @param {string | undefined} cursor undefined: from the beginning */
  async #load(cursor) {
    this.setState({ isLoading: true, error: undefined })
    try {
      const { items, next } = await this.props.load(cursor)
      if (this.#isGone) return
      const before = cursor === undefined ? [] : this.state.items
      this.setState({ items: [...before, ...items], next, isLoading: false })
    } catch (error) {
      if (this.#isGone) return
      this.setState({ isLoading: false, error })
      this.props.onFailure(error)
    }
  }

  /**
   * @param {string} key
   * @param {boolean} isChosen
   */
  #choose(key, isChosen) {
    const selected = new Set(this.props.selected)
    if (isChosen) selected.add(key)
    else selected.delete(key)
    this.props.onSelect?.(selected)
  }

  render() {
    const { columns, caption, empty, keyOf, selected, onSelect } = this.props
    const { items, next, isLoading, error } = this.state
    const isChoosing = selected !== undefined && onSelect !== undefined
    const isEvery = isChoosing && items.length > 0 && items.every(item => selected.has(keyOf(item)))
    const checked = (/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.currentTarget).checked
    return html`
      <div class="list" aria-busy=${isLoading}>
        <${Failure} error=${error} />
        ${
          items.length > 0 &&
          html`
            <table class="cards">
              <caption class="unseen">${caption}</caption>
              <thead>
                <tr>
                  ${
                    isChoosing &&
                    html`
                      <th class="choice">
                        <input
                          type="checkbox"
                          aria-label="Select all shown"
                          checked=${isEvery}
                          onChange=${(/** @type {Event} */ event) =>
                            onSelect(new Set(checked(event) ? items.map(keyOf) : []))}
                        />
                      </th>
                    `
                  }
                  ${columns.map(({ title, kind = '' }) => html`<th class=${kind} scope="col">${title}</th>`)}
                </tr>
              </thead>
              <tbody>
                ${items.map(
                  item => html`
                    <tr key=${keyOf(item)}>
                      ${
                        isChoosing &&
                        html`
                          <td class="choice">
                            <input
                              type="checkbox"
                              aria-label="Select ${keyOf(item)}"
                              checked=${selected.has(keyOf(item))}
                              onChange=${(/** @type {Event} */ event) => this.#choose(keyOf(item), checked(event))}
                            />
                          </td>
                        `
                      }
                      ${columns.map(
                        ({ title, value, kind = '' }) =>
                          html`<td class=${kind} data-title=${title}>${value(item)}</td>`,
                      )}
                    </tr>
                  `,
                )}
              </tbody>
            </table>
          `
        }
        ${!isLoading && error === undefined && items.length === 0 && html`<p class="empty">${empty}</p>`}
        <div class="actions">
          <button type="button" class="quiet" disabled=${isLoading} onClick=${() => this.#load(undefined)}>
            ${isLoading ? 'Loading …' : 'Refresh'}
          </button>
          ${
            next !== undefined &&
            html`<button type="button" class="quiet" disabled=${isLoading} onClick=${() => this.#load(next)}>More</button>`
          }
        </div>
      </div>
    `
  }
}
