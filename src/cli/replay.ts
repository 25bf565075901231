/** `setstream replay`: SETs that were acknowledged are owed again. */
import { Api, type RemoteOptions, remote, segment } from './api.ts'
import type { Register } from './cli.ts'
import { type Move, moveAll } from './move.ts'
import { moment } from './values.ts'

interface ReplayOptions extends RemoteOptions {
  readonly from: number
  readonly to?: number
}

export const registerReplay: Register = (program, cli) => {
  remote(program.command('replay <receiver>'))
    .description('deliver retained SETs again that were acknowledged already')
    .requiredOption('--from <time>', 'acknowledged since then: a time, or how long ago, such as 2h', text =>
      moment(text),
    )
    .option('--to <time>', 'and until then; default: now', text => moment(text))
    .action(async (receiver: string, options: ReplayOptions) => {
      const api = new Api(cli, options)
      // Fixed before the first step: what is acknowledged while this runs is not replayed.
      const body = { from: new Date(options.from).toISOString(), to: new Date(options.to ?? Date.now()).toISOString() }
      await moveAll(cli, 'owed again', options.json, () =>
        api.post<Move>(`/v1/receivers/${segment(receiver)}/replay`, body),
      )
    })
}
