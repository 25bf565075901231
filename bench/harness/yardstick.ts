/** Servers to compare with, each in a process of its own. */
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Setting } from './bench.ts'
import { type Program, startProgram } from './child.ts'
import { freePort } from './net.ts'

export interface Server {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

/** @param file in bench/yardsticks. */
export async function startYardstick(
  setting: Setting,
  file: string,
  env: Record<string, string> = {},
): Promise<Server> {
  const port = await freePort()
  const path = fileURLToPath(new URL(`../yardsticks/${file}`, import.meta.url))
  const program: Program = startProgram(process.execPath, [path], { ...env, PORT: String(port) })
  setting.defer(() => program.stop())
  await program.until(() => reachable(port))
  return { pid: program.pid, port, stop: program.stop }
}

function reachable(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
  })
}
