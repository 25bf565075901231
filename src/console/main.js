/** The console begins here. */
import { App } from './app.js'
import { html } from './html.js'
import { render } from './vendor/preact.js'

const root = /** @type {HTMLElement} */ (document.getElementById('console'))
render(html`<${App} />`, root)
