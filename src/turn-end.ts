/**
 * The end of a turn of the event loop, when all that came together was read: the phase of `setImmediate`. What is put off
 * from there, or from a promise that settles there, would come only after all that the next turn reads. It is called by
 * `nextTick` instead, when these promises have settled, and so is what is put off from it: two levels, for signatures,
 * what is appended with them, and its write. No more, so that nothing can keep the loop from its turns.
 */
const DEPTH_MAX = 2

/** Of what is put off now; undefined where that is for the end of a turn. */
let depth: number | undefined

export function atTurnsEnd(callback: () => void): void {
  if (depth === undefined) setImmediate(run, callback, 0)
  else whenSettled(run, callback, depth)
}

/** Node.js comes to a tick that a microtask asks for when no promise is left to settle. */
function whenSettled<Args extends readonly unknown[]>(callback: (...args: Args) => void, ...args: Args): void {
  queueMicrotask(() => process.nextTick(callback, ...args))
}

function run(callback: () => void, itsDepth: number): void {
  depth = itsDepth < DEPTH_MAX ? itsDepth + 1 : undefined
  whenSettled(close)
  callback()
}

function close(): void {
  depth = undefined
}
