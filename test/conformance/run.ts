/** `npm run conformance`: runs the vectors against a transmitter and prints what each of them showed. */
import { Command, InvalidArgumentError } from 'commander'
import { givenLab, type Lab, ownLab } from './lab.ts'
import { OWN_LIMITS, SETTLES_WITHIN_MS } from './own-server.ts'
import { table, totalsOf } from './report.ts'
import { AT_A_TIME, runAll } from './run-all.ts'
import { readVectors, vectorFiles } from './vector.ts'

interface Options {
  url?: URL
  internalUrl?: URL
  opsUrl?: URL
  adminToken?: string
  vectors?: string
  only?: string[]
  json?: boolean
  heldPolls: number
  bodyCap: number
  pollBudget: number
  receiveTimeout: number
  atATime: number
}

const url = (value: string) => URL.parse(value) ?? fail('not a URL')
const whole = (value: string) => (/^\d+$/.test(value) ? Number(value) : fail('not a whole number'))
const list = (value: string) => value.split(',').map(item => item.trim())
function fail(why: string): never {
  throw new InvalidArgumentError(why)
}

const command = new Command('conformance')
  .description('Runs black-box vectors for poll-based SET delivery (RFC 8936) over HTTP.')
  .option('--url <url>', 'base of the public listener; without it a server of our own is started and stopped', url)
  .option('--internal-url <url>', 'base of the internal listener (needed with --url)', url)
  .option('--ops-url <url>', 'base of the operations listener; without it counters are not looked at', url)
  .option('--admin-token <token>', 'admin token (needed with --url; else ADMIN_TOKEN)')
  .option('--vectors <file>', 'vector file (default: vectors.json and further-vectors.json of this folder)')
  .option('--only <ids>', 'comma-separated ids', list)
  .option('--json', 'print JSON')
  .option('--held-polls <n>', 'W of the given server', whole, OWN_LIMITS.heldPollsPerReceiver)
  .option('--body-cap <bytes>', 'B of the given server', whole, OWN_LIMITS.bodyBytesMax)
  .option('--poll-budget <n>', 'RATE_LIMIT_POLL of the given server', whole, OWN_LIMITS.pollsPerMinute)
  .option('--receive-timeout <ms>', 'HEADER_TIMEOUT_MS + BODY_TIMEOUT_MS of it', whole, 20_000)
  .option('--at-a-time <n>', 'vectors side by side', whole, AT_A_TIME)
  .addHelpText(
    'after',
    `
A given server needs:
  RATE_LIMIT_ANONYMOUS=0 (or some hundreds a minute): the vectors are refused by the dozen, from one address
  a certificate this process trusts, where its URLs are https (NODE_EXTRA_CA_CERTS)
Receivers and tokens are made through /v1 and removed again; page cap, poll wait and redelivery are set on them.
Vectors that stop a process, take the store away or need a second process are not run against a given server.

Exit code: 0 all run vectors passed, 1 some failed, 2 could not start.`,
  )
  .exitOverride(error => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()

const options = command.opts<Options>()
process.exitCode = await main(options).catch(error => {
  console.error(error instanceof Error ? error.message : error)
  return 2
})

async function main(options: Options): Promise<number> {
  const files = options.vectors === undefined ? vectorFiles : [options.vectors]
  const all = (await Promise.all(files.map(readVectors))).flat()
  const vectors = options.only === undefined ? all : all.filter(({ id }) => options.only?.includes(id))
  const unknown = options.only?.filter(id => !all.some(vector => vector.id === id)) ?? []
  if (unknown.length > 0) throw new Error(`no such vector: ${unknown.join(', ')}`)
  const lab = await labFor(options)
  try {
    const startedAt = performance.now()
    const results = await Promise.all(runAll(vectors, lab, options.atATime))
    const totals = totalsOf(results)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    if (options.json) console.log(JSON.stringify({ transmitter: lab.shared.publicUrl, totals, results }, undefined, 2))
    else console.log(`${table(results)}, ${seconds} s, ${lab.shared.publicUrl}`)
    return totals.failed === 0 ? 0 : 1
  } finally {
    await lab.close()
  }
}

async function labFor(options: Options): Promise<Lab> {
  if (options.url === undefined) return ownLab()
  const adminToken = options.adminToken ?? process.env.ADMIN_TOKEN
  if (options.internalUrl === undefined || !adminToken) throw new Error('--url needs --internal-url and --admin-token')
  return givenLab({
    publicUrl: options.url,
    internalUrl: options.internalUrl,
    opsUrl: options.opsUrl,
    adminToken,
    limits: {
      ...OWN_LIMITS,
      heldPollsPerReceiver: options.heldPolls,
      bodyBytesMax: options.bodyCap,
      pollsPerMinute: options.pollBudget,
      receiveTimeoutMs: options.receiveTimeout,
    },
    logLines: undefined,
    settlesWithinMs: SETTLES_WITHIN_MS,
  })
}
