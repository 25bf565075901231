/** What the load generator is told to load; everything here travels over IPC. */
import type { Cores, Watched } from '../harness/cpu.ts'

export interface Feed {
  readonly path: string
  /** Header lines, each ended by CRLF. */
  readonly headers: string
}

export interface Window {
  /** Of whatever is counted, a second. */
  readonly rate: number
  readonly seconds: number
  readonly cores: Cores
  readonly detail: Readonly<Record<string, number>>
}

export interface DrainInput {
  readonly port: number
  readonly feeds: readonly Feed[]
  readonly connections: number
  readonly page: number
  /** Ends the window after so many SETs; 0: when the first feed is empty. */
  readonly setsMax: number
  readonly watched: Watched
}

export interface AskInput {
  readonly port: number
  readonly feeds: readonly Feed[]
  readonly connections: number
  readonly page: number
  readonly seconds: number
  readonly watched: Watched
}

export interface PublishInput {
  readonly port: number
  /** Header lines, each ended by CRLF. */
  readonly headers: string
  readonly connections: number
  /** Events a call: 1 is `POST /v1/events`, more is a batch. */
  readonly batch: number
  readonly eventType: string
  /** Named receivers of each event; without, it goes to those subscribed. */
  readonly receivers?: readonly string[]
  /** Each event for one of them, instead. */
  readonly inTurn?: readonly string[]
  readonly seconds: number
  readonly watched: Watched
}

export interface HoldInput {
  readonly port: number
  readonly feeds: readonly Feed[]
  /** Each feed is held this many times. */
  readonly each: number
}

export interface WakeInput {
  readonly publicPort: number
  readonly internalPort: number
  readonly publishHeaders: string
  readonly feeds: readonly Feed[]
  /** Receiver ids, in the order of `feeds`. */
  readonly ids: readonly string[]
  readonly eventType: string
  readonly perSecond: number
  readonly seconds: number
  readonly watched: Watched
}

export interface MixedInput {
  readonly publicPorts: readonly number[]
  readonly internalPorts: readonly number[]
  readonly publishHeaders: string
  readonly feeds: readonly Feed[]
  readonly ids: readonly string[]
  readonly eventType: string
  readonly workers: number
  readonly seconds: number
  readonly watched: Watched
}

export interface WalkInput {
  readonly port: number
  readonly feeds: readonly Feed[]
  readonly page: number
  readonly pollsEach: number
  readonly watched: Watched
}

export interface TakeInput {
  readonly port: number
  readonly feed: Feed
  readonly page: number
  readonly pages: number
}
