/** SETs issued elsewhere: signed by a key that the transmitter does not know. */
import { generateKeyPair, SignJWT } from 'jose'

const { privateKey } = await generateKeyPair('ES256')

export const HAPPENED = 'https://events.example/happened'

/** @param bytes about how long the token is to be. */
export async function foreignSet(jti: string, audience: string, bytes = 0, type = HAPPENED): Promise<string> {
  const sign = (padding: string) =>
    new SignJWT({
      iss: 'https://elsewhere.example',
      iat: 1_700_000_000,
      jti,
      aud: audience,
      events: { [type]: padding === '' ? {} : { padding } },
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'secevent+jwt', kid: 'elsewhere' })
      .sign(privateKey)
  const bare = await sign('')
  // Base64url makes four characters of three bytes.
  const missing = Math.floor(((bytes - bare.length) * 3) / 4)
  return missing > 0 ? sign('x'.repeat(missing)) : bare
}
