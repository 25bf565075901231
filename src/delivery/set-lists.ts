/** A receiver's SETs as an operator sees them. The claims, never the signature: what is shown here cannot be replayed. */
import { TransmitterError } from '../errors.ts'
import { parseJson } from '../protocol/json-parse.ts'
import type { ListPage } from '../store/receiver-store.ts'
import type { ReportStore } from '../store/report-store.ts'
import type { ListedSet, Location, ParkedNote, SetReader } from '../store/set-reader.ts'
import { unknownReceiver } from './receivers.ts'

/** A state's name outside → in the log. */
export const STATES = {
  queued: 'queued',
  inFlight: 'inflight',
  owedAgain: 'due',
  parked: 'parked',
  acknowledged: 'acked',
} as const
export type StateName = keyof typeof STATES

const nameOf: Readonly<Record<Location['state'], string>> = {
  queued: 'queued',
  inflight: 'inFlight',
  due: 'owedAgain',
  parked: 'parked',
  acknowledged: 'acknowledged',
  discarded: 'discarded',
  unknown: 'unknown',
}

export class SetLists {
  readonly #reader: SetReader
  readonly #reports: ReportStore

  constructor(reader: SetReader, reports: ReportStore) {
    this.#reader = reader
    this.#reports = reports
  }

  /** @throws {TransmitterError} not_found for the receiver, and, with `state: unknown`, for the SET */
  async locate(receiver: string, jti: string): Promise<Record<string, unknown>> {
    const place = await this.#reader.locate(receiver, jti)
    if (place === undefined) throw unknownReceiver()
    const { state, entryId, set, attempts, idleMs, acknowledgedAtMs, why } = place
    if (state === 'unknown') {
      throw new TransmitterError('not_found', 'No SET of this jti is known here.', { extra: { state } })
    }
    return {
      jti,
      state: nameOf[state],
      ...(attempts === undefined ? {} : { attempts: why?.attempts ?? attempts }),
      ...(entryId === undefined ? {} : { publishedAt: timeOf(entryId) }),
      ...(state === 'inflight' || state === 'due' ? { inStateSeconds: (idleMs ?? 0) / 1000 } : {}),
      ...(acknowledgedAtMs === undefined ? {} : { acknowledgedAt: new Date(acknowledgedAtMs).toISOString() }),
      ...(why === undefined ? {} : parkedMembers(why)),
      ...(set === undefined || set === '' ? {} : { claims: claimsOf(set) }),
    }
  }

  async sets(
    receiver: string,
    state: StateName,
    limit: number,
    cursor: string | undefined,
  ): Promise<ListPage<unknown>> {
    return this.#page(receiver, state, limit, cursor, '')
  }

  async parked(receiver: string, limit: number, cursor: string | undefined, reason = ''): Promise<ListPage<unknown>> {
    return this.#page(receiver, 'parked', limit, cursor, reason)
  }

  async errors(receiver: string, limit: number, cursor: string | undefined): Promise<ListPage<unknown>> {
    if ((await this.#reader.count(receiver)) === undefined) throw unknownReceiver()
    const reports = await this.#reports.list(receiver, limit, cursor)
    const items = reports.map(({ entryId, language, ...report }) => ({
      ...report,
      ...(language === '' ? {} : { language }),
      at: timeOf(entryId),
    }))
    const last = reports.at(-1)
    return reports.length === limit && last !== undefined ? { items, next: last.entryId } : { items }
  }

  async #page(
    receiver: string,
    state: StateName,
    limit: number,
    cursor = '-',
    reason: string,
  ): Promise<ListPage<unknown>> {
    const page = await this.#reader.list(receiver, STATES[state], cursor, limit, reason)
    if (page === undefined) throw unknownReceiver()
    const items = page.items.map(set => listed(set, state))
    return page.next === undefined ? { items } : { items, next: page.next }
  }
}

function listed({ entryId, jti, attempts, idleMs, bytes, why }: ListedSet, state: StateName) {
  return {
    jti,
    state,
    attempts: why?.attempts ?? attempts,
    publishedAt: timeOf(entryId),
    bytes,
    ...(state === 'inFlight' || state === 'owedAgain' ? { inStateSeconds: idleMs / 1000 } : {}),
    ...(why === undefined ? {} : parkedMembers(why)),
  }
}

function parkedMembers({ reason, atMs, err, description, language }: ParkedNote) {
  return {
    reason,
    parkedAt: new Date(atMs).toISOString(),
    ...(err === undefined ? {} : { err, description }),
    ...(language === undefined || language === '' ? {} : { language }),
  }
}

function timeOf(entryId: string): string {
  return new Date(Number.parseInt(entryId, 10)).toISOString()
}

function claimsOf(set: string): unknown {
  try {
    return parseJson(Buffer.from(set.split('.')[1] ?? '', 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
