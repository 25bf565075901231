/** `setstream tokens`: credentials. The secret is shown once, on standard output and nothing else with it. */
import { Option } from 'commander'
import { Api, type RemoteOptions, remote, segment } from './api.ts'
import { type Cli, type Register, UsageError } from './cli.ts'
import { confirm } from './confirm.ts'
import { type Column, print, printJson, table, time } from './output.ts'
import { atLeastOne, durationMs, each } from './values.ts'

interface TokenRecord {
  readonly tokenId: string
  readonly scope: string
  readonly receiver?: string
  readonly producer?: string
  readonly description?: string
  readonly createdAt?: string
  readonly expiresAt?: string
}

interface CreateOptions extends RemoteOptions {
  readonly scope: string
  readonly receiver?: string
  readonly producer?: string
  readonly toReceiver?: readonly string[]
  readonly eventType?: readonly string[]
  readonly foreign?: boolean
  readonly description?: string
  readonly expires?: number
}

export const registerTokens: Register = (program, cli) => {
  const tokens = program.command('tokens').description('make and revoke credentials')

  remote(tokens.command('create'))
    .description('make a token and show it, this once')
    .addOption(
      new Option('--scope <scope>', 'what it permits')
        .choices(['poll', 'publish', 'admin', 'read'])
        .makeOptionMandatory(),
    )
    .option('--receiver <id>', 'with poll: the receiver it polls for')
    .option('--producer <name>', 'with publish: who publishes; the same name over rotations')
    .option('--to-receiver <id>', 'with publish: only to this receiver; may be repeated', each)
    .option('--event-type <uri>', 'with publish: only this type; may be repeated', each)
    .option('--foreign', 'with publish: may append SETs issued elsewhere')
    .option('--description <text>', 'for people')
    .option('--expires <duration>', 'how long it is valid, such as 90d', durationMs)
    .action(async (options: CreateOptions) => create(cli, options))
    .addHelpText(
      'after',
      '\nExample:\n  SETSTREAM_POLL_TOKEN=$(setstream tokens create --scope poll --receiver billing)',
    )

  remote(tokens.command('list'))
    .description('all tokens, without their secrets')
    .option('--limit <count>', 'at most so many', atLeastOne)
    .action(async (options: RemoteOptions & { limit?: number }) => list(cli, options))

  remote(tokens.command('revoke <tokenId>'))
    .description('make a token worthless')
    .option('-y, --yes', 'do not ask')
    .action(async (tokenId: string, options: RemoteOptions & { yes?: boolean }) => {
      await confirm(cli, `Revoke token ${tokenId}? Whoever uses it is refused within a second.`, options.yes)
      await new Api(cli, options).delete(`/v1/tokens/${segment(tokenId)}`)
      if (!options.json) await print(cli.stdout, `Revoked ${tokenId}.`)
    })
}

async function create(cli: Cli, options: CreateOptions): Promise<void> {
  if (options.scope === 'poll' && options.receiver === undefined) {
    throw new UsageError('A poll token needs a --receiver.')
  }
  if (options.scope === 'publish' && options.producer === undefined) {
    throw new UsageError('A publish token needs a --producer.')
  }
  const body = {
    scope: options.scope,
    receiver: options.receiver,
    producer: options.producer,
    receivers: options.toReceiver,
    eventTypes: options.eventType,
    foreign: options.foreign,
    description: options.description,
    expiresInSeconds: options.expires === undefined ? undefined : Math.max(1, Math.round(options.expires / 1000)),
  }
  const made = await new Api(cli, options).post<{ tokenId: string; token: string }>('/v1/tokens', body)
  if (options.json) return printJson(cli.stdout, made)
  await print(cli.stdout, made.token)
  await print(
    cli.stderr,
    `Token ${made.tokenId}, shown this once. Revoke it with \`setstream tokens revoke ${made.tokenId}\`.`,
  )
}

const columns: readonly Column<TokenRecord>[] = [
  { title: 'TOKEN', value: token => token.tokenId },
  { title: 'SCOPE', value: token => token.scope },
  { title: 'FOR', value: token => token.receiver ?? token.producer },
  { title: 'MADE', value: token => time(token.createdAt) },
  { title: 'EXPIRES', value: token => time(token.expiresAt) },
  { title: 'DESCRIPTION', value: token => token.description },
]

async function list(cli: Cli, options: RemoteOptions & { limit?: number }): Promise<void> {
  const tokens = new Api(cli, options).list<TokenRecord>('/v1/tokens', options.limit)
  if (options.json) {
    for await (const token of tokens) await printJson(cli.stdout, token)
    return
  }
  const rows: TokenRecord[] = []
  for await (const token of tokens) rows.push(token)
  if (rows.length > 0) await print(cli.stdout, table(cli.stdout, columns, rows))
  else await print(cli.stderr, 'No tokens yet. Make one with `setstream tokens create`.')
}
