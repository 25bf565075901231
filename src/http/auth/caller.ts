/** Who asks, and what it may do. */
import type { Producer } from '../../delivery/publish.ts'
import { TransmitterError } from '../../errors.ts'
import type { Scope } from '../../store/token-store.ts'

export interface Caller {
  /** For the audit log: the id of a token, `admin-token` for the one from the environment, `client:` and a client id. */
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Whether it is, or speaks for, this receiver. */
  readonly polls: (receiver: string) => boolean
  /** As whom it publishes, and within what limits. */
  readonly producer: Producer
  /** Whether it may append SETs issued elsewhere. */
  readonly foreign: boolean
  /** What its scopes are called where they were given. */
  readonly scopeNames: ScopeNames
}

export type ScopeNames = Readonly<Record<Scope, string>>

export const OUR_SCOPE_NAMES: ScopeNames = { poll: 'poll', publish: 'publish', read: 'read', admin: 'admin' }

export const ADMIN: Caller = {
  name: 'admin-token',
  scopes: ['admin'],
  polls: () => false,
  producer: { name: 'admin' },
  foreign: true,
  scopeNames: OUR_SCOPE_NAMES,
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before a route that needs a credential runs. */
    caller: Caller | undefined
  }
}

/** @param scopes any of which will do. @throws {TransmitterError} forbidden */
export function requireScope(caller: Caller | undefined, ...scopes: readonly Scope[]): Caller {
  if (caller?.scopes.some(scope => scopes.includes(scope))) return caller
  // RFC 6750 §3.1: the scope that is necessary, which is the least of those that will do.
  const least = scopes.find(scope => scope !== 'admin') ?? 'admin'
  const name = (caller?.scopeNames ?? OUR_SCOPE_NAMES)[least]
  throw new TransmitterError('forbidden', 'The credential does not have the scope for this.', {
    challenge: `error="insufficient_scope", scope="${name}"`,
  })
}
