/** `setstream status`: where the SETs are, for all receivers or one, once or over and over. */
import { setTimeout as delay } from 'node:timers/promises'
import { Api, type Page, type RemoteOptions, remote, segment } from './api.ts'
import { type Cli, type Register, untilInterrupted } from './cli.ts'
import { type Column, duration, print, printJson, table } from './output.ts'
import { durationMs } from './values.ts'

export interface ReceiverStats {
  readonly receiver: string
  readonly status: string
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly oldestUnackedSeconds: number
  readonly published: number
  readonly delivered: number
  readonly acked: number
  readonly heldPolls: number
}

type Totals = Omit<ReceiverStats, 'receiver' | 'status'>

interface StatusOptions extends RemoteOptions {
  readonly receiver?: string
  readonly watch?: number | true
}

const EVERY_MS = 2000

export const registerStatus: Register = (program, cli) => {
  remote(program.command('status'))
    .description('how many SETs are queued, in flight, owed again and parked, by receiver')
    .option('--receiver <id>', 'of this one')
    .option('--watch [interval]', 'show it again and again, until interrupted; default 2s', durationMs)
    .action(async (options: StatusOptions) => status(cli, options))
}

const number = (title: string, value: (stats: ReceiverStats) => number): Column<ReceiverStats> => ({
  title,
  value,
  align: 'right',
})

const columns: readonly Column<ReceiverStats>[] = [
  { title: 'RECEIVER', value: stats => stats.receiver },
  {
    title: 'STATUS',
    value: stats => stats.status,
    style: stats => (stats.status === 'paused' || stats.status === 'disabled' ? 'yellow' : undefined),
  },
  number('QUEUED', stats => stats.queued),
  number('IN FLIGHT', stats => stats.inFlight),
  number('OWED', stats => stats.owedAgain),
  { ...number('PARKED', stats => stats.parked), style: stats => (stats.parked > 0 ? 'red' : undefined) },
  { title: 'OLDEST', value: stats => duration(stats.oldestUnackedSeconds), align: 'right' },
  number('HELD', stats => stats.heldPolls),
  number('PUBLISHED', stats => stats.published),
  number('DELIVERED', stats => stats.delivered),
  number('ACKED', stats => stats.acked),
]

async function status(cli: Cli, options: StatusOptions): Promise<void> {
  const api = new Api(cli, options)
  if (options.watch === undefined) return show(cli, api, options)
  const signal = untilInterrupted()
  const everyMs = options.watch === true ? EVERY_MS : options.watch
  while (!signal.aborted) {
    await show(cli, api, options)
    await delay(everyMs, undefined, { signal }).catch(() => undefined)
  }
}

async function show(cli: Cli, api: Api, options: StatusOptions): Promise<void> {
  const { rows, totals } = await read(api, options.receiver)
  if (options.json) return printJson(cli.stdout, { items: rows, ...(totals === undefined ? {} : { totals }) })
  const shown = totals === undefined || rows.length < 2 ? rows : [...rows, { ...totals, receiver: 'all', status: '' }]
  const text = rows.length === 0 ? 'No receivers yet.' : table(cli.stdout, columns, shown)
  // A terminal shows the newest in place of the one before; elsewhere they follow each other.
  const isInPlace = options.watch !== undefined && cli.stdout.isTTY
  const head = options.watch === undefined ? '' : `${new Date().toLocaleTimeString()}\n\n`
  await print(cli.stdout, `${isInPlace ? '\x1b[H\x1b[2J\x1b[3J' : ''}${head}${text}`)
}

async function read(
  api: Api,
  receiver: string | undefined,
): Promise<{ rows: ReceiverStats[]; totals: Totals | undefined }> {
  if (receiver !== undefined) {
    return { rows: [await api.get(`/v1/receivers/${segment(receiver)}/stats`)], totals: undefined }
  }
  const rows: ReceiverStats[] = []
  let totals: Totals | undefined
  let cursor: string | undefined
  do {
    const page = await api.get<Page<ReceiverStats> & { totals?: Totals }>('/v1/stats', { limit: 1000, cursor })
    rows.push(...page.items)
    totals ??= page.totals
    cursor = page.next
  } while (cursor !== undefined)
  return { rows, totals }
}
