/** What a person sees who starts the embedded default: where it is, and lines to copy. */

export interface BannerFacts {
  readonly publicUrl: string
  readonly internalUrl: string
  readonly opsUrl: string
  readonly adminTokenFile: string
}

export function banner({ publicUrl, internalUrl, opsUrl, adminTokenFile }: BannerFacts): string {
  return `
setstream is running.

  receivers poll   ${publicUrl}
  internal         ${internalUrl}
  console          ${internalUrl}/console
  operations       ${opsUrl}/metrics
  admin token      ${adminTokenFile}

To try it, in another terminal:

  ADMIN=$(cat ${adminTokenFile})
  curl -s ${internalUrl}/v1/receivers -H "Authorization: Bearer $ADMIN" -H 'Content-Type: application/json' \\
    -d '{"id":"demo","audience":"https://receiver.example"}'
  TOKEN=$(curl -s ${internalUrl}/v1/tokens -H "Authorization: Bearer $ADMIN" -H 'Content-Type: application/json' \\
    -d '{"scope":"poll","receiver":"demo"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')

  # publish
  curl -s ${internalUrl}/v1/events -H "Authorization: Bearer $ADMIN" -H 'Content-Type: application/json' \\
    -d '{"id":"first","sub_id":{"format":"email","email":"user@example.com"},"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{}}}'

  # poll, then acknowledge what came
  SETS=$(curl -s ${publicUrl}/receivers/demo/poll -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{}')
  echo "$SETS"
  JTI=$(echo "$SETS" | sed 's/.*{"sets":{"\\([^"]*\\)".*/\\1/')
  curl -s ${publicUrl}/receivers/demo/poll -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d "{\\"ack\\":[\\"$JTI\\"],\\"returnImmediately\\":true}"

Ctrl-C stops it. What it holds is there at the next start.
`
}
