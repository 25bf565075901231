import { expect, it } from 'vitest'
import { CAEP, RISC } from '../../../src/client/event-types.ts'
import { CAEP_EVENTS } from '../../../src/protocol/events/caep.ts'
import { RISC_EVENTS } from '../../../src/protocol/events/risc.ts'

it('names every event that the transmitter knows', () => {
  expect(Object.values(CAEP).toSorted()).toEqual(Object.keys(CAEP_EVENTS).toSorted())
  expect(Object.values(RISC).toSorted()).toEqual(Object.keys(RISC_EVENTS).toSorted())
})
