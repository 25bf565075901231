/** `setstream sets show`: where one SET is. */
import { Api, type RemoteOptions, remote, segment } from './api.ts'
import type { Register } from './cli.ts'
import { duration, print, printJson, sheet, time } from './output.ts'

export const registerSets: Register = (program, cli) => {
  const sets = program.command('sets').description('look at SETs')
  remote(sets.command('show <receiver> <jti>'))
    .description('where a SET is: its state, attempts, times and claims')
    .action(async (receiver: string, jti: string, options: RemoteOptions) => {
      const path = `/v1/receivers/${segment(receiver)}/sets/${segment(jti)}`
      const set = await new Api(cli, options).get<Record<string, unknown>>(path)
      if (options.json) return printJson(cli.stdout, set)
      const { claims, ...rest } = set
      const entries = Object.entries(rest).map(([name, value]): [string, unknown] => [name, readable(name, value)])
      await print(cli.stdout, sheet(cli.stdout, entries))
      // Written as JSON text, in which control characters are escaped already.
      if (claims !== undefined) await print(cli.stdout, `\n${JSON.stringify(claims, null, 2)}`)
    })
}

function readable(name: string, value: unknown): unknown {
  if (name.endsWith('At') && typeof value === 'string') return time(value)
  return name.endsWith('Seconds') && typeof value === 'number' ? duration(value) : value
}
