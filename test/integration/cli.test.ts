/** The command line as a person or a script uses it: processes against a real transmitter. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { CAEP } from '../../src/client/producer.ts'
import { startTransmitter } from '../support/transmitter.ts'

// A test is a dozen processes, each of which a busy machine starts slowly.
vi.setConfig({ testTimeout: 60_000 })

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const transmitter = await startTransmitter({ RETAIN_ACKED_MS: '3600000' })
const directory = await mkdtemp(join(tmpdir(), 'setstream-cli-'))
afterAll(() => rm(directory, { recursive: true, force: true }))

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface RunOptions {
  readonly env?: Record<string, string>
  readonly stdin?: string
}

const ENV = {
  PATH: process.env.PATH ?? '',
  SETSTREAM_URL: transmitter.internalUrl,
  SETSTREAM_TOKEN: transmitter.adminToken,
  PUBLIC_URL: transmitter.publicUrl,
  ISSUER: transmitter.issuer,
}

function start(args: readonly string[], { env = {}, stdin = '' }: RunOptions = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: directory, env: { ...ENV, ...env } })
  child.stdin.on('error', () => undefined) // It need not read what it is given.
  child.stdin.end(stdin)
  const result = Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'close')]).then(
    ([out, err, [code]]): Result => ({ code, out, err }),
  )
  return { child, result }
}

const run = (args: string, options?: RunOptions): Promise<Result> => start(args.split(' '), options).result
const runArgs = (args: readonly string[], options?: RunOptions): Promise<Result> => start(args, options).result

const lines = (text: string) => text.trimEnd().split('\n')
const json = (text: string) => lines(text).map(line => JSON.parse(line))

async function pollToken(receiver: string): Promise<string> {
  return (await run(`tokens create --scope poll --receiver ${receiver}`)).out.trim()
}

describe('exit codes and errors', () => {
  it('are 0 for help and version', async () => {
    expect(await run('--version')).toMatchObject({ code: 0, out: '0.1.0\n', err: '' })
    const help = await run('receivers create --help')
    expect(help.code).toBe(0)
    expect(help.out).toContain('Example:')
  })

  it.each([
    ['', 'Usage: setstream'],
    ['receivers', 'Usage: setstream receivers'],
    ['nonsense', "unknown command 'nonsense'"],
    ['receivers create', "missing required argument 'id'"],
    ['receivers create r1', 'needs an --audience'],
    ['receivers update r1', 'Nothing to change'],
    ['tokens create --scope poll', 'needs a --receiver'],
    ['replay r1 --from yesterday', 'It is a time such as'],
    ['parked requeue r1', 'Name the SETs by jti, or say --all.'],
    ['parked requeue r1 j --all', 'Name the SETs by jti, or say --all.'],
    ['parked discard r1 --all', 'Say --yes if you mean it.'],
    ['publish --type no-such-event', 'session-revoked'],
    ['publish', 'Name an event with --type'],
    ['publish --file does-not-exist', 'cannot be read: ENOENT'],
    ['poll r1', 'There is no poll token.'],
    ['status --url nonsense', '--url is not an http(s) URL'],
    ['status --url http://elsewhere.example', '--allow-plain-http'],
    ['serve --roles nothing', '--roles takes public, internal, workers'],
  ])('are 2 for wrong usage: %j', async (args, message) => {
    const result = await runArgs(args === '' ? [] : args.split(' '))
    expect(result.err).toContain(message)
    expect(result).toMatchObject({ code: 2, out: '' })
  })

  it('without any token say where one was looked for', async () => {
    const result = await run('status', { env: { SETSTREAM_TOKEN: '', DATA_DIR: 'nowhere' } })
    expect(result.code).toBe(2)
    expect(result.err).toContain('nowhere/admin-token')
  })

  it('take the token of the embedded default where it is kept', async () => {
    await writeFile(join(directory, 'admin-token'), `${transmitter.adminToken}\n`)
    expect((await run('status', { env: { SETSTREAM_TOKEN: '', DATA_DIR: directory } })).code).toBe(0)
  })

  it('are 1 for what failed, with what to do', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const unreachable = await run('status', { env: { SETSTREAM_URL: `http://127.0.0.1:${port}` } })
    expect(unreachable).toMatchObject({ code: 1, out: '' })
    expect(unreachable.err).toContain('ECONNREFUSED')
    expect(unreachable.err).toContain('setstream serve')

    const badToken = await run('status --token sst_wrong')
    expect(badToken.code).toBe(1)
    expect(badToken.err).toContain('The token came from --token.')

    const unknown = await run('receivers show nobody')
    expect(unknown.code).toBe(1)
    expect(unknown.err).toMatch(/^setstream: No such receiver/)
  })

  it('name every fault of what was sent', async () => {
    const result = await run('receivers create Wrong_Id --audience a --set pageMax=0')
    expect(result.code).toBe(1)
    expect(result.err).toContain('/id')
    expect(result.err).toContain('/settings/pageMax')
  })

  it('are 0, without a word, for output that nobody reads to its end', async () => {
    const script = `set -o pipefail; '${process.execPath}' '${CLI}' receivers --help | true`
    // Without standard input: bash takes a socket there for a remote shell.
    const child = spawn('bash', ['-c', script], { cwd: directory, env: ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    const [err, [code]] = await Promise.all([textOf(child.stderr), once(child, 'close')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })
})

describe('receivers and tokens', () => {
  it('live through create, list, show, update and delete', async () => {
    const created = await run(
      'receivers create life --audience https://life.example --owner team-a --set pollWaitMs=500',
    )
    expect(created.code).toBe(0)
    expect(created.out).toMatch(/poll URL +http.*\/receivers\/life\/poll/)
    expect(created.err).toContain('setstream tokens create --scope poll --receiver life')

    const listed = await run('receivers list')
    expect(lines(listed.out)[0]).toMatch(/^RECEIVER +STATUS +AUDIENCE/)
    expect(listed.out).toMatch(/life +enabled +https:\/\/life\.example/)
    expect(json((await run('receivers list --json')).out)).toContainEqual(expect.objectContaining({ id: 'life' }))

    const updated = await runArgs(
      'receivers update life --status paused --event-type urn:a --event-type urn:b --set pageMax=10 --unset owner --unset pollWaitMs --json'.split(
        ' ',
      ),
    )
    expect(json(updated.out)).toMatchObject([
      { status: 'paused', eventTypes: ['urn:a', 'urn:b'], settings: { pageMax: 10 } },
    ])
    expect(json(updated.out)[0]).not.toHaveProperty('owner')
    expect((await run('receivers show life')).out).toMatch(/queued +0/)

    const refused = await run('receivers delete life --yes')
    expect(refused.code).toBe(1)
    expect((await run('receivers delete life --force --yes')).out).toBe('Removed life.\n')
    expect((await run('receivers show life')).code).toBe(1)
  })

  it('are read from a file or standard input, options on top', async () => {
    const stdin = JSON.stringify({ audience: ['a', 'b'], description: 'from stdin', settings: { pageMax: 7 } })
    const { out } = await run('receivers create stdin --file - --description mine --set sloMs=1000 --json', { stdin })
    expect(json(out)).toMatchObject([
      { audience: ['a', 'b'], description: 'mine', settings: { pageMax: 7, sloMs: 1000 } },
    ])
    expect((await run('receivers create x --file -', { stdin: '[]' })).code).toBe(2)
  })

  it('a token is printed alone, listed without its secret, and worthless once revoked', async () => {
    await run('receivers create tokened --audience a')
    const made = await run('tokens create --scope poll --receiver tokened --expires 1d')
    expect(made.out).toMatch(/^sst_\w+\n$/)
    const tokenId = /Token (\S+),/.exec(made.err)?.[1] as string
    const listed = await run('tokens list')
    expect(listed.out).toContain(tokenId)
    expect(listed.out).not.toContain(made.out.trim())
    expect((await run('poll tokened', { env: { SETSTREAM_POLL_TOKEN: made.out.trim() } })).code).toBe(0)
    expect((await run(`tokens revoke ${tokenId} --yes`)).code).toBe(0)
    const refused = await run('poll tokened', { env: { SETSTREAM_POLL_TOKEN: made.out.trim() } })
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('does not accept the token (401)')
  })
})

describe('publish and poll', () => {
  it('carry an event from options to a verified SET, which is then gone', async () => {
    await run('receivers create carry --audience https://carry.example')
    const env = { SETSTREAM_POLL_TOKEN: await pollToken('carry') }
    const published = await run('publish --type session-revoked --email a@example.com --id once --receiver carry')
    expect(published).toMatchObject({ code: 0, out: 'once → carry\n' })
    const repeated = await run('publish --type session-revoked --email a@example.com --id once --receiver carry')
    expect(repeated).toMatchObject({ code: 0, out: 'once → carry (duplicate)\n' })

    const polled = await run('poll carry --json', { env })
    expect(polled.code).toBe(0)
    const [set] = json(polled.out)
    expect(set).toMatchObject({
      header: { typ: 'secevent+jwt', alg: 'ES256' },
      claims: {
        aud: 'https://carry.example',
        sub_id: { format: 'email', email: 'a@example.com' },
        events: { [CAEP.sessionRevoked]: {} },
      },
    })
    expect(await run('poll carry', { env })).toMatchObject({ code: 0, out: '' })
    expect((await run(`sets show carry ${set.jti}`)).out).toMatch(/state +acknowledged/)
  })

  it('take events as lines, in order, each with its own outcome, and a rerun repeats nothing', async () => {
    await run('receivers create lines --audience https://lines.example')
    const event = (n: number) => JSON.stringify({ receivers: ['lines'], events: { 'urn:example:e': { n } } })
    const stdin = [...Array.from({ length: 120 }, (_, i) => event(i)), '', '{"events":{}}', ''].join('\n')
    for (const status of ['queued', 'duplicate']) {
      const result = await run('publish --file - --id-prefix run-1- --json', { stdin })
      expect(result.code).toBe(1)
      const outcomes = json(result.out)
      expect(outcomes).toHaveLength(121)
      expect(outcomes.slice(0, 120).every(({ deliveries }) => deliveries[0].status === status)).toBe(true)
      expect(outcomes[120]).toMatchObject({ id: 'run-1-122', error: { code: 'bad_request' } })
    }
    const polled = await run('poll lines --max 50 --json', { env: { SETSTREAM_POLL_TOKEN: await pollToken('lines') } })
    expect(json(polled.out).map(({ claims }) => claims.events['urn:example:e'].n)).toEqual(
      Array.from({ length: 120 }, (_, i) => i),
    )
  })

  it('say which line is no JSON, after publishing those before it', async () => {
    const good = JSON.stringify({ id: 'before', receivers: ['lines'], events: { 'urn:example:e': {} } })
    const result = await run('publish --file -', { stdin: `${good}\nnonsense\n` })
    expect(result.code).toBe(1)
    expect(result.out).toBe('before → lines\n')
    expect(result.err).toContain('Line 2 is not a JSON object.')
  })

  it('follow until interrupted, and acknowledge before they end', async () => {
    await run('receivers create followed --audience https://followed.example')
    const env = { SETSTREAM_POLL_TOKEN: await pollToken('followed') }
    const { child, result } = start(['poll', 'followed', '--follow', '--json'], { env })
    const shown = once(child.stdout, 'data')
    await run('publish --type session-revoked --email a@example.com --receiver followed')
    await shown
    child.kill('SIGINT')
    expect((await result).code).toBe(0)
    expect(await transmitter.admin('GET', '/v1/receivers/followed/stats')).toMatchObject({ acked: 1, inFlight: 0 })
  })

  it('report what does not verify', async () => {
    await run('receivers create strict --audience https://strict.example')
    await run('publish --type session-revoked --email a@example.com --receiver strict')
    const env = { SETSTREAM_POLL_TOKEN: await pollToken('strict') }
    const result = await run('poll strict --issuer https://other.example', { env })
    expect(result.code).toBe(1)
    expect(result.err).toContain('invalid_issuer')
  })
})

describe('dead letters, replay and the rest', () => {
  const terminalEscape = '\u001b[2J'

  it('parked SETs are listed, requeued and discarded, one or all', async () => {
    const { pollUrl, token } = await transmitter.addReceiver('dead')
    const stdin = Array.from({ length: 3 }, (_, n) =>
      JSON.stringify({ receivers: ['dead'], events: { 'urn:example:e': { n } } }),
    ).join('\n')
    await run('publish --file -', { stdin })
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const poll = async (body: object) => {
      const response = await fetch(pollUrl, {
        method: 'POST',
        headers,
        body: JSON.stringify({ returnImmediately: true, ...body }),
      })
      return (await response.json()) as { sets: Record<string, string> }
    }
    const park = async () => {
      const jtis = Object.keys((await poll({})).sets)
      const error = { err: 'invalid_key', description: `steer the terminal ${terminalEscape}` }
      await poll({ maxEvents: 0, setErrs: Object.fromEntries(jtis.map(jti => [jti, error])) })
      return jtis
    }
    const [first = ''] = await park()
    const listed = await run('parked list dead')
    expect(lines(listed.out)).toHaveLength(4)
    expect(listed.out).toContain('invalid_key')
    expect(listed.out).not.toContain('\u001b')
    expect(listed.out).toContain('\\u{1b}')
    expect(json((await run('parked list dead --json --limit 2')).out)).toHaveLength(2)

    expect((await run(`parked requeue dead ${first} unknown`)).out).toBe('1 requeued; 1 were not parked.\n')
    expect((await run('parked requeue dead --all')).out).toBe('2 requeued.\n')
    expect((await park()).length).toBe(3)
    expect((await run(`parked discard dead ${first} --yes`)).out).toBe('1 discarded.\n')
    expect((await run('parked discard dead --all --yes --json')).out).toBe('{"moved":2}\n')
    expect((await run('parked list dead')).err).toBe('Nothing is parked.\n')
  })

  it('what was acknowledged and is retained can be replayed', async () => {
    await run('receivers create again --audience https://again.example')
    const env = { SETSTREAM_POLL_TOKEN: await pollToken('again') }
    await run('publish --type session-revoked --email a@example.com --receiver again')
    const [before] = json((await run('poll again --json', { env })).out)
    expect((await run('replay again --from 1h')).out).toBe('1 owed again.\n')
    expect(json((await run('poll again --json', { env })).out)).toEqual([before])
  })

  it('status shows every receiver and the sum, once or again and again', async () => {
    const once_ = await run('status')
    expect(lines(once_.out)[0]).toMatch(/^RECEIVER +STATUS +QUEUED +IN FLIGHT +OWED +PARKED +OLDEST/)
    expect(lines(once_.out).at(-1)).toMatch(/^all /)
    const [one] = json((await run('status --receiver again --json')).out)
    expect(one).toMatchObject({ items: [{ receiver: 'again', published: 1, acked: 2 }] })
    const { child, result } = start(['status', '--json', '--watch', '10ms'])
    await once(child.stdout, 'data')
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const watched = await result
    expect(watched.code).toBe(0)
    expect(json(watched.out).length).toBeGreaterThan(1)
  })

  it('audit tells who did what', async () => {
    await run('receivers create audited --audience a')
    const { out } = await run('audit --limit 5')
    expect(out).toMatch(/POST \/v1\/receivers +201 +audited/)
  })
})

describe('keys', () => {
  it('live through generate, rotate and retire', async () => {
    const env = { KEYS_DIR: join(directory, 'keys') }
    expect((await run('keys list', { env })).err).toContain('setstream keys generate')
    const [first] = json((await run('keys generate --json', { env })).out)
    expect(first).toMatchObject({ alg: 'ES256', state: 'current' })
    const [second] = json((await run('keys generate --json', { env })).out)
    expect(second.state).toBe('next')
    const early = await run('keys rotate', { env })
    expect(early.code).toBe(2)
    expect(early.err).toContain('or force it')
    const rotated = json((await run('keys rotate --force --json', { env })).out)
    expect(rotated).toMatchObject([
      { kid: second.kid, state: 'current' },
      { kid: first.kid, state: 'retired' },
    ])
    expect(JSON.stringify(rotated)).not.toContain('"d"')
    expect((await run(`keys retire ${second.kid}`, { env })).code).toBe(2)
    expect((await run(`keys delete ${first.kid} --yes`, { env })).code).toBe(0)
    expect(lines((await run('keys list', { env })).out)).toHaveLength(2)
  })
})

describe('completion', () => {
  const complete = async (...words: string[]) => lines((await runArgs(['__complete', '--', ...words])).out)

  it('knows commands, options and the values of options', async () => {
    expect(await complete('rec')).toEqual(['receivers'])
    expect(await complete('receivers', '')).toContain('create')
    expect(await complete('receivers', 'create', 'x', '--aud')).toEqual(['--audience'])
    expect(await complete('tokens', 'create', '--scope', 'p')).toEqual(['poll', 'publish'])
    expect(await complete('completion', '')).toEqual(['bash', 'fish', 'zsh'])
    expect(await complete('')).not.toContain('__complete')
  })

  it('has a script that bash accepts and that completes', async () => {
    const { out } = await run('completion bash')
    const bin = join(directory, 'setstream')
    await writeFile(bin, `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`, { mode: 0o755 })
    const script = `${out}\nCOMP_WORDS=(setstream receivers cr); COMP_CWORD=2; _setstream; echo "\${COMPREPLY[@]}"`
    const child = spawn('bash', ['-c', script], {
      env: { PATH: `${directory}:${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect((await textOf(child.stdout)).trim()).toBe('create')
  })
})
