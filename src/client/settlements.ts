/**
 * What the transmitter has yet to be told: acknowledgements and error reports. They stay here until a poll that carried
 * them was answered, because after a lost answer nobody knows whether they were stored, and repeating them is harmless
 * (RFC 8936 §2.4).
 */

export interface SetError {
  readonly err: string
  readonly description: string
}

export interface SettlementBatch {
  readonly ack: readonly string[]
  readonly setErrs: readonly (readonly [jti: string, error: SetError])[]
}

export class Settlements {
  readonly #acks = new Set<string>()
  readonly #errors = new Map<string, SetError>()

  get size(): number {
    return this.#acks.size + this.#errors.size
  }

  acknowledge(jti: string): void {
    this.#acks.add(jti)
  }

  report(jti: string, error: SetError): void {
    this.#errors.set(jti, error)
  }

  /** The oldest, which stay here until `remove`. */
  next(countMax: number): SettlementBatch {
    const ack = [...this.#acks].slice(0, countMax)
    return { ack, setErrs: [...this.#errors].slice(0, countMax - ack.length) }
  }

  remove({ ack, setErrs }: SettlementBatch): void {
    for (const jti of ack) this.#acks.delete(jti)
    for (const [jti] of setErrs) this.#errors.delete(jti)
  }
}
