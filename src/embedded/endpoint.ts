/** Where an embedded server listens: how such a place is chosen, and whether a server answers there. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type ListenOptions } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** In the form that ioredis and BullMQ take as connection options. */
export type RedisEndpoint =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly password: string }

/**
 * - `ready`: takes commands.
 * - `loading`: reads its data.
 * - `silent`: took the connection and said nothing in time.
 * - `absent`: nothing listens there, or a stranger does.
 */
export type Answer = 'ready' | 'loading' | 'silent' | 'absent'

/** `sun_path` holds 104 bytes with its end on macOS and the BSDs, 108 on Linux. */
const SOCKET_PATH_BYTES_MAX = 103
const DIRECTORY_PREFIX = 'setstream-'

/** A socket in a directory that only this user can enter. @returns undefined where sockets do not work. */
export async function socketEndpoint(): Promise<RedisEndpoint | undefined> {
  for (const parent of new Set([tmpdir(), '/tmp'])) {
    // mkdtemp adds six characters and makes the directory with mode 0700.
    const longest = join(parent, `${DIRECTORY_PREFIX}XXXXXX`, 'redis.sock')
    if (Buffer.byteLength(longest) > SOCKET_PATH_BYTES_MAX) continue
    const directory = await mkdtemp(join(parent, DIRECTORY_PREFIX)).catch(() => undefined)
    if (directory === undefined) continue
    const path = join(directory, 'redis.sock')
    // Some file systems, such as those shared with a virtual machine, have no sockets.
    if ((await listenOnce({ path })) !== undefined) return { path }
    await rm(directory, { recursive: true, force: true })
  }
  return undefined
}

/** A free port and a password, which keeps other users of this machine out and tells our server from a stranger. */
export async function loopbackEndpoint(): Promise<RedisEndpoint> {
  const host = '127.0.0.1'
  const port = await listenOnce({ host, port: 0 })
  if (port === undefined) throw new Error('no loopback port can be opened')
  return { host, port, password: randomBytes(24).toString('base64url') }
}

export async function removeSocket(endpoint: RedisEndpoint): Promise<void> {
  if (!('path' in endpoint)) return
  const directory = dirname(endpoint.path)
  // Only what we made: the name comes from a file.
  if (directory.includes(`/${DIRECTORY_PREFIX}`)) await rm(directory, { recursive: true, force: true })
}

/** Asks with PING. Redis takes commands as bare lines and these answer in a line each, so that no client is needed. */
export async function ask(endpoint: RedisEndpoint, timeoutMs: number): Promise<Answer> {
  const commands = 'password' in endpoint ? [`AUTH ${endpoint.password}`, 'PING'] : ['PING']
  return new Promise(resolve => {
    const socket = connect({ ...endpoint })
    const answer = (value: Answer) => {
      socket.destroy()
      resolve(value)
    }
    let received = ''
    socket.setTimeout(timeoutMs, () => answer('silent'))
    socket.on('error', () => answer('absent'))
    socket.on('close', () => answer('absent'))
    socket.on('connect', () => socket.write(commands.map(command => `${command}\r\n`).join('')))
    socket.on('data', chunk => {
      received += chunk.toString()
      const lines = received.split('\r\n')
      if (lines.length > commands.length) answer(meaning(lines[commands.length - 1] ?? ''))
    })
  })
}

function meaning(pong: string): Answer {
  if (pong.startsWith('-LOADING')) return 'loading'
  // A full disk or a long script are troubles of a server that is there.
  if (pong === '+PONG' || pong.startsWith('-MISCONF') || pong.startsWith('-BUSY')) return 'ready'
  return 'absent'
}

/** Listens and lets go again. @returns the port, 0 for a socket, undefined where it cannot listen. */
async function listenOnce(where: ListenOptions): Promise<number | undefined> {
  const server = createServer()
  try {
    server.listen(where)
    await once(server, 'listening')
  } catch {
    return undefined
  }
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
