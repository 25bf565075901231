/** Transmitter and worker processes, by the `serve` command: killed, frozen, restarted, and there again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Urls {
  readonly public: string
  readonly internal: string
  readonly ops: string
}

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const CLOCK = new URL('./clock.ts', import.meta.url).href
const LINES_KEPT = 2000
const STARTING_MS = 60_000

/** One place for a process: there is always one, or one is starting. */
export class Place {
  readonly name: string
  readonly #roles: string
  readonly #env: Record<string, string>
  #child: ChildProcess | undefined
  #listening: Promise<Urls> | undefined
  /** Base URLs while it listens. */
  urls: Urls | undefined
  /** What its processes logged last, for the histories of a failed run. */
  readonly lines: string[] = []

  constructor(name: string, roles: string, env: Record<string, string>) {
    this.name = name
    this.#roles = roles
    this.#env = env
  }

  #turn: Promise<unknown> = Promise.resolve()

  /** One thing after another happens to a process. */
  inTurn<T>(happens: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(happens)
    this.#turn = turn.catch(() => {})
    return turn
  }

  start(): Promise<Urls> {
    const { PATH, HOME, TMPDIR, LD_LIBRARY_PATH } = process.env
    const inherited = { PATH, HOME, TMPDIR, LD_LIBRARY_PATH }
    const child = spawn(process.execPath, ['--import', CLOCK, CLI, 'serve', '--roles', this.#roles], {
      env: { ...inherited, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    child.once('exit', () => {
      running.delete(child)
      if (this.#child === child) this.urls = undefined
    })
    this.#child = child
    this.#listening = this.#untilListening(child)
    return this.#listening
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** As an operator would. @returns the exit code. */
  async terminate(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async #end(name: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return child?.exitCode ?? null
    // One that is starting has no handler of SIGTERM yet.
    if (name === 'SIGTERM') await this.#listening?.catch(() => {})
    this.urls = undefined
    const gone = once(child, 'exit')
    child.kill(name)
    child.kill('SIGCONT')
    const [code] = await gone
    return code as number | null
  }

  async #untilListening(child: ChildProcess): Promise<Urls> {
    const listening = Promise.withResolvers<Urls>()
    const timeout = setTimeout(() => listening.reject(new Error(`${this.name} does not listen`)), STARTING_MS)
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', text => {
        this.lines.push(text)
        if (this.lines.length > LINES_KEPT) this.lines.shift()
        const line = parsed(text)
        if (line?.msg !== 'listening') return
        listening.resolve({
          public: String(line.public ?? ''),
          internal: String(line.internal ?? ''),
          ops: String(line.ops ?? ''),
        })
      })
    }
    child.once('error', listening.reject)
    child.once('close', code => listening.reject(new Error(`${this.name} ended with ${code} before it listened`)))
    // A process that is killed while it starts is no fault of anybody's.
    listening.promise.catch(() => {})
    const urls = await listening.promise.finally(() => clearTimeout(timeout))
    if (this.#child === child) this.urls = urls
    return urls
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
