/** Prints as many free loopback ports as asked for: `node free-ports.ts 3`. Held together, so that they differ. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

const servers = Array.from({ length: Number(process.argv[2] ?? 1) }, () => createServer().listen(0, '127.0.0.1'))
await Promise.all(servers.map(server => once(server, 'listening')))
console.log(servers.map(server => (server.address() as AddressInfo).port).join(' '))
for (const server of servers) server.close()
