/** `setstream parked`: dead letters. */
import type { Command } from 'commander'
import { Api, type RemoteOptions, remote, segment } from './api.ts'
import { type Cli, type Register, UsageError } from './cli.ts'
import { confirm } from './confirm.ts'
import { type Move, moveAll } from './move.ts'
import { type Column, print, printJson, table, time } from './output.ts'
import { atLeastOne } from './values.ts'

interface ParkedSet {
  readonly jti: string
  readonly reason: string
  readonly parkedAt?: string
  readonly attempts?: number
  readonly err?: string
  readonly description?: string
}

interface MoveOptions extends RemoteOptions {
  readonly all?: boolean
  readonly yes?: boolean
}

/** jtis a request. */
const JTIS_MAX = 500

export const registerParked: Register = (program, cli) => {
  const parked = program.command('parked').description('SETs that were reported, expired, or ran out of attempts')

  remote(parked.command('list <receiver>'))
    .description('parked SETs and why they are')
    .option('--limit <count>', 'at most so many', atLeastOne)
    .action(async (receiver: string, options: RemoteOptions & { limit?: number }) => list(cli, receiver, options))

  which(remote(parked.command('requeue <receiver> [jti...]')))
    .description('deliver parked SETs again, under the same jti')
    .action(async (receiver: string, jtis: string[], options: MoveOptions) => {
      const api = new Api(cli, options)
      const path = `/v1/receivers/${segment(receiver)}/parked/requeue`
      await move(cli, 'requeued', jtis, options, selection => api.post<Move>(path, selection))
    })

  which(remote(parked.command('discard <receiver> [jti...]')))
    .description('give parked SETs up for good')
    .option('-y, --yes', 'do not ask')
    .action(async (receiver: string, jtis: string[], options: MoveOptions) => {
      checkSelection(jtis, options)
      const what = options.all ? 'every parked SET' : `${jtis.length} parked SETs`
      await confirm(cli, `Discard ${what} of ${receiver}? Its events are lost to the receiver.`, options.yes)
      const api = new Api(cli, options)
      const path = `/v1/receivers/${segment(receiver)}/parked`
      await move(cli, 'discarded', jtis, options, selection => api.delete<Move>(path, selection))
    })
}

function which(command: Command): Command {
  return command.option('--all', 'all that are parked')
}

function checkSelection(jtis: readonly string[], options: MoveOptions): void {
  if (jtis.length > 0 === (options.all === true)) throw new UsageError('Name the SETs by jti, or say --all.')
}

async function move(
  cli: Cli,
  done: string,
  jtis: readonly string[],
  options: MoveOptions,
  step: (selection: object) => Promise<Move>,
): Promise<void> {
  checkSelection(jtis, options)
  if (options.all) return moveAll(cli, done, options.json, () => step({ all: true }))
  let moved = 0
  for (let from = 0; from < jtis.length; from += JTIS_MAX) {
    moved += (await step({ jtis: jtis.slice(from, from + JTIS_MAX) })).moved
  }
  if (options.json) return printJson(cli.stdout, { moved })
  const missing = moved < jtis.length ? `; ${jtis.length - moved} were not parked` : ''
  await print(cli.stdout, `${moved} ${done}${missing}.`)
}

const columns: readonly Column<ParkedSet>[] = [
  { title: 'JTI', value: set => set.jti },
  { title: 'REASON', value: set => set.reason },
  { title: 'PARKED', value: set => time(set.parkedAt) },
  { title: 'ATTEMPTS', value: set => set.attempts, align: 'right' },
  { title: 'ERROR', value: set => set.err },
  { title: 'DESCRIPTION', value: set => set.description },
]

async function list(cli: Cli, receiver: string, options: RemoteOptions & { limit?: number }): Promise<void> {
  const sets = new Api(cli, options).list<ParkedSet>(`/v1/receivers/${segment(receiver)}/parked`, options.limit)
  if (options.json) {
    for await (const set of sets) await printJson(cli.stdout, set)
    return
  }
  const rows: ParkedSet[] = []
  for await (const set of sets) rows.push(set)
  if (rows.length > 0) await print(cli.stdout, table(cli.stdout, columns, rows))
  else await print(cli.stderr, 'Nothing is parked.')
}
