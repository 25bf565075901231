/** Signing alone: jose, ES256, one key, so many at a time. What publishing costs at the least. */
import { CompactSign, generateKeyPair } from 'jose'
import { answerCalls } from '../harness/child.ts'
import type { Window } from '../load/target.ts'
import { MeasuredWindow } from '../load/window.ts'

const { privateKey } = await generateKeyPair('ES256')
const kid = 'k'.repeat(43)
const encoder = new TextEncoder()

async function sign(input: { concurrency: number; seconds: number }): Promise<Window> {
  let signed = 0
  const window = new MeasuredWindow({})
  const endMs = window.openedAtMs + input.seconds * 1000
  const signOneByOne = async () => {
    while (performance.now() < endMs) {
      const claims = JSON.stringify({
        iss: 'http://127.0.0.1:8080',
        iat: 1732490000,
        jti: `e${String(signed).padStart(22, '0')}`,
        aud: 'https://r0.example/',
        txn: 't'.repeat(22),
        sub_id: { format: 'iss_sub', iss: 'https://idp.example/', sub: `u${signed}` },
        events: {
          'https://schemas.openid.net/secevent/caep/event-type/session-revoked': { event_timestamp: 1732490000 },
        },
      })
      await new CompactSign(encoder.encode(claims))
        .setProtectedHeader({ alg: 'ES256', typ: 'secevent+jwt', kid })
        .sign(privateKey)
      signed += 1
    }
  }
  await Promise.all(Array.from({ length: input.concurrency }, signOneByOne))
  window.close(signed)
  return window.result
}

answerCalls({ sign })
