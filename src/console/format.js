/** How numbers and times are shown. Pure. */

const grouped = new Intl.NumberFormat('en')

/** @param {number} count */
export function number(count) {
  return grouped.format(count)
}

/** @param {number} perSecond */
export function rate(perSecond) {
  if (perSecond <= 0) return '0'
  if (perSecond < 10) return perSecond.toFixed(1)
  return grouped.format(Math.round(perSecond))
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1) return seconds <= 0 ? '0 s' : '< 1 s'
  if (seconds < 120) return `${Math.floor(seconds)} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${grouped.format(Math.floor(seconds / 86_400))} d`
}

/**
 * @param {string | undefined} iso
 * @param {number} nowMs
 */
export function ago(iso, nowMs) {
  if (iso === undefined) return 'never'
  const seconds = Math.max(0, (nowMs - Date.parse(iso)) / 1000)
  return seconds < 3 ? 'now' : `${duration(seconds)} ago`
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1_048_576) return `${(bytes / 1024).toFixed(1)} KiB`
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}

/**
 * In the time zone of whoever looks.
 * @param {string} iso
 */
export function time(iso) {
  const date = new Date(iso)
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** @type {Readonly<Record<string, string>>} */
const STATES = {
  queued: 'queued',
  inFlight: 'in flight',
  owedAgain: 'owed again',
  parked: 'parked',
  acknowledged: 'acknowledged',
  discarded: 'discarded',
}

/** @param {string} state as the interface names it */
export function stateName(state) {
  return STATES[state] ?? state
}

/** @type {Readonly<Record<string, string>>} */
const REASONS = {
  reported: 'refused by the receiver',
  attempts: 'out of attempts',
  expired: 'expired',
  disabled: 'receiver disabled',
}

/** @param {string} reason as the interface names it */
export function reasonName(reason) {
  return REASONS[reason] ?? reason
}
