/** Compiles `src/` and `workers/` to `dist/` and puts the Lua scripts beside the code that loads them. */
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const tsc = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
cpSync('src', 'dist/src', { recursive: true, filter: source => !source.endsWith('.ts') })
