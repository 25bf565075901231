/** What becomes of a published event. */

export interface Delivery {
  readonly receiver: string
  readonly jti: string
  /** `duplicate`: the receiver's log had it already; `disabled`: this receiver takes nothing. */
  readonly status: 'queued' | 'duplicate' | 'disabled'
}

export interface Published {
  readonly id: string
  /** One for each receiver the event was for; empty when nobody subscribed to it. */
  readonly deliveries: readonly Delivery[]
}

export type Outcome =
  | { readonly ok: true; readonly published: Published }
  | { readonly ok: false; readonly error: PublishError }

export interface EventFault {
  /** A JSON pointer into the event. */
  readonly at: string
  readonly message: string
}

export interface PublishErrorDetails {
  readonly id: string
  readonly code: string
  readonly status?: number | undefined
  readonly faults?: readonly EventFault[]
  readonly deliveries?: readonly Delivery[]
  readonly cause?: unknown
}

/** An event that not every receiver took. Publishing it again with the same `id` is always safe. */
export class PublishError extends Error {
  override readonly name = 'PublishError'
  readonly id: string
  /** The transmitter's stable code, or ours: `queue_full`, `closed`, `gave_up`, `bad_event`. */
  readonly code: string
  /** The status of the last answer; undefined when there was none. */
  readonly status: number | undefined
  readonly faults: readonly EventFault[]
  /** The receivers that did take it. */
  readonly deliveries: readonly Delivery[]

  constructor(message: string, details: PublishErrorDetails) {
    super(message, details.cause === undefined ? {} : { cause: details.cause })
    this.id = details.id
    this.code = details.code
    this.status = details.status
    this.faults = details.faults ?? []
    this.deliveries = details.deliveries ?? []
  }
}
