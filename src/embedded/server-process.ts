/** The server as a process that may not be our child: whether it runs, and its end. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const LOOK_MS = 20

/** The process of a pid file, if it still runs. */
export async function serverPid(pidFile: string, configFile: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10)
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined
  return (await isServer(pid, configFile)) ? pid : undefined
}

/**
 * Pids are given out again, so the command line must name the configuration, which is absolute and no other server's. A
 * process that ended and was not reaped still has a pid, but no command line.
 */
export async function isServer(pid: number, configFile: string): Promise<boolean> {
  return (await commandLine(pid)).includes(configFile)
}

/** @returns false where it still runs when the time is over. */
export async function terminate(pid: number, configFile: string, limitMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + limitMs
  process.kill(pid, 'SIGTERM')
  while (await isServer(pid, configFile)) {
    if (Date.now() > deadlineMs) return false
    await delay(LOOK_MS)
  }
  return true
}

async function commandLine(pid: number): Promise<string> {
  if (existsSync('/proc/self/cmdline')) return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  )
}
