/** A transmitter with receivers of every kind that an operator meets. */

import { callAdmin, type Lab, openLab } from '../support/feed.ts'
import { foreignSet, HAPPENED } from '../support/foreign-set.ts'
import type { TestTransmitter } from '../support/transmitter.ts'

export interface Scene {
  readonly lab: Lab
  readonly transmitter: TestTransmitter
  readonly readToken: string
  /** jtis of the dead letters of `ledger`, in order. */
  readonly dead: readonly string[]
  /** A SET that `billing` acknowledged. */
  readonly acknowledged: string
  publish(receiver: string, count?: number): Promise<void>
}

export async function openScene(): Promise<Scene> {
  const lab = await openLab({ RETAIN_ACKED_MS: '3600000' }, ['public', 'internal', 'workers'])
  const { transmitter } = lab

  const publish = async (receiver: string, count = 1) => {
    const items = Array.from({ length: count }, (_, i) => ({
      receivers: [receiver],
      events: { [HAPPENED]: { number: i } },
      sub_id: { format: 'opaque', id: `user-${i}` },
    }))
    await transmitter.admin('POST', '/v1/events/batch', { items })
  }
  const poll = async (receiver: { pollUrl: string; token: string }, body: object) => {
    const response = await fetch(receiver.pollUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${receiver.token}` },
      body: JSON.stringify({ returnImmediately: true, ...body }),
    })
    const { sets } = (await response.json()) as { sets: Record<string, string> }
    return Object.keys(sets)
  }

  const billing = await transmitter.addReceiver('billing', {
    description: 'Ends sessions of cancelled accounts.',
    owner: 'payments',
  })
  await publish('billing', 12)
  const acknowledged = await poll(billing, {})
  await poll(billing, { ack: acknowledged, maxEvents: 0 })

  await transmitter.addReceiver('crm')
  await publish('crm', 40)

  const ledger = await transmitter.addReceiver('ledger', { settings: { sloMs: 60_000 } })
  // Issued elsewhere, so that their jtis are known and may be anything.
  for (const jti of ['dead-1', 'dead-2', '<script>alert(1)</script>', 'dead-4']) {
    const token = await foreignSet(jti, ledger.audience)
    await callAdmin(transmitter, 'POST', '/v1/receivers/ledger/sets', token, 'application/secevent+jwt')
  }
  const dead = await poll(ledger, {})
  const setErrs = Object.fromEntries(
    dead.map(jti => [jti, { err: 'invalid_key', description: 'No key <b>elsewhere</b> is known here.' }]),
  )
  await poll(ledger, { setErrs, maxEvents: 0 })

  const mail = await transmitter.addReceiver('mail')
  await publish('mail', 6)
  await poll(mail, { maxEvents: 4 })

  await transmitter.addReceiver('payroll', { status: 'paused' })
  await publish('payroll', 3)
  await transmitter.addReceiver('retired', { status: 'disabled' })

  const { token: readToken } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', { scope: 'read' })
  return { lab, transmitter, readToken, dead, acknowledged: acknowledged[0] as string, publish }
}
