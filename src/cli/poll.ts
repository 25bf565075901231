/** `setstream poll`: acts as a receiver. */
import { Option } from 'commander'
import type { Register } from './cli.ts'
import type { PollOptions } from './poll-run.ts'
import { atLeastOne, each } from './values.ts'

export const registerPoll: Register = (program, cli) => {
  program
    .command('poll <receiver>')
    .description('receive SETs: verify, print and acknowledge what is there, then end')
    .option('--once', 'one poll, held until a SET arrives')
    .option('--follow', 'go on until interrupted')
    .addOption(new Option('--public-url <url>', 'public listener (PUBLIC_URL, ISSUER; else http://127.0.0.1:8080)'))
    .addOption(new Option('--token <token>', 'poll token (SETSTREAM_POLL_TOKEN)'))
    .option('--issuer <iss>', 'issuer to trust (ISSUER; else the public URL); may be repeated', each)
    .option(
      '--audience <aud>',
      'who we are; default: what the registry says, with SETSTREAM_TOKEN or ADMIN_TOKEN',
      each,
    )
    .option('--jwks <url>', 'keys of the issuer; default: those of the public listener')
    .option('--max <count>', 'SETs a poll', atLeastOne, 100)
    .option('--allow-plain-http', 'plain HTTP to another machine: it can read the token')
    .option('--json', 'JSON, one SET a line')
    .action(async (receiver: string, options: PollOptions) => {
      // Loaded here so that the other commands start without it.
      const { poll } = await import('./poll-run.ts')
      await poll(cli, receiver, options)
    })
    .addHelpText('after', '\nExample:\n  setstream poll billing --audience https://billing.example.com --follow --json')
}
