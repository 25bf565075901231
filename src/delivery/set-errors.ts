/**
 * Writes what receivers reported in `setErrs` to the log and to metrics. The errors stream is the truth and the place
 * reached in it stands in Redis, so a lost job loses no report. Never the token.
 */
import { errLabel, truncate } from '../protocol/set-error.ts'
import type { ReportEntry, ReportStore } from '../store/report-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

const BATCH = 500
/** Beyond these a batch is one line of sums: a receiver must not fill the log. */
const LINES_A_BATCH = 50
const LOGGED_LENGTH_MAX = 256

export class SetErrors {
  readonly #deps: { readonly reports: ReportStore; readonly metrics: Metrics; readonly logger: Logger }

  constructor(deps: { readonly reports: ReportStore; readonly metrics: Metrics; readonly logger: Logger }) {
    this.#deps = deps
  }

  async log(receiver: string): Promise<number> {
    const { reports: store } = this.#deps
    let total = 0
    for (;;) {
      const reports = await store.unlogged(receiver, BATCH)
      const last = reports.at(-1)
      if (last === undefined) return total
      this.#write(receiver, reports)
      await store.logged(receiver, last.entryId)
      total += reports.length
    }
  }

  #write(receiver: string, reports: readonly ReportEntry[]): void {
    const { metrics, logger } = this.#deps
    // The description may say anything about anybody: it is kept with the dead letter, for operators only (P-200).
    for (const { jti, err, language, attempts } of reports.slice(0, LINES_A_BATCH)) {
      logger.warn(
        { receiver, jti: oneLine(jti), setErr: oneLine(err), language, attempts },
        'SET refused by its receiver',
      )
    }
    if (reports.length > LINES_A_BATCH) {
      logger.warn(
        { receiver, further: reports.length - LINES_A_BATCH },
        'more SETs refused by their receiver: see its errors',
      )
    }
    for (const { err } of reports) metrics.setErrors.inc({ err: errLabel(err) })
  }
}

/** JSON escapes control characters; what a terminal or a log viewer would still act on is taken out as well. */
function oneLine(text: string): string {
  return truncate(text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' '), LOGGED_LENGTH_MAX)
}
