/** What a process counts about itself, and the facts of Redis that one of them exports (design, section 8). */
import { describe, expect, it } from 'vitest'
import { callAdmin, openLab } from '../support/feed.ts'
import { HAPPENED } from '../support/foreign-set.ts'
import { type Exposition, scrape, scrapedUntil } from '../support/metrics.ts'
import { isCluster } from '../support/redis.ts'
import { until } from '../support/until.ts'

const lab = await openLab({ METRICS_SNAPSHOT_MS: '100', RATE_LIMIT_POLL: '5' }, ['public', 'internal', 'workers'])
const { transmitter } = lab

/** By how much the counters rose while something happened. */
async function rise(act: () => Promise<void>): Promise<(name: string, labels?: Record<string, string>) => number> {
  const before = await scrape(transmitter)
  await act()
  const after = await scrape(transmitter)
  const total = (found: Exposition, name: string, labels: Record<string, string>) =>
    found.all(name, labels).reduce((sum, { value }) => sum + value, 0)
  return (name, labels = {}) => total(after, name, labels) - total(before, name, labels)
}

describe('a process counts', () => {
  it('a SET from publish to acknowledgement, and how long each part took', async () => {
    const feed = await lab.feed()
    const rose = await rise(async () => {
      const jti = await feed.publish()
      expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.ack([jti])
    })
    expect(rose('setstream_sets_published_total')).toBe(1)
    expect(rose('setstream_sets_delivered_total')).toBe(1)
    expect(rose('setstream_sets_redelivered_total')).toBe(0)
    expect(rose('setstream_sets_acked_total')).toBe(1)
    expect(rose('setstream_polls_total', { outcome: 'sets' })).toBe(1)
    expect(rose('setstream_polls_total', { outcome: 'empty' })).toBe(1)
    expect(rose('setstream_publish_seconds_count')).toBe(1)
    expect(rose('setstream_poll_seconds_count')).toBe(2)
    expect(rose('setstream_publish_to_delivery_seconds_count')).toBe(1)
    expect(rose('setstream_delivery_to_ack_seconds_count')).toBe(1)
  })

  it('the time that an acknowledged SET had been in flight, by the clock of Redis', async () => {
    const feed = await lab.feed()
    const rose = await rise(async () => {
      const jti = await feed.publish()
      await feed.pollNow()
      await feed.age(20_000)
      await feed.ack([jti])
    })
    expect(rose('setstream_delivery_to_ack_seconds_count')).toBe(1)
    expect(rose('setstream_delivery_to_ack_seconds_sum')).toBeGreaterThanOrEqual(20)
    expect(rose('setstream_delivery_to_ack_seconds_sum')).toBeLessThan(25)
  })

  it('redeliveries, refused SETs and what becomes of dead letters', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })
    const rose = await rise(async () => {
      const jti = await feed.publish()
      await feed.pollNow()
      await feed.age(60_000)
      expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.report([jti], { err: 'vendor_thing' })
      const { body } = await feed.admin('DELETE', '/parked', { all: true })
      expect(body.moved).toBe(1)
    })
    expect(rose('setstream_sets_delivered_total')).toBe(2)
    expect(rose('setstream_sets_redelivered_total')).toBe(1)
    expect(rose('setstream_sets_parked_total', { reason: 'reported' })).toBe(1)
    expect(rose('setstream_sets_discarded_total', { reason: 'operator' })).toBe(1)
    await scrapedUntil(
      'the report is counted by its label',
      transmitter,
      found => (found.value('setstream_set_errors_total', { err: 'other' }) ?? 0) >= 1,
    )
  })

  it('events that nobody takes', async () => {
    const { transmitter: alone } = await openLab()
    await callAdmin(alone, 'POST', '/v1/events', { events: { [HAPPENED]: {} } })
    expect((await scrape(alone)).value('setstream_unrouted_events_total')).toBe(1)
  })

  it('members of a poll that nobody knows, and events that were refused', async () => {
    const feed = await lab.feed({ settings: { backlogMax: 1 } })
    const rose = await rise(async () => {
      await feed.pollNow({ acks: [] })
      await feed.publish()
      expect((await feed.tryPublish({ id: 'one too many' })).status).toBe(429)
      const items = [{ receivers: [feed.id], events: { [HAPPENED]: {} } }]
      expect((await callAdmin(transmitter, 'POST', '/v1/events/batch', { items })).status).toBe(200)
    })
    expect(rose('setstream_unknown_members_total')).toBe(1)
    expect(rose('setstream_refused_events_total', { code: 'backlog_full' })).toBe(2)
    expect(rose('setstream_refused_requests_total', { listener: 'internal', code: 'backlog_full' })).toBe(1)
  })

  it('every outcome of a poll once', async () => {
    const feed = await lab.feed()
    const rose = await rise(async () => {
      const left = new AbortController()
      const [aborted] = await feed.hold({}, { signal: left.signal })
      left.abort()
      await expect(aborted).rejects.toThrow()
      await until('the process sees that the client left', async () => (await feed.stats()).heldPolls === 0)
      await feed.patch({ settings: { pollWaitMs: 1 } })
      expect((await feed.poll()).status).toBe(200)
      const refused = await fetch(`${transmitter.publicUrl}/receivers/${feed.id}/poll`, { method: 'POST', body: '{}' })
      expect(refused.status).toBe(401)
      for (let i = 0; i < 6; i++) await feed.pollNow()
    })
    expect(rose('setstream_polls_total', { outcome: 'aborted' })).toBe(1)
    expect(rose('setstream_polls_total', { outcome: 'timeout' })).toBe(1)
    expect(rose('setstream_polls_total', { outcome: 'empty' })).toBe(5)
    expect(rose('setstream_polls_total', { outcome: 'refused' })).toBe(2)
    expect(rose('setstream_refused_requests_total', { listener: 'public', code: 'rate_limited' })).toBe(1)
  })

  it('held polls, connections to Redis, and what every process of Node.js has', async () => {
    const feed = await lab.feed()
    const [answer] = await feed.hold()
    const found = await scrape(transmitter)
    expect(found.value('setstream_held_polls')).toBe(1)
    expect(found.value('setstream_redis_connected', { purpose: 'requests' })).toBe(1)
    expect(found.value('setstream_redis_connected', { purpose: 'jobs' })).toBe(1)
    expect(found.value('setstream_redis_pending_commands', { purpose: 'requests' })).toBeGreaterThanOrEqual(0)
    expect(found.value('process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(found.value('nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0)
    await feed.publish()
    expect((await answer)?.jtis).toHaveLength(1)
  })
})

describe('the process that holds the lease exports', () => {
  it('where the SETs of each receiver are', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000, backlogMax: 10, sloMs: 5000 } })
    const labels = { receiver: feed.id }
    const [parked] = await feed.publishMany(1)
    await feed.pollNow()
    await feed.report([parked as string])
    await feed.publishMany(2)
    await feed.pollNow({ maxEvents: 2 })
    await feed.publishMany(1)
    await feed.age(60_000, [(await feed.pollNow({ maxEvents: 1 })).jtis[0] as string])
    await feed.pollNow({ maxEvents: 0 })
    await feed.publishMany(3)
    const found = await scrapedUntil(
      'the snapshot has them',
      transmitter,
      found => found.value('setstream_queued_sets', labels) === 3,
    )
    expect(found.value('setstream_inflight_sets', labels)).toBe(2)
    expect(found.value('setstream_owed_sets', labels)).toBe(1)
    expect(found.value('setstream_parked_sets', labels)).toBe(1)
    expect(found.value('setstream_backlog_ratio', labels)).toBeCloseTo(0.7)
    expect(found.value('setstream_oldest_unacked_seconds', labels)).toBeGreaterThan(0)
    expect(found.value('setstream_oldest_unacked_seconds', labels)).toBeLessThan(30)
    expect(
      Math.abs((found.value('setstream_last_poll_timestamp_seconds', labels) ?? 0) - Date.now() / 1000),
    ).toBeLessThan(30)
    expect(found.all('setstream_receiver_status', labels)).toMatchObject([{ labels: { status: 'enabled' }, value: 1 }])
    expect(found.value('setstream_slo_seconds', labels)).toBe(5)
  })

  it('a change of status, and nothing of a receiver that is gone', async () => {
    const feed = await lab.feed()
    const labels = { receiver: feed.id }
    const seen = (status: string) =>
      scrapedUntil(`it is ${status}`, transmitter, found => {
        const all = found.all('setstream_receiver_status', labels)
        return all.length === 1 && all[0]?.labels.status === status
      })
    await seen('enabled')
    await feed.patch({ status: 'paused' })
    await seen('paused')
    expect((await feed.admin('DELETE', '?force=true')).status).toBe(204)
    await scrapedUntil(
      'it is gone',
      transmitter,
      found => !found.samples.some(({ labels: { receiver } }) => receiver === feed.id),
    )
  })

  it('dead letters that were discarded or requeued while nothing else happened', async () => {
    const feed = await lab.feed()
    const labels = { receiver: feed.id }
    const jtis = await feed.publishMany(2)
    await feed.pollNow()
    await feed.report(jtis)
    const parked = (count: number) =>
      scrapedUntil(`${count} are parked`, transmitter, found => found.value('setstream_parked_sets', labels) === count)
    await parked(2)
    await feed.admin('DELETE', '/parked', { jtis: [jtis[0]] })
    await parked(1)
    await feed.admin('POST', '/parked/requeue', { all: true })
    expect((await parked(0)).value('setstream_owed_sets', labels)).toBe(1)
  })

  it('how many SETs were acknowledged within the objective of their receiver, and how many late', async () => {
    const feed = await lab.feed({ settings: { sloMs: 3_600_000 } })
    const labels = { receiver: feed.id }
    const jtis = await feed.publishMany(3)
    await feed.pollNow()
    await feed.ack(jtis.slice(0, 2))
    await feed.patch({ settings: { sloMs: 1 } })
    await feed.ack(jtis.slice(2))
    const found = await scrapedUntil(
      'all three are counted',
      transmitter,
      found => found.value('setstream_slo_sets_total', { ...labels, result: 'late' }) === 1,
    )
    expect(found.value('setstream_slo_sets_total', { ...labels, result: 'within' })).toBe(2)
    expect(found.types.get('setstream_slo_sets_total')).toBe('counter')
  })

  it('jobs, when workers last ran, memory of Redis and signing keys', async () => {
    const found = await scrapedUntil(
      'retention has run',
      transmitter,
      found => found.value('setstream_worker_last_run_timestamp_seconds', { queue: 'retention' }) !== undefined,
      10_000,
    )
    for (const queue of ['redelivery', 'retention', 'set-errors']) {
      for (const state of ['waiting', 'active', 'delayed', 'failed']) {
        expect(found.value('setstream_jobs', { queue, state }), `${queue} ${state}`).toBeGreaterThanOrEqual(0)
      }
    }
    // Of a cluster: of each master.
    const memory = found.all('setstream_redis_memory_used_bytes')
    expect(memory).toHaveLength(isCluster() ? 3 : 1)
    for (const { value } of memory) expect(value).toBeGreaterThan(0)
    expect(found.all('setstream_signing_key_since_timestamp_seconds', { state: 'current', alg: 'ES256' })).toHaveLength(
      1,
    )
    expect(found.value('setstream_snapshot_seconds')).toBeGreaterThan(0)
  })

  it('says of every name whether it is summed', async () => {
    const { help, types } = await scrape(transmitter)
    const ours = [...types.keys()].filter(name => name.startsWith('setstream_'))
    expect(ours.length).toBeGreaterThan(30)
    for (const name of ours) expect(help.get(name), name).toMatch(/Per process|exported by one process: do not sum/)
  })
})
