/**
 * Compiles `src/` and `workers/` to `dist/` and puts beside the code what it loads as it is: the Lua scripts and the console.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const tsc = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
cpSync('src', 'dist/src', { recursive: true, filter: source => !/\.ts$|tsconfig\.json$/.test(source) })
