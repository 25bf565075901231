/** Views are written as HTML in template literals, which htm reads at run time: nothing has to be built. */
import htm from './vendor/htm.js'
import { h } from './vendor/preact.js'

/** @typedef {import('./vendor/preact.js').VNode} VNode */

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => VNode} */
export const html = /** @type {any} */ (htm.bind(/** @type {any} */ (h)))
