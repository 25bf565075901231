/** The SETs of a poll response, found without parsing JSON: tokens and our jtis need no escapes. RFC 8936 §2.3. */

export interface Page {
  readonly count: number
  /** The jtis as the inside of a JSON array, ready to be acknowledged. */
  readonly acks: string
  readonly moreAvailable: boolean
}

const SETS = '"sets":{'

export function readPage(body: Buffer): Page {
  const text = body.toString('latin1')
  let at = text.indexOf(SETS) + SETS.length
  if (at < SETS.length) throw new Error(`no sets in ${text.slice(0, 300)}`)
  let count = 0
  let acks = ''
  // "jti":"token","jti":"token"}: four quotes a SET.
  while (text.charCodeAt(at) === 34 /* " */) {
    const jtiEnd = text.indexOf('"', at + 1)
    acks += count === 0 ? text.slice(at, jtiEnd + 1) : `,${text.slice(at, jtiEnd + 1)}`
    count += 1
    at = text.indexOf('"', jtiEnd + 3) + 1
    if (text.charCodeAt(at) === 44 /* , */) at += 1
  }
  return {
    count,
    acks,
    moreAvailable: text.indexOf('"moreAvailable":true', at) >= 0 || text.startsWith('{"moreAvailable":true'),
  }
}
