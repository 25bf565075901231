/** Requests without a credential, as fast as they are answered, from a process of its own: URL, count, connections. */
import { Agent, request } from 'node:http'

const [url = '', count = '0', connections = '1'] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) })
const statuses = new Map<number, number>()

function ask(): Promise<void> {
  return new Promise(resolve => {
    const asked = request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json' } }, response => {
      const status = response.statusCode ?? 0
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      response.resume().once('end', resolve)
    })
    asked.once('error', () => resolve())
    asked.end('{}')
  })
}

let left = Number(count)
const lane = async () => {
  while (left-- > 0) await ask()
}
const startedAt = performance.now()
await Promise.all(Array.from({ length: Number(connections) }, lane))
agent.destroy()
console.log(JSON.stringify({ statuses: Object.fromEntries(statuses), ms: performance.now() - startedAt }))
