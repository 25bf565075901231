/** Child processes of a benchmark: started from a file, called over IPC, stopped by their own pid. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Setting } from './bench.ts'
import { Failed, until } from './net.ts'

// Whatever ends the runner, nothing it started stays behind.
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** A worker process that answers calls by name: see `answerCalls`. */
export class Worker {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #calls = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', message => {
      const reply = message as Reply
      const call = this.#waiting.get(reply.id)
      this.#waiting.delete(reply.id)
      if (reply.error === undefined) call?.resolve(reply.result)
      else call?.reject(new Error(reply.error))
    })
    child.on('exit', code => {
      for (const call of this.#waiting.values()) call.reject(new Error(`worker ended with ${code}`))
    })
  }

  /** @param file relative to this folder. */
  static start(setting: Setting, file: string, env: Record<string, string> = {}): Worker {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      env: { ...process.env, ...env },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    watch(child)
    setting.defer(() => stop(child))
    return new Worker(child)
  }

  get pid(): number {
    return this.#child.pid!
  }

  call<T>(name: string, input: unknown): Promise<T> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: value => resolve(value as T), reject })
      this.#child.send({ id, name, input })
    })
  }
}

/** The other end of `Worker`: what the worker process does when it is called. */
export function answerCalls(calls: Record<string, (input: never) => Promise<unknown>>): void {
  process.on('message', async message => {
    const { id, name, input } = message as { id: number; name: string; input: never }
    try {
      process.send!({ id, result: await calls[name]!(input) })
    } catch (error) {
      process.send!({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  process.on('disconnect', () => process.exit()) // The runner is gone: nothing left to measure.
}

export interface Program {
  readonly pid: number
  stop(): Promise<void>
  /** Waits until `ready` does not fail; a program that ended will not be, and its last words are the error. */
  until<T>(ready: () => Promise<T>): Promise<T>
}

/** Starts a program whose output is kept for the case that it ends early. */
export function startProgram(command: string, args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  watch(child)
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  let failure: Error | undefined
  child.on('error', error => {
    failure = new Error(`${command}: ${error.message}`)
  })
  child.on('exit', code => {
    failure ??= new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  })
  return {
    pid: child.pid!,
    stop: () => stop(child),
    until: ready =>
      until(async () => {
        if (failure === undefined) return ready()
        throw new Failed(failure.message)
      }),
  }
}

function watch(child: ChildProcess): void {
  running.add(child)
  child.on('exit', () => running.delete(child))
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exited
  clearTimeout(deadline)
}
