/** `setstream audit`: who changed what. */
import { Api, type RemoteOptions, remote } from './api.ts'
import type { Register } from './cli.ts'
import { type Column, print, printJson, table, time } from './output.ts'
import { atLeastOne } from './values.ts'

interface Act {
  readonly at: string
  readonly who: string
  readonly what: string
  readonly target: string
  readonly status: number
  readonly note: string
  readonly from: string
}

const columns: readonly Column<Act>[] = [
  { title: 'TIME', value: act => time(act.at) },
  { title: 'WHO', value: act => act.who },
  { title: 'WHAT', value: act => act.what },
  { title: 'ANSWER', value: act => act.status, style: act => (act.status >= 400 ? 'yellow' : undefined) },
  { title: 'TO', value: act => act.target },
  { title: 'NOTE', value: act => act.note },
  { title: 'FROM', value: act => act.from },
]

export const registerAudit: Register = (program, cli) => {
  remote(program.command('audit'))
    .description('administrative acts, newest first')
    .option('--limit <count>', 'at most so many', atLeastOne, 100)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const acts = new Api(cli, options).list<Act>('/v1/audit', options.limit)
      if (options.json) {
        for await (const act of acts) await printJson(cli.stdout, act)
        return
      }
      const rows: Act[] = []
      for await (const act of acts) rows.push(act)
      await print(cli.stdout, table(cli.stdout, columns, rows))
    })
}
