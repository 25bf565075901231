/** What a transmitter's /metrics says, read as Prometheus does. */
import { until } from './until.ts'

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export class Exposition {
  readonly samples: readonly Sample[]
  readonly types: ReadonlyMap<string, string>
  readonly help: ReadonlyMap<string, string>

  /** @throws {Error} for a line that is not of the text format. */
  constructor(text: string) {
    const samples: Sample[] = []
    const types = new Map<string, string>()
    const help = new Map<string, string>()
    for (const line of text.split('\n')) {
      if (line === '') continue
      const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
      if (comment !== null) {
        const [, kind, name = '', rest = ''] = comment
        const known = kind === 'TYPE' ? types : help
        if (known.has(name)) throw new Error(`${kind} of ${name} stands twice`)
        known.set(name, rest)
        continue
      }
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (match === null) throw new Error(`not of the text format: ${line}`)
      const [, name = '', inBraces = '', value = ''] = match
      const labels = Object.fromEntries(
        [...inBraces.matchAll(/(\w+)="((?:[^"\\]|\\.)*)",?/g)].map(([, label, text]) => [label, text]),
      )
      samples.push({ name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) })
    }
    this.samples = samples
    this.types = types
    this.help = help
  }

  /** Samples of this name whose labels include these. */
  all(name: string, labels: Readonly<Record<string, string>> = {}): Sample[] {
    return this.samples.filter(
      sample =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  }

  /** The one value of it, if there is one. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.all(name, labels)
    if (found.length > 1) throw new Error(`${name} has ${found.length} series of these labels`)
    return found[0]?.value
  }
}

export async function scrape({ opsUrl }: { readonly opsUrl: string }): Promise<Exposition> {
  const response = await fetch(`${opsUrl}/metrics`)
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`)
  return new Exposition(await response.text())
}

/** The first exposition that satisfies it. */
export function scrapedUntil(
  what: string,
  transmitter: { readonly opsUrl: string },
  isSo: (found: Exposition) => boolean,
  withinMs = 5000,
): Promise<Exposition> {
  return until(
    what,
    async () => {
      const found = await scrape(transmitter)
      return isSo(found) ? found : undefined
    },
    withinMs,
  )
}
