/**
 * What the simulation says of a machine that was measured: one process, one Redis and the load generator on two cores,
 * receivers that poll as fast as they are answered.
 */
import { Clock } from './clock.ts'
import type { Costs } from './costs.ts'
import { SharedCores } from './shared-cores.ts'

export interface Drain {
  readonly connections: number
  readonly page: number
  readonly cores: number
}

/** Answering takes as much as asking, for want of a measurement. */
const HALF = 0.5

/** @returns SETs a second. */
export function simulateDrain({ single, load }: Costs, { connections, page, cores }: Drain, seconds = 0.5): number {
  const clock = new Clock()
  const machine = new SharedCores(clock, cores)
  const receiver = machine.process()
  const transmitter = machine.process()
  const redis = machine.process()
  const { transmitter: ofTransmitter, redis: ofRedis } = single.poll
  const ask = load.call * HALF
  const read = load.call * HALF + load.set * page
  const request = ofTransmitter.call * HALF
  const answer = ofTransmitter.call * HALF + ofTransmitter.set * page
  const script = ofRedis.script + ofRedis.set * page
  let sets = 0
  const poll = () =>
    receiver(ask, () =>
      transmitter(request, () =>
        redis(script, () =>
          transmitter(answer, () =>
            receiver(read, () => {
              sets += page
              poll()
            }),
          ),
        ),
      ),
    )
  for (let at = 0; at < connections; at++) poll()
  const warmUpUs = 50_000
  clock.runUntil(warmUpUs)
  sets = 0
  clock.runUntil(warmUpUs + seconds * 1e6)
  return sets / seconds
}

/** As `npm run bench` measures them. */
export const MEASURED_DRAINS = [
  { name: 'drain-page-100', connections: 16, page: 100, cores: 2, measured: (costs: Costs) => costs.measured.drain100 },
  { name: 'drain-page-1', connections: 32, page: 1, cores: 2, measured: (costs: Costs) => costs.measured.drain1 },
] as const
