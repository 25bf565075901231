/** Members that CAEP and RISC events share. Source: CAEP 1.0 §2, §3.3.1; RISC 1.0 §2.7. */
import { type TUnsafe, Type } from '@sinclair/typebox'

/** BCP 47 language tag → text. */
export const localized = Type.Unsafe<Record<string, string>>(
  Type.Record(Type.String({ pattern: '^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$' }), Type.String(), {
    minProperties: 1,
    additionalProperties: false,
    description: 'an object of one or more BCP 47 language tags, each with a text',
  }),
)

export const seconds = Type.Number({ description: 'a number of seconds since the epoch' })
export const text = Type.String({ description: 'a string' })
export const name = Type.String({ minLength: 1, description: 'a non-empty string' })

/** A closed list: other values are refused. */
export function oneOf<const T extends string>(...values: T[]): TUnsafe<T> {
  return Type.Unsafe<T>(
    Type.Union(
      values.map(value => Type.Literal(value)),
      { description: `one of ${values.join(', ')}` },
    ),
  )
}

/** An open list: senders and receivers may agree on more. The type still tells the listed ones. */
export function oneOfOrAgreed<const T extends string>(...values: T[]): TUnsafe<T | (string & {})> {
  return Type.Unsafe<T | (string & {})>(
    Type.String({ minLength: 1, description: `a non-empty string such as ${values.join(', ')}` }),
  )
}

export const credentialType = oneOfOrAgreed(
  'password',
  'pin',
  'x509',
  'fido2-platform',
  'fido2-roaming',
  'fido-u2f',
  'verifiable-credential',
  'phone-voice',
  'phone-sms',
  'app',
)
