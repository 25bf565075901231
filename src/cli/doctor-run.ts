/** `setstream doctor` at work: findings as they come, then what there is to do. */
import { readConfig } from '../config.ts'
import { examine } from '../doctor/doctor.ts'
import type { Finding } from '../doctor/finding.ts'
import { ROLES } from '../serve/roles.ts'
import { type Cli, UsageError } from './cli.ts'
import { paint, print, printable, printJson } from './output.ts'
import { Progress } from './progress.ts'

export interface DoctorOptions {
  readonly receiver?: string
  readonly roles: string
  readonly json?: boolean
}

const SIGNS = {
  ok: { sign: '✓', style: 'green' },
  warning: { sign: '!', style: 'yellow' },
  failure: { sign: '✗', style: 'red' },
} as const

export async function doctor(cli: Cli, options: DoctorOptions): Promise<void> {
  const given = options.roles.split(',')
  const roles = ROLES.filter(role => given.includes(role))
  if (roles.length !== new Set(given).size) throw new UsageError(`--roles takes ${ROLES.join(', ')}, comma-separated`)
  const config = readConfig(cli.env)
  const all: Finding[] = []
  const progress = new Progress(cli.stderr, 'counting')
  const show = async (findings: readonly Finding[]) => {
    progress.end()
    for (const finding of findings) {
      if (options.json) await printJson(cli.stdout, finding)
      else await print(cli.stdout, line(cli, finding))
    }
  }
  let shown = Promise.resolve()
  await examine(config, {
    roles,
    receiver: options.receiver,
    onFindings(findings) {
      all.push(...findings)
      shown = shown.then(() => show(findings))
    },
    onProgress: (done, total) => progress.show(done, total),
  })
  await shown
  const failures = all.filter(({ state }) => state === 'failure').length
  const warnings = all.filter(({ state }) => state === 'warning').length
  if (!options.json) await print(cli.stdout, `\n${verdict(failures, warnings)}`)
  if (failures > 0) process.exitCode = 1
}

function line(cli: Cli, { state, check, found, advice }: Finding): string {
  const { sign, style } = SIGNS[state]
  const first = `${paint(cli.stdout, style, sign)} ${paint(cli.stdout, 'bold', printable(check))}  ${printable(found)}`
  return advice === undefined ? first : `${first}\n    ${printable(advice)}`
}

function verdict(failures: number, warnings: number): string {
  if (failures + warnings === 0) return 'All is well.'
  const count = (n: number, what: string) => (n === 0 ? [] : [`${n} ${what}${n === 1 ? '' : 's'}`])
  return [...count(failures, 'failure'), ...count(warnings, 'warning')].join(', ')
}
