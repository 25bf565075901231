/** Rules of single event types. */
import type { Fault } from '../errors.ts'

const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

export function eventTypeFaults(type: string, _data: Record<string, unknown>, _subject: unknown, at: string): Fault[] {
  if (type.startsWith(SSF)) return [{ at, message: 'is an event only the transmitter itself may state' }]
  return []
}
