/** What the placeholders of a vector stand for. */
import { Feed } from './feed.ts'
import { unsigned } from './issuer.ts'
import type { Placeholders } from './request.ts'
import type { Scene } from './scene.ts'
import { SetupFailed } from './transmitter.ts'

/** Every call makes what it names at most once. */
export function placeholdersOf(scene: Scene): Placeholders {
  const made = new Map<string, Promise<string>>()
  return async name => {
    const make = MAKERS[name]
    if (make === undefined) return undefined
    if (!made.has(name)) made.set(name, make(scene))
    return made.get(name)
  }
}

type Maker = (scene: Scene) => Promise<string>

const otherPoll: Maker = async scene => (await scene.otherFeed()).pollTarget
const otherToken: Maker = async scene => (await scene.otherFeed()).token
const unknownPoll: Maker = async ({ feed }) => feed.pollTarget.replace(feed.id, `${feed.id.slice(0, 40)}-unknown`)
const garbage: Maker = async () => 'not-a-token'

const noScope: Maker = async ({ feed }) => {
  const { token } = await feed.api.createToken({ scope: 'publish', producer: 'conformance' })
  return token
}

const expired: Maker = async ({ feed }) => {
  const { token } = await feed.api.createToken({ scope: 'poll', receiver: feed.id, expiresInSeconds: 1 })
  // Expiry is an event of the clock alone; asking earlier would only be refused requests.
  await new Promise(resolve => setTimeout(resolve, 1200))
  return token
}

const revoked: Maker = async ({ feed, transmitter }) => {
  const { token, tokenId } = await feed.api.createToken({ scope: 'poll', receiver: feed.id })
  await feed.api.revokeToken(tokenId)
  await new Promise(resolve => setTimeout(resolve, transmitter.settlesWithinMs))
  return token
}

const tampered: Maker = async ({ feed }) => `${feed.token.slice(0, -1)}${feed.token.endsWith('A') ? 'B' : 'A'}`

/** A SET signed by the transmitter's own, trusted key, taken from a receiver of its own. */
const deliveredSet: Maker = async ({ transmitter, issuer }) => {
  const feed = await Feed.open(transmitter, issuer, {})
  try {
    await feed.api.publish({
      id: feed.id,
      receivers: [feed.id],
      events: { 'https://schemas.conformance.example/event/happened': {} },
      sub_id: { format: 'opaque', id: 'conformance' },
    })
    const [set] = (await feed.poll({ returnImmediately: true })).sets.values()
    if (set === undefined) throw new SetupFailed('a published event was not delivered')
    return set
  } finally {
    await feed.remove()
  }
}

/** An access token by RFC 9068, but for the defect its placeholder names; none is signed by a trusted key. */
function accessToken(header: Record<string, unknown>, claims: Record<string, unknown> = {}): Maker {
  return scene =>
    scene.issuer.forge({ typ: 'at+jwt', kid: 'conformance', ...header }, { ...accessClaims(scene), ...claims })
}

function accessClaims({ feed, transmitter }: Scene): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  const subject = { sub: feed.id, client_id: feed.id, jti: feed.id, scope: 'poll' }
  return { iss: transmitter.publicUrl.origin, aud: transmitter.publicUrl.origin, iat: now, exp: now + 300, ...subject }
}

const foreignIssuer = accessToken({}, { iss: 'https://elsewhere.example' })
const foreignAudience = accessToken({}, { aud: 'https://elsewhere.example' })
const unknownKey = accessToken({ kid: 'unknown' })

const MAKERS: Readonly<Record<string, Maker>> = {
  TOKEN: async ({ feed }) => feed.token,
  POLL: async ({ feed }) => feed.pollTarget,
  POLL_UNKNOWN: unknownPoll,
  POLL_OTHER: otherPoll,
  POLL_FOREIGN: otherPoll,
  POLL_OTHER_STREAM: otherPoll,
  TOKEN_OTHER: otherToken,
  TOKEN_FOREIGN: otherToken,
  TOKEN_OTHER_STREAM: otherToken,
  TOKEN_OTHER_RECIPIENT: otherToken,
  TOKEN_NO_SCOPE: noScope,
  TOKEN_WRONG_SCOPE: noScope,
  TOKEN_EXPIRED: expired,
  TOKEN_REVOKED: revoked,
  TOKEN_TAMPERED: tampered,
  TOKEN_UNKNOWN: tampered,
  TOKEN_MALFORMED: garbage,
  TOKEN_GARBAGE: garbage,
  TOKEN_INVALID: garbage,
  TOKEN_ALG_NONE: async scene => unsigned(accessClaims(scene)),
  TOKEN_WRONG_ISSUER: foreignIssuer,
  TOKEN_WRONG_ISS: foreignIssuer,
  TOKEN_WRONG_AUDIENCE: foreignAudience,
  TOKEN_WRONG_AUD: foreignAudience,
  TOKEN_WRONG_TYP: accessToken({ typ: 'JWT' }),
  TOKEN_WRONG_TYPE: accessToken({ typ: 'JWT' }),
  TOKEN_WRONG_KEY: unknownKey,
  TOKEN_BAD_SIGNATURE: unknownKey,
  TOKEN_WRONG_SIGNATURE: unknownKey,
  TOKEN_FORGED: unknownKey,
  TOKEN_KID_INJECTION: accessToken({ kid: "../../../../dev/null' OR '1'='1" }),
  TOKEN_JKU: accessToken({ jku: 'http://127.0.0.1:9/jwks.json' }),
  TOKEN_X5U: accessToken({ x5u: 'http://127.0.0.1:9/certificate.pem' }),
  SET_DELIVERED: deliveredSet,
}
