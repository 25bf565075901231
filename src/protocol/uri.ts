/** URIs as event types and identifiers need them. Source: RFC 3986 §3 (a scheme is required), appendix A. */
const CHARACTER = "(?:[A-Za-z0-9\\-._~:/?\\[\\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"

export const URI_PATTERN = `^[A-Za-z][A-Za-z0-9+.-]*:${CHARACTER}+(?:#${CHARACTER}*)?$`

const URI = new RegExp(URI_PATTERN)

export function isUri(text: string): boolean {
  return URI.test(text)
}
