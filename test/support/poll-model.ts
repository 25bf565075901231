/**
 * What a receiver's SETs are to do, in memory and in the plainest words: the life cycle of design section 6 without Redis.
 * A property test lets it run beside the real thing and compares after every step.
 */
export type State = 'queued' | 'inflight' | 'due' | 'parked'

export interface ModelSet {
  readonly jti: string
  readonly token: string
  /** Place in the order in which SETs were taken. */
  readonly place: number
  state: State
  attempts: number
  /** In flight for R. */
  hasLapsed: boolean
  parked: { readonly reason: string; readonly attempts: number } | undefined
}

export interface ModelPage {
  readonly fresh: readonly ModelSet[]
  readonly again: readonly ModelSet[]
  readonly moreAvailable: boolean
}

export interface ModelOptions {
  readonly backlogMax: number
  /** 0 is no limit. */
  readonly maxAttempts: number
  readonly isRetaining: boolean
}

export class ReceiverModel {
  readonly #options: ModelOptions
  /** What is not final. */
  readonly open = new Map<string, ModelSet>()
  status: 'enabled' | 'paused' | 'disabled' = 'enabled'
  retained: ModelSet[] = []
  readonly everHandedOut: string[] = []
  readonly #remembered = new Set<string>()
  readonly #givenBack = new Set<ModelSet>()
  #places = 0
  #owedHasTurn = true

  constructor(options: ModelOptions) {
    this.#options = options
  }

  inState(state: State): ModelSet[] {
    return [...this.open.values()].filter(set => set.state === state).toSorted((a, b) => a.place - b.place)
  }

  /** @param isRepeatable the producer gave an id, so that a repeat has to be known also when the SET is final. */
  append(jti: string, token: string, isRepeatable: boolean): string {
    if (this.status === 'disabled') return 'disabled'
    const known = this.open.get(jti)
    if (known !== undefined) return known.token === token ? 'duplicate' : 'conflict'
    if (this.#remembered.has(jti)) return 'duplicate'
    if (this.open.size >= this.#options.backlogMax) return 'full'
    if (isRepeatable) this.#remembered.add(jti)
    const place = this.#places++
    this.open.set(jti, { jti, token, place, state: 'queued', attempts: 0, hasLapsed: false, parked: undefined })
    return 'queued'
  }

  poll(limit: number, ack: readonly string[], reports: readonly string[]): ModelPage {
    for (const jti of reports) this.#report(jti)
    for (const jti of ack) this.#acknowledge(jti)
    this.lapse()
    const page = this.status === 'enabled' && limit > 0 ? this.#page(limit) : { fresh: [], again: [] }
    for (const set of page.fresh) this.#handOut(set)
    for (const set of page.again) this.#handOut(set)
    const isLeft = this.inState('queued').length + this.inState('due').length > 0
    return { ...page, moreAvailable: this.status === 'enabled' && isLeft }
  }

  #report(jti: string): void {
    const set = this.open.get(jti)
    if (set === undefined || !wasHandedOut(set) || set.parked?.reason === 'reported') return
    this.#park(set, 'reported')
  }

  #acknowledge(jti: string): void {
    const set = this.open.get(jti)
    if (set === undefined || !wasHandedOut(set) || set.parked?.reason === 'reported') return
    this.open.delete(jti)
    if (this.#options.isRetaining) this.retained.push(set)
  }

  /** What is in flight for R is owed again, or parked once it is out of attempts. */
  lapse(): void {
    const { maxAttempts } = this.#options
    for (const set of this.inState('inflight')) {
      if (!set.hasLapsed) continue
      if (maxAttempts > 0 && set.attempts >= maxAttempts) this.#park(set, 'attempts')
      else set.state = 'due'
    }
  }

  #page(limit: number): { fresh: ModelSet[]; again: ModelSet[] } {
    const [queued, due] = [this.inState('queued'), this.inState('due')]
    if (due.length === 0) return { fresh: queued.slice(0, limit), again: [] }
    let room = limit - Math.min(Math.floor(limit / 2), due.length)
    if (limit === 1) {
      room = this.#owedHasTurn ? 0 : 1
      this.#owedHasTurn = !this.#owedHasTurn
    }
    // Half for what is owed again, and each may have what the other leaves.
    const first = queued.slice(0, room)
    const again = due.slice(0, limit - first.length)
    const fresh = queued.slice(0, limit - again.length)
    return { fresh, again }
  }

  #handOut(set: ModelSet): void {
    set.state = 'inflight'
    set.attempts += 1
    set.hasLapsed = false
    this.everHandedOut.push(set.jti)
  }

  /** An answer that did not get out. */
  giveBack(page: readonly { readonly jti: string; readonly attempt: number }[]): number {
    let count = 0
    for (const { jti, attempt } of page) {
      const set = this.open.get(jti)
      if (set?.state !== 'inflight' || set.attempts !== attempt || this.#givenBack.has(set)) continue
      this.#givenBack.add(set)
      set.state = 'due'
      set.attempts -= 1
      count += 1
    }
    return count
  }

  requeue(jtis: readonly string[] | 'all'): number {
    const chosen = this.#parked(jtis)
    for (const set of chosen) {
      set.state = 'due'
      set.attempts = 0
      set.parked = undefined
    }
    return chosen.length
  }

  discard(jtis: readonly string[] | 'all'): number {
    const chosen = this.#parked(jtis)
    for (const { jti } of chosen) this.open.delete(jti)
    return chosen.length
  }

  replay(): number {
    const before = this.retained
    this.retained = []
    let count = 0
    for (const set of before) {
      if (this.open.has(set.jti)) continue
      this.open.set(set.jti, Object.assign(set, { state: 'due', attempts: 0, hasLapsed: false, parked: undefined }))
      count += 1
    }
    return count
  }

  /** Parks everything that is not. */
  parkAll(reason: 'expired' | 'disabled'): void {
    for (const set of this.open.values()) if (set.state !== 'parked') this.#park(set, reason)
  }

  #parked(jtis: readonly string[] | 'all'): ModelSet[] {
    const parked = this.inState('parked')
    return jtis === 'all' ? parked : parked.filter(({ jti }) => jtis.includes(jti))
  }

  #park(set: ModelSet, reason: string): void {
    set.parked = { reason, attempts: set.parked?.attempts ?? set.attempts }
    set.state = 'parked'
  }
}

/** Only what was handed out can be acknowledged or refused (D-14); what is owed again may have been. */
function wasHandedOut(set: ModelSet): boolean {
  if (set.parked !== undefined) return set.parked.reason === 'reported' || set.parked.attempts > 0
  return set.state !== 'queued'
}
