/** `setstream publish`: one event from options, or any number from a file or standard input. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  CAEP,
  createProducer,
  type Events,
  type Outcome,
  type PublishError,
  type Published,
  RISC,
  type SecurityEvent,
  type SubjectIdentifier,
} from '../client/producer.ts'
import { Api, type RemoteOptions, remote } from './api.ts'
import { type Cli, CliError, type Register, UsageError, untilInterrupted } from './cli.ts'
import { paint, print, printable, printJson } from './output.ts'
import { Progress } from './progress.ts'
import { durationMs, each, jsonObject } from './values.ts'

interface PublishOptions extends RemoteOptions {
  readonly type?: string
  readonly data?: Record<string, unknown>
  readonly subject?: Record<string, unknown>
  readonly email?: string
  readonly id?: string
  readonly txn?: string
  readonly toe?: string
  readonly receiver?: readonly string[]
  readonly file?: string
  readonly idPrefix?: string
  readonly giveUpAfter?: number
}

export const registerPublish: Register = (program, cli) => {
  remote(program.command('publish'))
    .description('publish events')
    .option('--type <type>', 'event type: a URI, or the name of a CAEP or RISC event such as session-revoked')
    .option('--data <json>', 'what the event says; default {}, and for CAEP without --id the time', jsonObject)
    .option('--subject <json>', 'whom it is about (sub_id)', jsonObject)
    .option('--email <address>', 'whom it is about, by email address')
    .option('--id <id>', 'makes it safe to run this again; default: made up')
    .option('--txn <txn>', 'relates the SETs of one cause')
    .option('--toe <seconds>', 'when it happened, in seconds since 1970')
    .option('--receiver <id>', 'only to this receiver; may be repeated; default: every subscribed one', each)
    .option('--file <path>', 'events as JSON, one a line; - is standard input')
    .option(
      '--id-prefix <text>',
      'with --file: events without id get this and their line number, so that a rerun repeats nothing',
    )
    .option('--give-up-after <duration>', 'how long an event is tried: 30s, with --file 5m', durationMs)
    .action(async (options: PublishOptions) => publish(cli, options))
    .addHelpText(
      'after',
      `
Examples:
  setstream publish --type session-revoked --email a@example.com
  setstream publish --type credential-change --email a@example.com --data '{"credential_type":"password","change_type":"update"}'
  setstream publish --file events.ndjson --id-prefix 2026-01-31-`,
    )
}

async function publish(cli: Cli, options: PublishOptions): Promise<void> {
  const api = new Api(cli, options)
  const events = options.file === undefined ? [eventOf(options)] : eventsFrom(cli, options)
  const signal = untilInterrupted()
  const producer = createProducer({
    url: api.url,
    token: api.token,
    allowPlainHttp: true, // Checked where the URL was read.
    // One large request at a time: receivers get the lines in their order.
    concurrency: 1,
    batchMax: 500,
    giveUpAfterMs: options.giveUpAfter ?? (options.file === undefined ? 30_000 : 300_000),
  })
  const progress = new Progress(cli.stderr, 'published')
  const counts = { taken: 0, refused: 0 }
  try {
    for await (const outcome of producer.publishAll(events, { signal })) {
      counts[outcome.ok ? 'taken' : 'refused']++
      await report(cli, outcome, options)
      // On a terminal the outcomes themselves are the progress.
      if (!cli.stdout.isTTY) progress.show(counts.taken + counts.refused, undefined)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    throw new CliError(`Stopped after ${counts.taken + counts.refused} events.`, stoppedHint(options))
  } finally {
    progress.end()
    await producer.close({ signal: AbortSignal.abort() }) // Nothing is left, unless all of it was given up.
  }
  if (options.file !== undefined && !options.json) {
    await print(cli.stderr, `${counts.taken} published, ${counts.refused} refused.`)
  }
  if (counts.refused > 0)
    throw new CliError(
      counts.refused === 1 ? 'An event was not published.' : `${counts.refused} events were not published.`,
    )
}

function stoppedHint({ idPrefix }: PublishOptions): string {
  return idPrefix === undefined
    ? 'Events without an id of their own would be published again by a rerun; --id-prefix prevents that.'
    : 'Run it again to publish the rest.'
}

function eventOf(options: PublishOptions): SecurityEvent {
  if (options.type === undefined) {
    throw new UsageError('What is to be published?', 'Name an event with --type, or read events with --file.')
  }
  if (options.subject !== undefined && options.email !== undefined) {
    throw new UsageError('--subject and --email both say whom the event is about: give one.')
  }
  const subject = options.email === undefined ? options.subject : { format: 'email', email: options.email }
  const toe = options.toe === undefined ? undefined : Number(options.toe)
  if (Number.isNaN(toe)) throw new UsageError('--toe is a number of seconds since 1970.')
  const type = typeOf(options.type)
  // Some receivers refuse CAEP events without a time. Under an id of the caller's, a repetition has to say the same.
  const isTimed = Object.values<string>(CAEP).includes(type) && options.id === undefined
  const data = isTimed ? { event_timestamp: Math.floor(Date.now() / 1000), ...options.data } : (options.data ?? {})
  return {
    events: { [type]: data } as Events,
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(subject === undefined ? {} : { sub_id: subject as SubjectIdentifier }),
    ...(options.txn === undefined ? {} : { txn: options.txn }),
    ...(toe === undefined ? {} : { toe }),
    ...(options.receiver === undefined ? {} : { receivers: options.receiver }),
  }
}

/** `session-revoked`, `caep:session-revoked` and `risc:sessions-revoked` are short for their URIs. */
function typeOf(name: string): string {
  const match = /^(?:(caep|risc):)?([a-z-]+)$/.exec(name)
  if (match === null) return name
  const [, family, short] = match
  const known = [
    ...(family === 'risc' ? [] : Object.values<string>(CAEP)),
    ...(family === 'caep' ? [] : Object.values<string>(RISC)),
  ]
  const uri = known.find(candidate => candidate.endsWith(`/${short}`))
  if (uri === undefined) {
    const names = [...new Set(known.map(candidate => candidate.split('/').at(-1)))].join(', ')
    throw new UsageError(`${name} is not the name of an event.`, `Give a URI, or one of: ${names}.`)
  }
  return uri
}

async function* eventsFrom(
  cli: Cli,
  { file, idPrefix, type, receiver }: PublishOptions,
): AsyncGenerator<SecurityEvent> {
  if (type !== undefined) throw new UsageError('--type and --file exclude each other.')
  const input = file === '-' || file === undefined ? cli.stdin : createReadStream(file)
  const failed = new Promise<never>((_, reject) => {
    input.once('error', (error: NodeJS.ErrnoException) => {
      reject(new UsageError(`--file ${file} cannot be read: ${error.code}.`))
    })
  })
  failed.catch(() => undefined)
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]()
  for (let number = 1; ; number++) {
    const line = await Promise.race([lines.next(), failed])
    if (line.done) {
      // A stream that failed ends its lines too.
      if (input.errored) await failed
      return
    }
    if (line.value.trim() === '') continue
    let event: Record<string, unknown>
    try {
      event = jsonObject(line.value)
    } catch {
      throw new CliError(
        `Line ${number} is not a JSON object.`,
        'Each line is one event. Lines before it were published.',
      )
    }
    yield {
      ...(idPrefix === undefined ? {} : { id: `${idPrefix}${number}` }),
      ...(receiver === undefined ? {} : { receivers: receiver }),
      ...event,
    } as unknown as SecurityEvent
  }
}

async function report(cli: Cli, outcome: Outcome, options: PublishOptions): Promise<void> {
  if (options.json) return printJson(cli.stdout, outcome.ok ? outcome.published : failureOf(outcome.error))
  if (outcome.ok) return print(cli.stdout, published(cli, outcome.published))
  const { error } = outcome
  const faults = error.faults.map(({ at, message }) => `\n  ${printable(at)} ${printable(message)}`).join('')
  await print(
    cli.stderr,
    `${paint(cli.stderr, 'red', 'refused')} ${printable(error.id)}: ${printable(error.message)}${faults}`,
  )
}

function published(cli: Cli, { id, deliveries }: Published): string {
  const to = deliveries.map(({ receiver, status }) => (status === 'queued' ? receiver : `${receiver} (${status})`))
  const where = to.length > 0 ? `→ ${to.join(', ')}` : paint(cli.stdout, 'yellow', '→ nobody subscribed')
  return `${printable(id)} ${where}`
}

function failureOf(error: PublishError): object {
  const { id, code, status, message, faults, deliveries } = error
  return { id, error: { code, status, detail: message, faults }, deliveries }
}
