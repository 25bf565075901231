/** What the listeners authenticate and judge requests by, made of the configuration. */
import type { Config } from '../config.ts'
import { TokenUse } from '../delivery/token-use.ts'
import { SetupError } from '../errors.ts'
import { ClientCertificates } from '../http/auth/certificates.ts'
import { Authenticator, type OAuth } from '../http/authenticate.ts'
import { Proxies } from '../http/proxies.ts'
import { Refusals } from '../http/rate-limit.ts'
import type { Resources } from '../resources.ts'
import { AccessTokens } from '../signing/access-token.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface Credentials {
  readonly proxies: Proxies
  readonly refusals: Refusals
  readonly authenticator: Authenticator
  /** Ends what runs in the background, and writes what is still to be noted. */
  close(): Promise<void>
}

/** @throws {SetupError} */
export function openCredentials(
  config: Config,
  { registry, tokens }: Resources,
  adminToken: string | undefined,
  logger: Logger,
): Credentials {
  const proxies = new Proxies(config.TRUST_PROXY)
  const refusals = new Refusals(config.RATE_LIMIT_ANONYMOUS, proxies)
  const tokenUse = new TokenUse(tokens, logger)
  const oauth = oauthOf(config, logger)
  oauth?.tokens.start()
  const certificates = new ClientCertificates(proxies)
  return {
    proxies,
    refusals,
    authenticator: new Authenticator({ registry, adminToken, tokenUse, certificates, refusals, oauth }),
    async close() {
      oauth?.tokens.stop()
      await tokenUse.flush()
    },
  }
}

function oauthOf(config: Config, logger: Logger): OAuth | undefined {
  const { OAUTH_ISSUER: issuer, OAUTH_AUDIENCE: audience } = config
  if (issuer === undefined && audience === undefined) return undefined
  if (issuer === undefined || audience === undefined) {
    const [given, missing] =
      issuer === undefined ? ['OAUTH_AUDIENCE', 'OAUTH_ISSUER'] : ['OAUTH_ISSUER', 'OAUTH_AUDIENCE']
    throw new SetupError(`${given} is set without ${missing}: access tokens are taken by both, or not at all.`)
  }
  const onTrouble = (error: unknown) =>
    logger.warn({ err: error }, 'keys of the OAuth issuer cannot be read: those known go on')
  return {
    tokens: new AccessTokens({ issuer, audience, onTrouble }),
    scopes: {
      poll: config.OAUTH_SCOPE_POLL.split(' '),
      publish: config.OAUTH_SCOPE_PUBLISH.split(' '),
      foreign: config.OAUTH_SCOPE_FOREIGN.split(' '),
      read: config.OAUTH_SCOPE_READ.split(' '),
      admin: config.OAUTH_SCOPE_ADMIN.split(' '),
    },
  }
}
