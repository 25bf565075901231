/**
 * Further properties that a vector states in words. Each check names the sentences it stands for; a sentence nobody
 * here checks is reported as such with the result. Polls made on the way are held to the protocol anyway: byte-identical
 * tokens, no members too many, no-store.
 */
import { pollFaults } from './after.ts'
import type { Meanwhile } from './during.ts'
import { type Exchange, type Outcome, type RawRequest, send } from './raw-http.ts'
import type { Scene } from './scene.ts'
import type { Listed } from './transmitter.ts'
import type { Vector } from './vector.ts'

export interface Observed {
  readonly vector: Vector
  readonly scene: Scene
  readonly request: RawRequest
  readonly exchange: Exchange
  readonly outcome: Outcome
  readonly meanwhile: Meanwhile
}

interface Check {
  readonly sentence: RegExp
  /** Taken before the request is sent. */
  readonly before?: (scene: Scene) => Promise<number | undefined>
  readonly whileHeld?: (seen: Pick<Observed, 'vector' | 'scene' | 'exchange'>) => Promise<string[]>
  readonly afterwards?: (seen: Observed, before: number | undefined, sentence: string) => Promise<string[]> | string[]
}

/** Shown by checks that every vector goes through: status, timing, state, tokens, echo, what comes after. */
const ALWAYS_CHECKED =
  /no delivery state changes|repeats no submitted value|token string equals|released when the terminate signal|a poll sent after the abort/i

const LOG_LINES_MAX = 20
const COUNTED_WITHIN_MS = 5000

const CHECKS: readonly Check[] = [
  {
    sentence: /acknowledgement is stored when the hold begins/i,
    async whileHeld({ vector, scene: { feed }, exchange }) {
      const { ack } = vector.request.body as { ack: readonly string[] }
      const isGone = async (jti: string) =>
        [undefined, 'acknowledged'].includes((await feed.api.setState(feed.id, jti)).state)
      while (!exchange.ended) {
        if ((await Promise.all(ack.map(isGone))).every(gone => gone) && !exchange.ended) return []
      }
      return ['the acknowledgement was not stored while the poll was held']
    },
  },
  {
    sentence: /kept with language (\S+)/i,
    async afterwards({ scene, vector }, _before, sentence) {
      const language = /kept with language (\S+)/i.exec(sentence)?.[1]
      return reportFaults(await reportsOf(scene, vector), `language ${language}`, report =>
        Object.values(report).includes(language),
      )
    },
  },
  {
    sentence: /language unknown/i,
    async afterwards({ scene, vector }) {
      return reportFaults(await reportsOf(scene, vector), 'no language', ({ language }) => !language)
    },
  },
  {
    sentence: /code kept verbatim/i,
    before: scene => scene.feed.api.counter('setstream_set_errors_total', { err: 'other' }),
    async afterwards({ scene, vector }, before, sentence) {
      const { setErrs } = vector.request.body as { setErrs: Record<string, { err: string }> }
      const faults = reportFaults(
        await reportsOf(scene, vector),
        'the code as it was sent',
        ({ jti, err }) => err === setErrs[jti ?? '']?.err,
      )
      if (!/metric label other/i.test(sentence)) return faults
      return [...faults, ...(await risen(scene, before, 'setstream_set_errors_total', { err: 'other' }))]
    },
  },
  {
    sentence: /description is truncated/i,
    async afterwards({ scene, vector, request }) {
      return reportFaults(
        await reportsOf(scene, vector),
        'a description shorter than it was sent',
        ({ description }) =>
          typeof description === 'string' && description.length > 0 && description.length < request.body.length / 10,
      )
    },
  },
  {
    sentence: /counter of unknown members rises/i,
    before: scene => scene.feed.api.counter('setstream_unknown_members_total'),
    afterwards: ({ scene }, before) => risen(scene, before, 'setstream_unknown_members_total'),
  },
  {
    sentence: /answered within (\d+) ?s/i,
    afterwards({ outcome }, _before, sentence) {
      const most = Number(/within (\d+) ?s/i.exec(sentence)?.[1]) * 1000
      return outcome.afterMs <= most ? [] : [`answered after ${Math.round(outcome.afterMs)} ms, wanted ${most}`]
    },
  },
  {
    sentence: /bounded number of log lines|one log line/i,
    afterwards({ scene: { transmitter, feed } }) {
      const lines = transmitter.logLines?.().filter(line => line.includes(feed.id) || line.includes('bulk-')) ?? []
      return lines.length <= LOG_LINES_MAX ? [] : [`${lines.length} log lines for one request`]
    },
  },
  {
    sentence: /all of them are acknowledged/i,
    async afterwards({ scene: { feed } }) {
      const { queued, inFlight, owedAgain, parked } = await feed.api.stats(feed.id)
      const left = Number(queued) + Number(inFlight) + Number(owedAgain) + Number(parked)
      const faults = left === 0 ? [] : [`${left} SETs are still owed or parked`]
      return [...faults, ...(await pollFaults(feed, [], [...feed.tokens.keys()]))]
    },
  },
  {
    sentence: /nothing (is )?parked|not listed as invalid|no dead.letter entry/i,
    async afterwards({ scene: { feed } }) {
      const parked = await feed.api.parked(feed.id)
      return parked.length === 0 ? [] : [`parked: ${parked.map(({ jti }) => jti).join(', ')}`]
    },
  },
  {
    sentence: /prototypes? unchanged|serves the next poll|process (stays up|alive)/i,
    async afterwards({ scene: { feed } }) {
      const { sets } = await feed.poll({ maxEvents: 0, returnImmediately: true })
      return sets.size === 0 ? [] : ['the next poll returned SETs in spite of maxEvents 0']
    },
  },
  {
    sentence: /never 5xx/i,
    async afterwards({ outcome, meanwhile }) {
      const answered = [outcome, ...(await endedOnes(meanwhile.companions))]
      const broken = answered.filter(ended => ended.kind === 'answered' && ended.answer.status >= 500)
      return broken.length === 0 ? [] : [`${broken.length} answers were 5xx`]
    },
  },
  {
    sentence: /does not appear in (the )?logs?/i,
    afterwards({ scene: { transmitter, feed } }) {
      return transmitter.logLines?.().some(line => line.includes(feed.token)) ? ['the token is in the log'] : []
    },
  },
  {
    sentence: /oldest held one.* is released/i,
    async afterwards({ scene: { feed }, meanwhile }) {
      const [oldest, ...newer] = meanwhile.companions
      if (oldest === undefined) return ['there were no newer polls']
      // One more releases the next; answers to later requests show that the earlier ones were looked at.
      const further = feed.openPoll({})
      await Promise.race([oldest.outcome, further.outcome])
      for (let probes = 0; probes < 3; probes++) await feed.poll({ maxEvents: 0, returnImmediately: true })
      const tooMany = [...newer, further].filter(({ ended }) => ended).length
      further.abort()
      return oldest.ended && tooMany === 0 ? [] : [`${tooMany} polls newer than the two oldest ended as well`]
    },
  },
  {
    sentence: /other streams? (is|are) unaffected/i,
    afterwards({ meanwhile }) {
      return meanwhile.bystander?.ended ? ['a poll held on another stream ended as well'] : []
    },
  },
  {
    sentence: /exactly one of the two held polls/i,
    async afterwards({ scene: { feed }, outcome, meanwhile }) {
      const [companion] = meanwhile.companions
      if (companion === undefined) return ['there was no second poll']
      const answers = [outcome, await companion.outcome].map(ended => feed.readPoll(ended))
      const [found, empty] = answers.toSorted((a, b) => size(b) - size(a))
      if (size(found) === 1 && size(empty) === 0) return []
      return [`one SET wanted in one of two answers, got ${answers.map(size).join(' and ')}`]
    },
  },
  {
    sentence: /same (status|answer|headers|body)|indistinguishable|as (for )?an? unknown/i,
    async afterwards({ scene, request, outcome }) {
      const { feed, transmitter } = scene
      const target = feed.pollTarget.replace(feed.id, `${feed.id.slice(0, 40)}-unknown`)
      const unknown = await send(transmitter.publicUrl, { ...request, target }, scene.pollWaitMs + 10_000).outcome
      return shown(outcome) === shown(unknown) ? [] : ['the answer differs from that for an unknown stream']
    },
  },
]

export interface Invariants {
  readonly unchecked: readonly string[]
  whileHeld(seen: Pick<Observed, 'vector' | 'scene' | 'exchange'>): Promise<string[]>
  afterwards(seen: Observed): Promise<string[]>
}

export async function prepareInvariants(vector: Vector, scene: Scene): Promise<Invariants> {
  const sentences = vector.expect.invariants ?? []
  const prepared = await Promise.all(
    sentences.flatMap(sentence =>
      CHECKS.filter(check => check.sentence.test(sentence)).map(async check => ({
        sentence,
        check,
        before: await check.before?.(scene),
      })),
    ),
  )
  return {
    unchecked: sentences.filter(
      sentence => !ALWAYS_CHECKED.test(sentence) && !CHECKS.some(check => check.sentence.test(sentence)),
    ),
    async whileHeld(seen) {
      return (await Promise.all(prepared.map(({ check }) => check.whileHeld?.(seen) ?? []))).flat()
    },
    async afterwards(seen) {
      const faults: string[] = []
      for (const { check, before, sentence } of prepared) {
        faults.push(...((await check.afterwards?.(seen, before, sentence)) ?? []))
      }
      return faults
    },
  }
}

async function reportsOf({ feed }: Scene, vector: Vector): Promise<Listed[]> {
  const jtis = vector.expect.after?.parked ?? []
  return (await feed.api.errors(feed.id)).filter(({ jti }) => jtis.includes(jti ?? ''))
}

function reportFaults(reports: readonly Listed[], wanted: string, holds: (report: Listed) => boolean): string[] {
  if (reports.length === 0) return ['no report is listed']
  return reports.every(holds) ? [] : [`a report was not kept with ${wanted}: ${JSON.stringify(reports).slice(0, 300)}`]
}

/** Counting may come after the answer, even in another process: it is asked for until it shows. */
async function risen(scene: Scene, before: number | undefined, name: string, labels: Record<string, string> = {}) {
  if (before === undefined) return []
  const askedFrom = performance.now()
  while (performance.now() - askedFrom < COUNTED_WITHIN_MS) {
    if (((await scene.feed.api.counter(name, labels)) ?? 0) > before) return []
  }
  return [`${name} did not rise above ${before}`]
}

async function endedOnes(exchanges: readonly Exchange[]): Promise<Outcome[]> {
  return Promise.all(exchanges.filter(({ ended }) => ended).map(({ outcome }) => outcome))
}

function size(answer: ReturnType<Scene['feed']['readPoll']> | undefined): number {
  return typeof answer === 'object' ? answer.sets.size : 0
}

function shown(outcome: Outcome): string {
  if (outcome.kind !== 'answered') return outcome.kind
  const { status, headers, body } = outcome.answer
  const names = [...headers.keys()].filter(name => name !== 'date').sort()
  return [status, ...names.map(name => `${name}: ${headers.get(name)}`), body.toString()].join('\n')
}
