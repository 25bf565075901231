/** Says, in a line of JSON, which server the embedded default would run here, or why none. */
import { findServerBinary } from '../../src/embedded/binary.ts'

const lines: string[] = []
const found = await findServerBinary({ log: line => lines.push(line) }).then(
  binary => ({ binary }),
  error => ({ error: { name: error.name, message: error.message } }),
)
console.log(JSON.stringify({ ...found, lines }))
