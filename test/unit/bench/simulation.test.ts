/** The simulation behind docs/scale.md: its parts against closed forms, and the whole against what was measured. */
import { describe, expect, it } from 'vitest'
import { receiverIds } from '../../../bench/harness/sets.ts'
import { quantile } from '../../../bench/harness/statistics.ts'
import { MEASURED_DRAINS, simulateDrain } from '../../../bench/simulation/check.ts'
import { Clock } from '../../../bench/simulation/clock.ts'
import { Core } from '../../../bench/simulation/core.ts'
import { costsOf, line, publishCosts } from '../../../bench/simulation/costs.ts'
import { pollsPerSet } from '../../../bench/simulation/demand.ts'
import { readBench, readKept } from '../../../bench/simulation/measured.ts'
import { simulate } from '../../../bench/simulation/model.ts'
import { simulateOutage } from '../../../bench/simulation/outage.ts'
import { epochShard, fullestWhenMoved, shardsOf } from '../../../bench/simulation/placement.ts'
import { planFor } from '../../../bench/simulation/plan.ts'
import { Draw, zipf } from '../../../bench/simulation/popularity.ts'
import { DEFAULTS } from '../../../bench/simulation/scenario.ts'
import { SharedCores } from '../../../bench/simulation/shared-cores.ts'
import { runAndSummarize } from '../../../bench/simulation/summary.ts'
import { Random } from '../../../chaos/random.ts'
import { slotOf } from '../../../src/store/topology.ts'

const costs = costsOf(readKept().points)
const SMALL = { ...DEFAULTS, receivers: 500, setsPerSecond: 20_000, seconds: 0.5, warmUpSeconds: 0.2 }

describe('a process with a core of its own', () => {
  /** Mean time in the system, in units of the mean service time. */
  function meanTime(utilisation: number, service: (random: Random) => number): number {
    const clock = new Clock()
    const core = new Core(clock)
    const random = new Random(1)
    const exponential = (mean: number) => -Math.log(1 - random.next()) * mean
    let sum = 0
    let count = 0
    const arrive = () => {
      sum += core.add(service(random)) - clock.nowUs
      count += 1
      clock.at(clock.nowUs + exponential(1 / utilisation), arrive)
    }
    clock.at(0, arrive)
    clock.runUntil(400_000)
    return sum / count
  }

  it.each([0.3, 0.6, 0.8])('takes as long as M/M/1 says, %d busy', utilisation => {
    const time = meanTime(utilisation, random => -Math.log(1 - random.next()))
    expect(time / (1 / (1 - utilisation))).toBeCloseTo(1, 1)
  })

  it.each([0.3, 0.6, 0.8])('takes as long as M/D/1 says, %d busy', utilisation => {
    const time = meanTime(utilisation, () => 1)
    expect(time / (1 + utilisation / (2 * (1 - utilisation)))).toBeCloseTo(1, 1)
  })
})

describe('processes that share cores', () => {
  function ends(cores: number, works: readonly number[]): number[] {
    const clock = new Clock()
    const shared = new SharedCores(clock, cores)
    const times: number[] = []
    for (const work of works) shared.process()(work, () => times.push(clock.nowUs))
    clock.runUntil(1000)
    return times
  }

  it('get equal shares of them', () => {
    // Three on two cores: at two thirds until the first ends, then a core each.
    expect(ends(2, [10, 20, 20])).toEqual([15, 25, 25])
  })

  it('never get more than one each', () => {
    expect(ends(4, [10, 20])).toEqual([10, 20])
  })

  it('do one thing after the other', () => {
    const clock = new Clock()
    const add = new SharedCores(clock, 2).process()
    const times: number[] = []
    for (const work of [3, 4]) add(work, () => times.push(clock.nowUs))
    clock.runUntil(100)
    expect(times).toEqual([3, 7])
  })
})

describe('placement', () => {
  const ids = receiverIds(10_000)

  it('is by the slots of Redis Cluster, in equal ranges', () => {
    const shards = shardsOf(ids, { shards: 7, sharedApart: false })
    for (const [at, id] of ids.entries()) expect(shards[at]).toBe(Math.floor((slotOf(`set:{${id}}:log`) * 7) / 16_384))
  })

  it('leaves a shard to what all share when that is apart', () => {
    const apart = { shards: 8, sharedApart: true }
    expect(Math.max(...shardsOf(ids, apart))).toBe(6)
    expect(epochShard(apart)).toBe(7)
    expect(epochShard({ shards: 8, sharedApart: false })).toBe(Math.floor((slotOf('set:epoch') * 8) / 16_384))
  })

  it('can be evened out by moving slots, but not below what one slot has', () => {
    const alike = new Float64Array(ids.length).fill(0.001)
    expect(fullestWhenMoved(ids, alike, 10)).toBeCloseTo(1, 1)
    expect(fullestWhenMoved(ids, alike.with(0, 5), 10)).toBeGreaterThanOrEqual(5)
  })
})

describe('popularity', () => {
  it('falls by the law of Zipf, and comes to one', () => {
    const shares = zipf(1000, 0.7)
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1)
    expect(shares[0]! / shares[9]!).toBeCloseTo(10 ** 0.7)
    expect(zipf(4, 0)).toEqual(new Float64Array(4).fill(0.25))
  })

  it('is drawn as often as its share says', () => {
    const shares = zipf(50, 1)
    const draw = new Draw(shares, new Random(3))
    const drawn = new Float64Array(50)
    for (let at = 0; at < 200_000; at++) drawn[draw.next()]! += 1 / 200_000
    for (const [at, share] of shares.entries()) expect(Math.abs(drawn[at]! - share)).toBeLessThan(0.005)
  })
})

describe('costs', () => {
  it('come from a line through two measurements', () => {
    expect(line(45, (40 + 100 * 5) / 100)).toEqual({ set: expect.closeTo(5), call: expect.closeTo(40) })
  })

  it('of publishing from three', () => {
    const [call, set, script] = [30, 50, 20]
    const costsOfThree = publishCosts(
      call + set + script,
      (call + 100 * set + script) / 100,
      set + script + call / 1000,
    )
    expect(costsOfThree).toEqual({ call: expect.closeTo(30), set: expect.closeTo(50), script: expect.closeTo(20) })
  })

  it('are read from what the benchmark writes; what it left out is as before', () => {
    const side = { name: 'setstream', median: 1000, lowest: 1, highest: 1, detail: {}, rounds: [] }
    const output = {
      machine: { cpu: 'x', cores: 2, node: 'v24' },
      mode: 'quick',
      results: [{ name: 'jobs', unit: 'jobs/s', sides: [{ ...side, cores: { redis: 0.5, worker: 0.2, others: 1 } }] }],
    }
    const { points, from } = readBench(JSON.stringify(output), readKept(), '2026-01-02')
    expect(points.jobs?.setstream).toEqual({
      value: 1000,
      us: { redis: 500, worker: 200 },
      cores: { redis: 0.5, worker: 0.2 },
    })
    expect(points['publish-one']).toEqual(readKept().points['publish-one'])
    expect(from).toMatch(/^2026-01-02, 2 cores \(x\), Node v24, quick mode; drain-page-100, .* from before: /)
  })
})

describe('the simulation', () => {
  it.each(MEASURED_DRAINS)('says of $name what was measured, within a third', drain => {
    const ratio = simulateDrain(costs, drain) / drain.measured(costs)
    expect(ratio).toBeGreaterThan(0.67)
    expect(ratio).toBeLessThan(1.33)
  })

  it('is the same again with the same seed', () => {
    const run = (seed: number) => JSON.stringify(runAndSummarize(costs, { ...SMALL, seed }))
    expect(run(1)).toBe(run(1))
    expect(run(1)).not.toBe(run(2))
  })

  it('delivers what is published, and makes shards as busy as the closed form says, within 15 %', () => {
    const { scenario, rates, shardOf, demand } = planFor(costs, SMALL)
    const result = simulate(costs, scenario, rates, shardOf)
    expect(result.seen.delivered / result.seen.published).toBeCloseTo(1, 1)
    const busy = quantile(
      result.shards.map(({ utilisation }) => utilisation),
      0.5,
    )
    const ratio = busy / quantile([...demand.shards], 0.5)
    expect(ratio).toBeGreaterThan(0.85)
    expect(ratio).toBeLessThan(1.15)
  })

  it('pages as the closed form says: held where little comes, fuller where much does', () => {
    expect(pollsPerSet(0, 100).scripts).toBe(2)
    expect(pollsPerSet(20, 100).scripts).toBeCloseTo(1 / 20)
    const { setsPerPoll } = runAndSummarize(costs, { ...SMALL, zipf: 0 })
    expect(setsPerPoll * pollsPerSet(0.8, 100).answers).toBeCloseTo(1, 0)
  })

  it('shows a receiver that is hotter than its shard falling behind', () => {
    const { hot } = runAndSummarize(costs, { ...SMALL, hotSetsPerSecond: 40_000, pollsMax: 32, shards: 6 })
    expect(hot.shardUtilisation).toBeGreaterThan(1)
    expect(hot.delayMs.p99).toBeGreaterThan(100)
    expect(hot.queuedMax).toBeGreaterThan(1000)
  })

  it('lets a shard that was away catch up, the sooner the less busy it was', () => {
    const recovered = (shards: number) => {
      const { recoveredAfterSeconds, waitingMax } = simulateOutage(
        costs,
        planFor(costs, { ...SMALL, setsPerSecond: 40_000, shards }),
        2,
      )
      expect(waitingMax).toBeGreaterThan(0)
      return recoveredAfterSeconds!
    }
    expect(recovered(6)).toBeLessThan(recovered(3))
  })
})
