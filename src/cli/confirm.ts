/** Asks before something that cannot be undone. Where nobody can be asked, `--yes` has to say so. */
import { createInterface } from 'node:readline/promises'
import { type Cli, CliError, UsageError } from './cli.ts'

export async function confirm(cli: Cli, question: string, isYes: boolean | undefined): Promise<void> {
  if (isYes) return
  if (!cli.stdin.isTTY || !cli.stderr.isTTY) {
    throw new UsageError('This cannot be undone, and there is no terminal to ask on.', 'Say --yes if you mean it.')
  }
  const lines = createInterface({ input: cli.stdin, output: cli.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was done.')
  } finally {
    lines.close()
  }
}
