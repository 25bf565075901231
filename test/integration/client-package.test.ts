/** The client libraries as others get them: compiled, imported by plain JavaScript, and small. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
let directory = ''

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'setstream-package-'))
  await copyFile(join(root, 'package.json'), join(directory, 'package.json'))
  await mkdir(join(directory, 'node_modules'))
  await mkdir(join(directory, 'node_modules/@sinclair'))
  for (const name of ['jose', '@sinclair/typebox']) {
    await symlink(join(root, 'node_modules', name), join(directory, 'node_modules', name))
  }
  const config = {
    extends: join(root, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: root,
      outDir: join(directory, 'dist'),
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: [],
    files: ['producer', 'receiver'].map(name => join(root, 'src/client', `${name}.ts`)),
  }
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config))
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', directory])
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Runs a module of plain JavaScript beside the package. @returns what it prints, and the packages it loaded. */
async function runPlain(source: string): Promise<{ printed: string; packages: string[] }> {
  const program = `
import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    if (resolved.url.includes('/node_modules/')) loaded.add(resolved.url.split('/node_modules/').at(-1).split('/')[0])
    return resolved
  },
})
await import('./main.js')
console.error(JSON.stringify([...loaded]))
`
  await writeFile(join(directory, 'main.js'), source)
  await writeFile(join(directory, 'start.js'), program)
  const { stdout, stderr } = await run(process.execPath, ['start.js'], { cwd: directory })
  return { printed: stdout.trim(), packages: JSON.parse(stderr.trim().split('\n').at(-1) ?? '[]') }
}

it('setstream/producer needs no other package', async () => {
  const { printed, packages } = await runPlain(`
    import { CAEP, createProducer, PublishError } from 'setstream/producer'
    const producer = createProducer({ url: 'https://t.example', token: 't' })
    console.log(typeof producer.publish, typeof PublishError, CAEP.sessionRevoked)
  `)
  expect(printed).toBe('function function https://schemas.openid.net/secevent/caep/event-type/session-revoked')
  expect(packages).toEqual([])
})

it('setstream/receiver needs jose and nothing else', async () => {
  const { printed, packages } = await runPlain(`
    import { createReceiver } from 'setstream/receiver'
    const receiver = createReceiver({
      pollUrl: 'https://t.example/receivers/r1/poll', token: 't', audience: 'me', issuers: [{ issuer: 'https://t.example' }],
    })
    console.log(typeof receiver.run, typeof receiver.pollOnce)
  `)
  expect(printed).toBe('function function')
  expect(packages).toEqual(['jose'])
})

it('both have types that a strict program compiles with, and that find mistakes', async () => {
  const source = (changeType: string) => `
    import { CAEP, createProducer } from 'setstream/producer'
    import { createReceiver } from 'setstream/receiver'
    const producer = createProducer({ url: 'https://t.example', token: async () => 't' })
    await producer.publish({
      id: '1',
      sub_id: { format: 'email', email: 'a@example.com' },
      events: {
        [CAEP.credentialChange]: { credential_type: 'password', change_type: ${changeType} },
        'https://example.com/other': { anything: true },
      },
    })
    const receiver = createReceiver({ pollUrl: '', token: '', audience: ['a'], issuers: [] })
    await receiver.run(async set => void set.claims.events[CAEP.credentialChange]?.change_type, {
      signal: AbortSignal.abort(),
    })
  `
  await mkdir(join(directory, 'typed'), { recursive: true })
  const config = {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2024',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: ['main.ts'],
  }
  await writeFile(join(directory, 'typed/tsconfig.json'), JSON.stringify(config))
  const compile = async (changeType: string) => {
    await writeFile(join(directory, 'typed/main.ts'), source(changeType))
    return run(join(root, 'node_modules/.bin/tsc'), ['-p', join(directory, 'typed')]).then(
      () => '',
      error => String(error.stdout),
    )
  }
  expect(await compile("'update'")).toBe('')
  expect(await compile("'updated'")).toContain('Type \'"updated"\' is not assignable')
})
