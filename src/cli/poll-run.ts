/** `setstream poll` at work: every SET is verified, printed, and acknowledged once it was printed. */
import { reasonOf } from '../client/http.ts'
import { createReceiver, type PollError, type ReceivedSet, type ReceiverProblem } from '../client/receiver.ts'
import { Settings } from '../config.ts'
import { Api, checked, nonEmpty, segment } from './api.ts'
import { type Cli, CliError, UsageError, untilInterrupted } from './cli.ts'
import { paint, print, printable, sheet, time } from './output.ts'

export interface PollOptions {
  readonly publicUrl?: string
  readonly token?: string
  readonly issuer?: readonly string[]
  readonly audience?: readonly string[]
  readonly jwks?: string
  readonly max: number
  readonly once?: boolean
  readonly follow?: boolean
  readonly allowPlainHttp?: boolean
  readonly json?: boolean
}

export async function poll(cli: Cli, id: string, options: PollOptions): Promise<void> {
  const { env } = cli
  const token = options.token ?? nonEmpty(env.SETSTREAM_POLL_TOKEN)
  if (token === undefined) {
    throw new UsageError(
      'There is no poll token.',
      `Give --token or SETSTREAM_POLL_TOKEN; \`setstream tokens create --scope poll --receiver ${id}\` makes one.`,
    )
  }
  const allowPlainHttp = options.allowPlainHttp === true
  const base = options.publicUrl ?? nonEmpty(env.PUBLIC_URL) ?? nonEmpty(env.ISSUER) ?? 'http://127.0.0.1:8080'
  const publicUrl = checked('--public-url', base, allowPlainHttp)
  const receiver = createReceiver({
    pollUrl: `${publicUrl}/receivers/${segment(id)}/poll`,
    token,
    issuers: (options.issuer ?? issuersOf(env.ISSUER, publicUrl)).map(issuer => ({
      issuer,
      ...(options.jwks === undefined ? {} : { jwksUrl: checked('--jwks', options.jwks, allowPlainHttp) }),
    })),
    audience: options.audience ?? (await registeredAudience(cli, id)),
    maxEvents: options.max,
    allowPlainHttp,
    onProblem: problem => void print(cli.stderr, describe(cli, problem)),
  })
  const show = (set: ReceivedSet) => print(cli.stdout, options.json ? JSON.stringify(jsonOf(set)) : textOf(cli, set))
  const signal = untilInterrupted()
  try {
    if (options.follow) return await receiver.run(show, { signal })
    let left = 0
    let reported = 0
    for (;;) {
      const summary = await receiver.pollOnce(show, { wait: options.once === true, signal })
      left += summary.left
      reported += summary.reported
      if (options.once || !summary.moreAvailable) break
    }
    if (left + reported > 0) throw new CliError(`${reported} SETs were reported, ${left} were left and come again.`)
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof CliError) throw error
    throw new CliError(`Polling ${publicUrl} failed: ${reasonOf(error)}.`, hintOf(error as PollError, id))
  }
}

/** A transmitter on this machine that nobody named calls itself by its default, whatever its port. */
function issuersOf(named: string | undefined, publicUrl: string): string[] {
  const issuer = nonEmpty(named)
  if (issuer !== undefined) return [issuer]
  return publicUrl.startsWith('http:')
    ? [...new Set([publicUrl, Settings.properties.ISSUER.default as string])]
    : [publicUrl]
}

function hintOf({ status }: PollError, id: string): string | undefined {
  switch (status) {
    case 401:
    case 404:
      return `Make a token with \`setstream tokens create --scope poll --receiver ${id}\`, and check the receiver's id.`
    case 403:
      return 'Use a token of scope poll.'
    default:
      return 'Check --public-url, and that `setstream serve` runs there with the role public.'
  }
}

async function registeredAudience(cli: Cli, id: string): Promise<string | readonly string[]> {
  let api: Api
  try {
    api = new Api(cli, {})
  } catch {
    throw new UsageError('Who is this receiver?', 'Say with --audience which `aud` its SETs carry.')
  }
  const { audience } = await api.get<{ audience: string | readonly string[] }>(`/v1/receivers/${segment(id)}`)
  return audience
}

function jsonOf({ jti, token, header, claims }: ReceivedSet): object {
  return { jti, header, claims, token }
}

function textOf(cli: Cli, { claims }: ReceivedSet): string {
  const events = Object.entries(claims.events).map(([type, data]): [string, unknown] => [
    'event',
    `${type} ${JSON.stringify(data)}`,
  ])
  return `${sheet(cli.stdout, [
    ['jti', claims.jti],
    ['issued', time(claims.iat * 1000)],
    ['subject', claims.sub_id ?? claims.sub],
    ['txn', claims.txn],
    ...events,
  ])}\n`
}

function describe(cli: Cli, problem: ReceiverProblem): string {
  const mark = paint(cli.stderr, 'yellow', '!')
  switch (problem.kind) {
    case 'poll_failed':
      return `${mark} poll failed: ${printable(problem.reason)}; next try in ${Math.ceil(problem.retryInMs / 1000)} s`
    case 'set_refused':
      return `${mark} ${printable(problem.jti)} reported as ${problem.err}: ${problem.description}`
    case 'set_undecided':
      return `${mark} ${printable(problem.jti)} left for later: ${printable(problem.reason)}`
    case 'handler_failed':
      return `${mark} ${printable(problem.jti)} not acknowledged: ${printable(problem.reason)}`
    case 'acknowledgements_lost':
      return `${mark} ${problem.jtis.length} acknowledgements were not taken: ${printable(problem.reason)}`
  }
}
