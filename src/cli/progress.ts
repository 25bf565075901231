/** A progress bar on standard error, drawn only on a terminal, so that pipes and logs stay clean. */
import { paint } from './output.ts'

const BAR_WIDTH = 24
const REDRAW_MS = 100

export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #what: string
  #drawnAtMs = Number.NEGATIVE_INFINITY

  constructor(stream: NodeJS.WriteStream, what: string) {
    this.#stream = stream
    this.#what = what
  }

  /** @param total undefined while nobody knows it. */
  show(done: number, total: number | undefined): void {
    if (!this.#stream.isTTY || performance.now() - this.#drawnAtMs < REDRAW_MS) return
    this.#drawnAtMs = performance.now()
    this.#stream.write(`\r\x1b[2K${this.#line(done, total)}`)
  }

  end(): void {
    if (this.#stream.isTTY && this.#drawnAtMs > 0) this.#stream.write('\r\x1b[2K')
  }

  #line(done: number, total: number | undefined): string {
    if (total === undefined) return `${this.#what} ${done}`
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const filled = Math.round(share * BAR_WIDTH)
    const bar = paint(this.#stream, 'green', '█'.repeat(filled)) + '░'.repeat(BAR_WIDTH - filled)
    return `${this.#what} ${bar} ${Math.floor(share * 100)}% ${done}/${total}`
  }
}
