/** `setstream doctor`: is everything as it has to be, and if not, what to change. */
import type { Register } from './cli.ts'
import type { DoctorOptions } from './doctor-run.ts'

export const registerDoctor: Register = (program, cli) => {
  program
    .command('doctor')
    .description('look at Redis, keys, listeners, workers and receivers, and say what to change')
    .option('--receiver <id>', 'count what this one holds the slow way, and compare')
    .option('--roles <roles>', 'those that run on this host, comma-separated', 'public,internal,workers')
    .option('--json', 'JSON, one value a line')
    .addHelpText(
      'after',
      '\nIt reads the same environment as `setstream serve`. Exit code 1 if anything has failed, 0 for warnings alone.',
    )
    // Loaded when it is used, so that the other commands start without it.
    .action(async (options: DoctorOptions) => (await import('./doctor-run.ts')).doctor(cli, options))
}
