/** `setstream serve`: the transmitter itself. */
import type { Register } from './cli.ts'
import { UsageError } from './cli.ts'

export const registerServe: Register = program => {
  program
    .command('serve')
    .description('run the transmitter; its configuration is the environment')
    .option('--roles <roles>', 'of public, internal and workers, comma-separated', 'public,internal,workers')
    .action(async ({ roles }: { roles: string }) => {
      // Loaded here so that the other commands start without the server's libraries.
      const { ROLES, runServe } = await import('../serve.ts')
      const wanted = ROLES.filter(role => roles.split(',').includes(role))
      if (wanted.length === 0 || wanted.length !== new Set(roles.split(',')).size) {
        throw new UsageError(`--roles takes ${ROLES.join(', ')}, comma-separated`)
      }
      await runServe(wanted)
    })
}
