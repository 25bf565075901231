/**
 * A process that uses the embedded server of DATA_DIR, its first argument: says what it got in a line of JSON, and
 * stops it at SIGINT or SIGTERM.
 */
import { startEmbeddedRedis } from '../../src/embedded/server.ts'

const used = await startEmbeddedRedis({ dataDir: process.argv[2] ?? '', log: line => console.error(line) })
// Kept running by this, as a transmitter is by its listeners.
const running = setInterval(() => {}, 60_000)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(running)
    void used.stop()
  })
}
console.log(JSON.stringify({ adopted: used.adopted, endpoint: used.endpoint }))
