/** A server that refuses everything, for load that is to take the machine's time but not ours. Prints its URL. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const server = createServer((request, response) => {
  request.resume()
  response.writeHead(401, { 'cache-control': 'no-store', 'content-length': 0 }).end()
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
