/** A transmitter as a process of its own, by the `serve` command, to be killed at any moment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import type { Role } from '../../src/serve.ts'

export interface TransmitterProcess {
  readonly publicUrl: string
  readonly internalUrl: string
  readonly opsUrl: string
  readonly adminToken: string
  readonly pid: number
  /** What it has logged. */
  readonly lines: readonly Record<string, unknown>[]
  /** Everything that it wrote, as it was. */
  readonly output: () => string
  /** SIGKILL. Resolves once the process is gone. */
  kill(): Promise<void>
  /** SIGTERM, as an operator would. @returns the exit code. */
  terminate(): Promise<number | null>
}

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH']
const children = new Set<ChildProcess>()

/** @param env whatever `serve` needs; listeners are on free ports. */
export async function startProcess(env: Record<string, string>, roles: readonly Role[]): Promise<TransmitterProcess> {
  const inherited = Object.fromEntries(
    INHERITED.flatMap(name => (process.env[name] ? [[name, process.env[name]]] : [])),
  )
  const listeners = { PUBLIC_LISTEN: '127.0.0.1:0', INTERNAL_LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0' }
  const child = spawn(process.execPath, [CLI, 'serve', '--roles', roles.join()], {
    env: { ...inherited, ...listeners, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  const exited = once(child, 'exit').then(([code]) => {
    children.delete(child)
    return code as number | null
  })
  const lines: Record<string, unknown>[] = []
  const other: string[] = []
  const all: string[] = []
  const listening = Promise.withResolvers<Record<string, unknown>>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', text => {
      all.push(text)
      const line = parsed(text)
      if (line === undefined) other.push(text)
      else lines.push(line)
      if (line?.msg === 'listening') listening.resolve(line)
    })
  }
  child.once('error', listening.reject)
  child.once('close', code => listening.reject(new Error(`serve ended with ${code}: ${other.slice(-5).join('\n')}`)))
  const { public: publicUrl = '', internal: internalUrl = '', ops: opsUrl = '' } = await listening.promise
  return {
    publicUrl: String(publicUrl),
    internalUrl: String(internalUrl),
    opsUrl: String(opsUrl),
    adminToken: env.ADMIN_TOKEN ?? '',
    pid: child.pid ?? 0,
    lines,
    output: () => all.join('\n'),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    terminate() {
      child.kill('SIGTERM')
      return exited
    },
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

// A run that ends early, and a test that failed, leave no process behind.
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
afterAll(async () => {
  await Promise.all(
    [...children].map(async child => {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }),
  )
})
