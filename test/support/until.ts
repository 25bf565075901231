/** Waits for what a test observes, never for a while. */
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks until the answer is neither undefined nor false.
 * @throws after `withinMs`, naming what was waited for and what was seen last.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 5000,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await delay(5)
  }
}
