/** The event that is published: a session revoked, 650 bytes once it is a signed SET. */
import { randomBytes } from 'node:crypto'

const run = randomBytes(6).toString('base64url')
let count = 0

/** JSON of one event with an `id` of its own, as our client sends it. */
export function nextEvent(eventType: string, receivers?: readonly string[]): string {
  count += 1
  const subject = `{"format":"iss_sub","iss":"https://idp.example/","sub":"u${count}"}`
  const named = receivers === undefined ? '' : `,"receivers":${JSON.stringify(receivers)}`
  return `{"id":"${run}-${count}","events":{"${eventType}":{"event_timestamp":1732490000}},"sub_id":${subject}${named}}`
}

export function nextBatch(size: number, eventType: string, receivers?: readonly string[]): string {
  let items = nextEvent(eventType, receivers)
  for (let at = 1; at < size; at++) items += `,${nextEvent(eventType, receivers)}`
  return `{"items":[${items}]}`
}
