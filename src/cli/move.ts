/** Work that the transmitter does in steps: repeated until nothing remains, with a progress bar. */
import { type Cli, CliError } from './cli.ts'
import { print, printJson } from './output.ts'
import { Progress } from './progress.ts'

export interface Move {
  readonly moved: number
  readonly remaining: number
}

export async function moveAll(
  cli: Cli,
  done: string,
  isJson: boolean | undefined,
  step: () => Promise<Move>,
): Promise<void> {
  const progress = new Progress(cli.stderr, done)
  let moved = 0
  let remaining = 0
  try {
    do {
      const result = await step()
      moved += result.moved
      remaining = result.remaining
      if (result.moved === 0 && remaining > 0) {
        throw new CliError(
          `${moved} ${done}, ${remaining} remain and do not move.`,
          'Look at the log of the transmitter.',
        )
      }
      progress.show(moved, moved + remaining)
    } while (remaining > 0)
  } finally {
    progress.end()
  }
  if (isJson) await printJson(cli.stdout, { moved })
  else await print(cli.stdout, `${moved} ${done}.`)
}
