/** What the doctor says: each finding is one thing that was looked at, how it is, and what to do about it. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'failure'
  readonly found: string
  /** What to change; absent when nothing has to be. */
  readonly advice?: string
}

export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found }
}

export function warning(check: string, found: string, advice: string): Finding {
  return { check, state: 'warning', found, advice }
}

export function failure(check: string, found: string, advice: string): Finding {
  return { check, state: 'failure', found, advice }
}

/** 95_000 → "95 s", for a person who needs no more than that. */
export function roughly(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} days`
}
