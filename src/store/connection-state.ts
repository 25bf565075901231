/** How a connection to Redis is doing, for metrics. */
import { Cluster, type Redis } from 'ioredis'
import type { Client } from './connection.ts'

export interface ConnectionState {
  /** Of a cluster: each of its nodes is reached. */
  readonly isReady: boolean
  /** Commands that wait for their answer, or for the connection. */
  readonly pending: number
}

export function stateOf(client: Client): ConnectionState {
  if (!(client instanceof Cluster)) return { isReady: client.status === 'ready', pending: pendingOf(client) }
  const nodes = client.nodes()
  return {
    isReady: client.status === 'ready' && nodes.every(({ status }) => status === 'ready' || status === 'wait'),
    pending: nodes.reduce((sum, node) => sum + pendingOf(node), pendingOf(client)),
  }
}

/** The queues are not part of ioredis's types, but of what it documents about back-pressure. */
function pendingOf(client: Client): number {
  const { commandQueue, offlineQueue } = client as unknown as {
    commandQueue?: Redis['commandQueue']
    offlineQueue?: Redis['commandQueue']
  }
  return (commandQueue?.length ?? 0) + (offlineQueue?.length ?? 0)
}
