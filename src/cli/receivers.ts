/** `setstream receivers`: the registry. */
import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { Api, type RemoteOptions, remote, segment } from './api.ts'
import { type Cli, type Register, UsageError } from './cli.ts'
import { confirm } from './confirm.ts'
import { type Column, duration, print, printJson, sheet, table, time } from './output.ts'
import type { ReceiverStats } from './status.ts'
import { atLeastOne, each, jsonObject, setting } from './values.ts'

interface ReceiverRecord {
  readonly id: string
  readonly audience: string | readonly string[]
  readonly status: 'enabled' | 'paused' | 'disabled'
  readonly eventTypes?: readonly string[]
  readonly description?: string
  readonly owner?: string
  readonly clients?: readonly Readonly<Record<string, string>>[]
  readonly settings?: Readonly<Record<string, unknown>>
  readonly pollUrl?: string
  readonly createdAt: string
  readonly updatedAt: string
}

interface ChangeOptions extends RemoteOptions {
  readonly description?: string
  readonly owner?: string
  readonly eventType?: readonly string[]
  readonly status?: string
  readonly oauthClient?: readonly string[]
  readonly certSan?: readonly string[]
  readonly certSha256?: readonly string[]
  readonly set?: Readonly<Record<string, unknown>>
  readonly file?: string
}

interface CreateOptions extends ChangeOptions {
  readonly audience?: readonly string[]
}

interface UpdateOptions extends ChangeOptions {
  readonly unset?: readonly string[]
}

export const registerReceivers: Register = (program, cli) => {
  const receivers = program.command('receivers').description('register, change and remove receivers')

  remote(receivers.command('list'))
    .description('all receivers')
    .option('--limit <count>', 'at most so many', atLeastOne)
    .action(async (options: RemoteOptions & { limit?: number }) => list(cli, options))

  remote(receivers.command('show <id>'))
    .description('one receiver, and where its SETs are')
    .action(async (id: string, options: RemoteOptions) => show(cli, id, options))

  changeOptions(remote(receivers.command('create <id>')))
    .description('register a receiver')
    .option('--audience <aud>', '`aud` of its SETs; may be repeated', each)
    .action(async (id: string, options: CreateOptions) => create(cli, id, options))
    .addHelpText('after', '\nExample:\n  setstream receivers create billing --audience https://billing.example.com')

  changeOptions(remote(receivers.command('update <id>')))
    .description('change a receiver; what is not named stays')
    .option('--unset <name>', 'back to the default: description, owner, clients or a setting; may be repeated', each)
    .action(async (id: string, options: UpdateOptions) => update(cli, id, options))
    .addHelpText(
      'after',
      '\nExample:\n  setstream receivers update billing --status paused --set redeliverAfterMs=30000',
    )

  remote(receivers.command('delete <id>'))
    .description('remove a disabled receiver and all it holds; its id is not given out again')
    .option('--force', 'even if it is not disabled')
    .option('-y, --yes', 'do not ask')
    .action(async (id: string, options: RemoteOptions & { force?: boolean; yes?: boolean }) => {
      await confirm(cli, `Remove receiver ${id} and every SET it holds?`, options.yes)
      await new Api(cli, options).delete(`/v1/receivers/${segment(id)}${options.force ? '?force=true' : ''}`)
      if (!options.json) await print(cli.stdout, `Removed ${id}.`)
    })
}

function changeOptions(command: Command): Command {
  return command
    .option('--description <text>', 'for people')
    .option('--owner <text>', 'who to ask')
    .option('--event-type <uri>', 'subscribe to this type, or "*"; may be repeated', each)
    .addOption(new Option('--status <status>', 'what it does now').choices(['enabled', 'paused', 'disabled']))
    .option('--oauth-client <id>', 'OAuth client that may poll; may be repeated', each)
    .option('--cert-san <name>', 'client certificate by subject alternative name; may be repeated', each)
    .option('--cert-sha256 <hex>', 'client certificate by fingerprint; may be repeated', each)
    .option('--set <name=value>', 'setting, such as pollWaitMs=20000; may be repeated', setting)
    .option('--file <path>', 'JSON with these members; - is standard input; options come on top')
}

const columns: readonly Column<ReceiverRecord>[] = [
  { title: 'RECEIVER', value: receiver => receiver.id },
  {
    title: 'STATUS',
    value: receiver => receiver.status,
    style: receiver => (receiver.status === 'enabled' ? 'green' : 'yellow'),
  },
  { title: 'AUDIENCE', value: receiver => receiver.audience },
  { title: 'EVENT TYPES', value: receiver => briefly(receiver.eventTypes) },
  { title: 'OWNER', value: receiver => receiver.owner },
  { title: 'DESCRIPTION', value: receiver => receiver.description },
]

function briefly(eventTypes: readonly string[] | undefined): string {
  const types = eventTypes ?? ['*']
  const [first] = types
  return types.length === 1 && first !== undefined ? (first.split('/').at(-1) ?? first) : `${types.length} types`
}

async function list(cli: Cli, options: RemoteOptions & { limit?: number }): Promise<void> {
  const receivers = new Api(cli, options).list<ReceiverRecord>('/v1/receivers', options.limit)
  if (options.json) {
    for await (const receiver of receivers) await printJson(cli.stdout, receiver)
    return
  }
  const rows: ReceiverRecord[] = []
  for await (const receiver of receivers) rows.push(receiver)
  if (rows.length > 0) await print(cli.stdout, table(cli.stdout, columns, rows))
  else await print(cli.stderr, 'No receivers yet. Register one with `setstream receivers create`.')
}

async function show(cli: Cli, id: string, options: RemoteOptions): Promise<void> {
  const api = new Api(cli, options)
  const path = `/v1/receivers/${segment(id)}`
  const receiver = await api.get<ReceiverRecord>(path)
  if (options.json) return printJson(cli.stdout, receiver)
  const stats = await api.get<ReceiverStats>(`${path}/stats`)
  await print(cli.stdout, sheet(cli.stdout, [...entriesOf(receiver), ...entriesOfStats(stats)]))
}

function entriesOf(receiver: ReceiverRecord): [string, unknown][] {
  return [
    ['receiver', receiver.id],
    ['status', receiver.status],
    ['audience', receiver.audience],
    ['event types', receiver.eventTypes],
    ['description', receiver.description],
    ['owner', receiver.owner],
    ['clients', receiver.clients],
    ['poll URL', receiver.pollUrl],
    ['registered', time(receiver.createdAt)],
    ['changed', time(receiver.updatedAt)],
    ...Object.entries(receiver.settings ?? {}),
  ]
}

function entriesOfStats(stats: ReceiverStats): [string, unknown][] {
  return [
    ['queued', stats.queued],
    ['in flight', stats.inFlight],
    ['owed again', stats.owedAgain],
    ['parked', stats.parked],
    ['oldest', duration(stats.oldestUnackedSeconds)],
  ]
}

async function create(cli: Cli, id: string, options: CreateOptions): Promise<void> {
  const audience = options.audience?.length === 1 ? options.audience[0] : options.audience
  const body = { ...(await changes(cli, options)), ...(audience === undefined ? {} : { audience }), id }
  if (!('audience' in body)) throw new UsageError('A receiver needs an --audience: the `aud` its SETs carry.')
  const receiver = await new Api(cli, options).post<ReceiverRecord>('/v1/receivers', body)
  if (options.json) return printJson(cli.stdout, receiver)
  await print(cli.stdout, sheet(cli.stdout, entriesOf(receiver)))
  await print(cli.stderr, `Next: \`setstream tokens create --scope poll --receiver ${id}\` makes its token.`)
}

async function update(cli: Cli, id: string, options: UpdateOptions): Promise<void> {
  const patch = await changes(cli, options)
  const settings = { ...(patch.settings as object | undefined) } as Record<string, unknown>
  for (const name of options.unset ?? []) {
    if (['description', 'owner', 'clients'].includes(name)) patch[name] = null
    else settings[name] = null
  }
  if (Object.keys(settings).length > 0) patch.settings = settings
  if (Object.keys(patch).length === 0)
    throw new UsageError('Nothing to change was named.', 'See --help for what can be.')
  const receiver = await new Api(cli, options).patch<ReceiverRecord>(`/v1/receivers/${segment(id)}`, patch)
  if (options.json) return printJson(cli.stdout, receiver)
  await print(cli.stdout, sheet(cli.stdout, entriesOf(receiver)))
}

async function changes(cli: Cli, options: ChangeOptions): Promise<Record<string, unknown>> {
  const body = options.file === undefined ? {} : await readObject(cli, options.file)
  const clients = [
    ...(options.oauthClient ?? []).map(oauthClientId => ({ oauthClientId })),
    ...(options.certSan ?? []).map(certSan => ({ certSan })),
    ...(options.certSha256 ?? []).map(certSha256 => ({ certSha256 })),
  ]
  const given = {
    description: options.description,
    owner: options.owner,
    eventTypes: options.eventType,
    status: options.status,
    clients: clients.length > 0 ? clients : undefined,
    settings: options.set === undefined ? undefined : { ...(body.settings as object | undefined), ...options.set },
  }
  for (const [name, value] of Object.entries(given)) if (value !== undefined) body[name] = value
  return body
}

async function readObject(cli: Cli, path: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = path === '-' ? await textOf(cli.stdin) : await readFile(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}.`)
  }
  try {
    return jsonObject(text)
  } catch {
    throw new UsageError(`--file ${path} does not hold a JSON object.`)
  }
}
