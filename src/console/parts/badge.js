/** Words with a colour: status, state, trouble. The colour never says what the word does not. */
import { html } from '../html.js'

/** @type {Readonly<Record<string, string>>} */
const TONES = {
  enabled: 'ok',
  paused: 'warn',
  disabled: 'off',
  acknowledged: 'ok',
  'owed again': 'warn',
  parked: 'bad',
  discarded: 'off',
}

/** @param {{ word: string, tone?: string, title?: string }} props */
export function Badge({ word, tone, title }) {
  return html`<span class="badge ${tone ?? TONES[word] ?? ''}" title=${title}>${word}</span>`
}

/** @param {{ trouble: import('../trouble.js').Trouble }} props */
export function TroubleBadge({ trouble }) {
  const tone = trouble.severity === 3 ? 'bad' : trouble.severity === 2 ? 'warn' : 'off'
  return html`<${Badge} word=${trouble.label} tone=${tone} title=${trouble.advice} />`
}
