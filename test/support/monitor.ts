/** What is asked of the shared Redis while something runs. */
import { randomBytes } from 'node:crypto'
import { connect } from './redis.ts'
import { until } from './until.ts'

export type Command = readonly string[]

/** @returns the commands that clients sent in the meantime and that name a key of `prefix`; not those of scripts. */
export async function commandsDuring(prefix: string, work: () => Promise<unknown>): Promise<Command[]> {
  const redis = connect()
  const monitor = await redis.monitor() // A connection of its own.
  const commands: Command[] = []
  const end = randomBytes(8).toString('hex')
  let isOver = false
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    if (args.includes(end)) isOver = true
    else if (source !== 'lua' && args.some(arg => arg.includes(prefix))) commands.push(args)
  })
  try {
    await work()
    // Commands are told in order: what was sent before this one has been told with it.
    await redis.echo(end)
    await until('the end of what Redis tells', () => isOver)
    return commands
  } finally {
    monitor.disconnect()
    redis.disconnect()
  }
}
