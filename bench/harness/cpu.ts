/**
 * What each process of a measurement cost, and what the rest of the machine took meanwhile: a ratio measured while
 * other programs use the cores says little, and a load generator that is itself at its limit says nothing.
 * Linux only (/proc); elsewhere there are no figures.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'

const TICK_MS = 10 // USER_HZ is 100 on every Linux that Node runs on.

/** Processes by the name under which they are reported. */
export type Watched = Readonly<Record<string, number>>

/** Cores used in a window, by process; `others` is everything that was not watched. */
export type Cores = Readonly<Record<string, number>>

export interface CpuReading {
  readonly atMs: number
  readonly busyMs: number
  readonly ofMs: Readonly<Record<string, number>>
}

export function readCpu(watched: Watched): CpuReading {
  const ofMs: Record<string, number> = {}
  for (const [name, pid] of Object.entries(watched)) ofMs[name] = processCpuMs(pid)
  return { atMs: performance.now(), busyMs: machineBusyMs(), ofMs }
}

export function coresBetween(before: CpuReading, after: CpuReading): Cores {
  const wallMs = after.atMs - before.atMs
  const cores: Record<string, number> = {}
  let watchedMs = 0
  for (const [name, ms] of Object.entries(after.ofMs)) {
    const usedMs = ms - (before.ofMs[name] ?? 0)
    watchedMs += usedMs
    cores[name] = usedMs / wallMs
  }
  cores.others = Math.max(0, (after.busyMs - before.busyMs - watchedMs) / wallMs)
  return cores
}

/** Until the machine has been next to idle for a second, or so long. */
export async function untilQuiet(limitMs: number, busyCores = 0.15): Promise<void> {
  const endMs = performance.now() + limitMs
  for (let before = readCpu({}); performance.now() < endMs; before = readCpu({})) {
    await pause(1000)
    if (coresBetween(before, readCpu({})).others! <= busyCores) return
  }
}

/** User and system time of a process and its threads, in milliseconds; 0 where /proc does not say. */
export function processCpuMs(pid: number): number {
  try {
    // The command may hold spaces and parentheses: fields count from behind its last one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  } catch {
    return 0
  }
}

/** Resident memory that is not shared with files, in bytes: heap, buffers and stacks. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024
}

function machineBusyMs(): number {
  try {
    const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!.trim().split(/\s+/).slice(1).map(Number)
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields
    return (user + nice + system + irq + softirq) * TICK_MS
  } catch {
    return 0
  }
}
