/**
 * The end of a turn of the event loop, when all that came together was read. What is put off until then, by what was put off,
 * follows within the same end: Node.js would have it wait for another turn, and for all that is to be read in that.
 */
let isEnding = false

export function atTurnsEnd(callback: () => void): void {
  // Behind the promises that were settled meanwhile.
  if (isEnding) process.nextTick(callback)
  else setImmediate(end, callback)
}

function end(callback: () => void): void {
  isEnding = true
  queueMicrotask(passed)
  callback()
}

function passed(): void {
  process.nextTick(() => {
    isEnding = false
  })
}
