/** Jobs that a poll asks for. Asking never fails and never waits: a job that is lost is healed by the next poll. */
export interface Schedule {
  /** Walks over what the receiver has in flight, `delayMs` from now. */
  sweep(receiver: string, delayMs: number): void
  /** Writes what the receiver reported to the log. */
  logReports(receiver: string): void
}
