/** Answers every request with the same bytes, parsing no more than where it ends. */
import { createServer } from 'node:net'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"sets":{}}'
const END = Buffer.from('}') // The last byte of a request of the load generator, and of no other place in it.

createServer(socket => {
  socket.setNoDelay(true)
  socket.on('data', chunk => {
    if (chunk.at(-1) === END[0]) socket.write(ANSWER, 'latin1')
  })
  socket.on('error', () => {})
}).listen(Number(process.env.PORT), '127.0.0.1')
