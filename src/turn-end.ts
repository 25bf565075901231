/**
 * The end of a turn of the event loop, when all that came together was read: the phase of `setImmediate`. What is put off
 * from there, or from a promise that settles there, would come only after all that the next turn reads. It is called by
 * `nextTick` instead, when these promises have settled: once, so that nothing can keep the loop from its turns.
 */
let isEnding = false

export function atTurnsEnd(callback: () => void): void {
  if (isEnding) process.nextTick(close, callback)
  else setImmediate(end, callback)
}

function end(callback: () => void): void {
  isEnding = true
  // Node.js comes to this tick when no promise is left to settle.
  queueMicrotask(() => process.nextTick(close))
  callback()
}

function close(callback?: () => void): void {
  isEnding = false
  callback?.()
}
