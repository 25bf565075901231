/** What happens while the request of a vector is under way. */
import type { Bench } from './lab.ts'
import type { Exchange } from './raw-http.ts'
import type { Scene } from './scene.ts'
import { amount, type DuringAction, NotRun } from './vector.ts'

export interface Meanwhile {
  /** Further polls on the caller's stream, in the order they were opened. */
  readonly companions: readonly Exchange[]
  /** A poll on another stream, open since before the first companion. */
  readonly bystander: Exchange | undefined
  /** When each action was done, after the request was sent. */
  readonly doneAtMs: readonly number[]
  readonly faults: readonly string[]
  /** Resolves once every action is done, and a process that was told to end has ended. */
  readonly done: Promise<void>
  /** Leaves whatever polls are still open. */
  leave(): void
}

const ACTIONS = ['enqueue', 'clientAbort', 'openHeldPolls', 'terminateInstance']

/** @throws {NotRun} before anything is sent, where an action is unknown. */
export function checkActions(actions: readonly DuringAction[]): void {
  const unknown = actions.find(({ action }) => !ACTIONS.includes(action))
  if (unknown !== undefined) throw new NotRun(`unknown action ${unknown.action}`)
}

export function startMeanwhile(
  scene: Scene,
  bench: Bench,
  exchange: Exchange,
  actions: readonly DuringAction[],
): Meanwhile {
  const companions: Exchange[] = []
  const doneAtMs: number[] = []
  const faults: string[] = []
  let bystander: Exchange | undefined
  let exit: Promise<number | null> | undefined

  const perform = async ({ action, jti = 'conf-late', count = 1 }: DuringAction) => {
    switch (action) {
      case 'enqueue':
        return scene.feed.enqueue(jti, scene.conditions.secondInstance ? { through: await bench.secondInstance() } : {})
      case 'clientAbort':
        return exchange.abort()
      case 'terminateInstance':
        exit = bench.terminate()
        return
      case 'openHeldPolls': {
        bystander ??= (await scene.otherFeed()).openPoll({})
        await bystander.sent
        for (let opened = 0; opened < amount(count, scene.transmitter.limits); opened++) {
          companions.push(scene.feed.openPoll({}))
        }
        await Promise.all(companions.map(({ sent }) => sent))
      }
    }
  }
  const run = async () => {
    await exchange.sent
    const sentAt = performance.now()
    for (const action of actions.toSorted((a, b) => a.atMs - b.atMs)) {
      await new Promise(resolve => setTimeout(resolve, Math.max(0, sentAt + action.atMs - performance.now())))
      try {
        await perform(action)
        doneAtMs.push(performance.now() - sentAt)
      } catch (error) {
        faults.push(`${action.action} failed: ${(error as Error).message}`)
      }
    }
    const code = await exit
    if (code !== undefined && code !== 0) faults.push(`the process ended with ${code} after SIGTERM`)
  }
  return {
    companions,
    get bystander() {
      return bystander
    },
    doneAtMs,
    faults,
    done: run(),
    leave() {
      for (const open of [...companions, bystander]) open?.abort()
    },
  }
}
