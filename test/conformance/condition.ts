/** The preconditions a vector states in words. They are matched loosely: a vector file may word them differently. */
import { NotRun } from './vector.ts'

export interface Conditions {
  /** That many more than the page cap are queued, besides those the vector names. */
  readonly queuedBeyondPage?: number
  /** `page-0` to `page-(C-1)` were delivered. */
  readonly fullPageDelivered?: boolean
  readonly budgetUsedUp?: boolean
  readonly parkedFor?: 'attempts' | 'report'
  readonly status?: 'paused' | 'disabled'
  readonly storeDown?: boolean
  readonly secondInstance?: boolean
  readonly pollWaitMs?: number
  /** What the transmitter may refuse at enqueue; then its owed check is skipped. */
  readonly mayBeRefused?: boolean
  /** The first SET named is larger than the byte budget of a page. */
  readonly oversizedSet?: boolean
}

type Reader = (match: RegExpExecArray) => Conditions

const READERS: readonly (readonly [RegExp, Reader])[] = [
  [
    /(?:page cap|\bC\b)\s*(?:plus|\+)\s*(\d+|one|two|three)\b.*\bqueued/i,
    match => ({ queuedBeyondPage: count(match[1] ?? '1') }),
  ],
  [/more (?:SETs )?than (?:a|one|the) page.*queued/i, () => ({ queuedBeyondPage: 1 })],
  [/page-0 to page-\(?C\s*-\s*1\)?.*delivered|full page.*delivered/i, () => ({ fullPageDelivered: true })],
  [
    /(?:budget|rate limit|allowance).*(?:used up|exhausted|exceeded|spent)|over the (?:rate )?limit/i,
    () => ({ budgetUsedUp: true }),
  ],
  [/parked\b.*(?:\bN\b|attempts)|attempts.*(?:used up|parked)/i, () => ({ parkedFor: 'attempts' })],
  [/parked\b.*(?:report|setErrs|invalid)|reported (?:as )?invalid/i, () => ({ parkedFor: 'report' })],
  [/\bpaused\b/i, () => ({ status: 'paused' })],
  [/\bdisabled\b/i, () => ({ status: 'disabled' })],
  [
    /\b(?:store|redis|storage|database|backend)\b.*(?:unavail|unreach|down|stop|fail|offline|lost|cut|refus|not (?:avail|reach|answer)|cannot|out of)/i,
    () => ({ storeDown: true }),
  ],
  [
    /(?:two|second|another|other|more than one) (?:\w+ )?(?:instance|process|node|server)/i,
    () => ({ secondInstance: true }),
  ],
  [/\bT\s*(?:=|is)\s*(\d+)\s*(ms|s)\b/, match => ({ pollWaitMs: Number(match[1]) * (match[2] === 's' ? 1000 : 1) })],
  [/skip the owed check if .*refuses/i, () => ({ mayBeRefused: true })],
  [
    /(?:larger|bigger) than (?:the |a )?(?:\w+ )*(?:budget|page)|exceeds (?:the |a )?(?:\w+ )*budget/i,
    () => ({ oversizedSet: true }),
  ],
]

/** @throws {NotRun} where nothing in the sentence is understood. */
export function readCondition(condition: string | undefined): Conditions {
  if (condition === undefined) return {}
  const read = READERS.flatMap(([pattern, reader]) => {
    const match = pattern.exec(condition)
    return match === null ? [] : [reader(match)]
  })
  if (read.length === 0) throw new NotRun(`unknown condition: ${condition}`)
  return Object.assign({}, ...read.reverse())
}

function count(word: string): number {
  return { one: 1, two: 2, three: 3 }[word.toLowerCase()] ?? Number(word)
}
