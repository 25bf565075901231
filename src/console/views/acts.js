/** What an administrator can do from the console, each with the question that is asked before. */
import { segment } from '../api.js'
import { number, time } from '../format.js'

/** @typedef {import('../api.js').Api} Api */
/** @typedef {import('../parts/confirm.js').Question} Question */
/** @typedef {import('../types.d.ts').Moved} Moved */
/** @typedef {{ jtis: readonly string[] } | { all: boolean, count: number }} Choice */

/** @param {number} count */
const sets = count => `${number(count)} ${count === 1 ? 'SET' : 'SETs'}`

/** @param {Choice} choice */
const countOf = choice => ('jtis' in choice ? choice.jtis.length : choice.count)

/**
 * @param {Api} api
 * @param {string} id
 * @param {Choice} choice
 * @returns {Question}
 */
export function requeueing(api, id, choice) {
  const count = countOf(choice)
  return {
    title: `Requeue ${sets(count)}?`,
    text: `${id} gets ${count === 1 ? 'it' : 'them'} again under the same jti, with attempts counted from the beginning.`,
    action: 'Requeue',
    run: async progress => {
      const path = `v1/receivers/${segment(id)}/parked/requeue`
      const moved = await move(choice, body => api.post(path, body), progress)
      return `${sets(moved)} will be delivered again.`
    },
  }
}

/**
 * @param {Api} api
 * @param {string} id
 * @param {Choice} choice
 * @returns {Question}
 */
export function discarding(api, id, choice) {
  const count = countOf(choice)
  return {
    title: `Discard ${sets(count)}?`,
    text: `${count === 1 ? 'It is' : 'They are'} removed for good: ${id} never gets ${count === 1 ? 'it' : 'them'}, and nobody can bring ${count === 1 ? 'it' : 'them'} back.`,
    action: 'Discard',
    isDangerous: true,
    // Whoever discards everything has to know whose.
    ...('all' in choice ? { typed: id } : {}),
    run: async progress => {
      const path = `v1/receivers/${segment(id)}/parked`
      const moved = await move(choice, body => api.delete(path, body), progress)
      return `${sets(moved)} discarded.`
    },
  }
}

/**
 * @param {Api} api
 * @param {string} id
 * @param {string} from
 * @param {string | undefined} to
 * @returns {Question}
 */
export function replaying(api, id, from, to) {
  const until = to ?? new Date(api.nowMs()).toISOString()
  return {
    title: `Replay to ${id}?`,
    text: `Everything it acknowledged from ${time(from)} to ${time(until)} and that is still retained is delivered again. A receiver that keeps jtis recognises it.`,
    action: 'Replay',
    run: async progress => {
      let moved = 0
      for (;;) {
        /** @type {Moved} */
        const step = await api.post(`v1/receivers/${segment(id)}/replay`, { from, to: until })
        moved += step.moved
        if (step.remaining === 0 || step.moved === 0) {
          const kept = step.retainedFrom === undefined ? '' : ` The oldest retained is of ${time(step.retainedFrom)}.`
          return `${sets(moved)} will be delivered again.${kept}`
        }
        progress(`${sets(moved)} so far …`)
      }
    },
  }
}

/**
 * One call moves a part of many: it is made again while it finds more.
 * @param {Choice} choice
 * @param {(body: object) => Promise<Moved>} call
 * @param {(text: string) => void} progress
 */
async function move(choice, call, progress) {
  if ('jtis' in choice) return (await call({ jtis: choice.jtis })).moved
  let moved = 0
  // What is parked meanwhile was not asked about.
  while (moved < choice.count) {
    const step = await call({ all: true })
    moved += step.moved
    if (step.remaining === 0 || step.moved === 0) break
    progress(`${number(moved)} of ${number(choice.count)} …`)
  }
  return moved
}
