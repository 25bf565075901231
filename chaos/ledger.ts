/**
 * What producers were promised and what receivers saw, kept outside of the system under test. Violations are found while
 * it is written where they can be, and at the end otherwise.
 */
export interface Violation {
  readonly what: string
  readonly receiver: string
  readonly jti?: string
  readonly at: number
  readonly detail?: string
}

interface SetHistory {
  /** Producer: when the 202 was read. */
  confirmedAt?: number
  token?: string
  deliveries: number
  firstDeliveredAt?: number
  /** Receiver: when the 200 to its acknowledgement was read. */
  ackedAt?: number
  /** Receiver: when the 200 to its report was read. */
  reportedAt?: number
  /** An acknowledgement or report was sent, whatever became of it. */
  wasSettled?: boolean
}

export class Ledger {
  readonly violations: Violation[] = []
  readonly #sets = new Map<string, Map<string, SetHistory>>()
  readonly events: string[] = []
  readonly counts = {
    confirmed: 0,
    refusedPublishes: 0,
    deliveries: 0,
    duplicates: 0,
    acknowledged: 0,
    reported: 0,
    polls: 0,
    failedPolls: 0,
    abandonedPolls: 0,
  }

  constructor(receivers: readonly string[]) {
    for (const receiver of receivers) this.#sets.set(receiver, new Map())
  }

  note(event: string): void {
    this.events.push(`${Math.round(performance.now())} ${event}`)
  }

  confirmed(receiver: string, jti: string): void {
    const set = this.#of(receiver, jti)
    if (set.confirmedAt !== undefined) return
    set.confirmedAt = performance.now()
    this.counts.confirmed += 1
    this.note(`confirmed ${receiver} ${jti}`)
  }

  /** @param polledAt when the poll that brought it began. */
  delivered(receiver: string, audience: string, jti: string, token: string, polledAt: number): void {
    const set = this.#of(receiver, jti)
    this.counts.deliveries += 1
    set.deliveries += 1
    if (set.deliveries > 1) this.counts.duplicates += 1
    set.firstDeliveredAt ??= performance.now()
    this.note(`delivered ${receiver} ${jti}`)
    if (set.token === undefined) {
      set.token = token
      const claims = claimsOf(token)
      if (claims?.jti !== jti || claims.aud !== audience) this.violated('a SET of another receiver', receiver, jti)
    } else if (set.token !== token) this.violated('not the same bytes as before', receiver, jti)
    const settledAt = set.ackedAt ?? set.reportedAt
    if (settledAt !== undefined && settledAt < polledAt) {
      this.violated('delivered after its acknowledgement was answered', receiver, jti, `${polledAt - settledAt} ms`)
    }
  }

  settling(receiver: string, jtis: readonly string[]): void {
    for (const jti of jtis) this.#of(receiver, jti).wasSettled = true
  }

  acked(receiver: string, jtis: readonly string[]): void {
    for (const jti of jtis) {
      const set = this.#of(receiver, jti)
      if (set.ackedAt !== undefined) continue
      set.ackedAt = performance.now()
      this.counts.acknowledged += 1
      this.note(`acknowledged ${receiver} ${jti}`)
    }
  }

  reported(receiver: string, jtis: readonly string[]): void {
    for (const jti of jtis) {
      const set = this.#of(receiver, jti)
      if (set.reportedAt !== undefined) continue
      set.reportedAt = performance.now()
      this.counts.reported += 1
      this.note(`reported ${receiver} ${jti}`)
    }
  }

  violated(what: string, receiver: string, jti?: string, detail?: string): void {
    const at = Math.round(performance.now())
    const violation = {
      what,
      receiver,
      at,
      ...(jti === undefined ? {} : { jti }),
      ...(detail === undefined ? {} : { detail }),
    }
    this.violations.push(violation)
    this.note(`VIOLATION ${JSON.stringify(violation)}`)
  }

  /** Confirmed SETs that are neither delivered nor among the parked ones. */
  lost(parked: ReadonlyMap<string, ReadonlySet<string>>): { receiver: string; jti: string }[] {
    const lost: { receiver: string; jti: string }[] = []
    for (const [receiver, sets] of this.#sets) {
      for (const [jti, { confirmedAt, deliveries }] of sets) {
        if (confirmedAt !== undefined && deliveries === 0 && !parked.get(receiver)?.has(jti))
          lost.push({ receiver, jti })
      }
    }
    return lost
  }

  /** What stays parked at the end: reported, and the report answered. */
  reportedOf(receiver: string): string[] {
    return [...(this.#sets.get(receiver) ?? [])].flatMap(([jti, { reportedAt }]) =>
      reportedAt === undefined ? [] : [jti],
    )
  }

  wasSettled(receiver: string, jti: string): boolean {
    return this.#sets.get(receiver)?.get(jti)?.wasSettled === true
  }

  #of(receiver: string, jti: string): SetHistory {
    const sets = this.#sets.get(receiver)
    if (sets === undefined) throw new Error(`no receiver ${receiver}`)
    let set = sets.get(jti)
    if (set === undefined) {
      set = { deliveries: 0 }
      sets.set(jti, set)
    }
    return set
  }
}

function claimsOf(token: string): { jti?: string; aud?: string } | undefined {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  } catch {
    return undefined
  }
}
