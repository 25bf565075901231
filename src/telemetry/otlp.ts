/** Traces by OpenTelemetry. Loaded only where an endpoint is set. Source: its semantic conventions for messaging. */
import { createHash, randomBytes } from 'node:crypto'
import {
  type Attributes,
  DiagLogLevel,
  diag,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  type IdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { errLabel } from '../protocol/set-error.ts'
import type { Logger } from './logger.ts'
import type { TracedSet, Tracing, TracingOptions } from './tracing.ts'

/** Spans that wait to be sent; further ones are dropped, so that a collector that is away costs no more than this. */
const QUEUE_MAX = 20_000
const BATCH_MAX = 1000
const EXPORT_TIMEOUT_MS = 5000
/** Of the time there is to end: traces are worth less than what else is done in it. */
const CLOSE_TIMEOUT_MS = 2000

interface SpanFacts {
  readonly name: string
  readonly kind: SpanKind
  readonly operation: 'send' | 'receive' | 'settle'
  readonly set: TracedSet
  readonly startedAtMs: number
  readonly isRoot?: boolean
  readonly links?: Link[]
  readonly error?: string
  /** Asked only of spans that are kept. */
  attributes?(): Attributes
}

export class OtlpTracing implements Tracing {
  readonly #provider: TracerProvider
  readonly #tracer: ReturnType<TracerProvider['getTracer']>
  readonly #ids = new NextIds()
  readonly #logger: Logger

  constructor({ endpoint, serviceName, ratio }: TracingOptions & { readonly endpoint: string }, logger: Logger) {
    this.#logger = logger
    diag.setLogger(quietly(logger), DiagLogLevel.WARN)
    const exporter = new OTLPTraceExporter({
      url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    })
    const processor = new BatchSpanProcessor({
      exporter,
      maxQueueSize: QUEUE_MAX,
      maxExportBatchSize: BATCH_MAX,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
    })
    this.#provider = new TracerProvider({
      resource: defaultResource().merge(resourceFromAttributes({ 'service.name': serviceName })),
      idGenerator: this.#ids,
      // By the trace id alone, so that a SET is traced in every process or in none.
      sampler: new TraceIdRatioBasedSampler(ratio),
      spanProcessors: [processor],
    })
    this.#tracer = this.#provider.getTracer('setstream')
  }

  published(
    sets: readonly (TracedSet & { readonly txn: string | undefined })[],
    startedAtMs: number,
    traceparent?: string,
  ): void {
    const links = linkTo(traceparent)
    for (const { txn, ...set } of sets) {
      this.#span({
        name: 'publish',
        kind: SpanKind.PRODUCER,
        operation: 'send',
        set,
        startedAtMs,
        isRoot: true,
        links,
        attributes: () => txnOf(txn),
      })
    }
  }

  delivered(
    receiver: string,
    sets: readonly { readonly jti: string; readonly set: string; readonly attempt: number }[],
    startedAtMs: number,
  ): void {
    for (const { jti, set, attempt } of sets) {
      this.#span({
        name: 'deliver',
        kind: SpanKind.CONSUMER,
        operation: 'receive',
        set: { receiver, jti },
        startedAtMs,
        attributes: () => ({ 'setstream.attempt': attempt, ...txnOf(txnIn(set)) }),
      })
    }
  }

  acknowledged(receiver: string, jtis: readonly string[], startedAtMs: number): void {
    for (const jti of new Set(jtis)) {
      this.#span({
        name: 'acknowledge',
        kind: SpanKind.CONSUMER,
        operation: 'settle',
        set: { receiver, jti },
        startedAtMs,
      })
    }
  }

  reported(
    receiver: string,
    reports: readonly { readonly jti: string; readonly err: string }[],
    startedAtMs: number,
  ): void {
    for (const { jti, err } of reports) {
      this.#span({
        name: 'report',
        kind: SpanKind.CONSUMER,
        operation: 'settle',
        set: { receiver, jti },
        startedAtMs,
        error: errLabel(err),
      })
    }
  }

  async close(): Promise<void> {
    const isOver = new Promise<void>(resolve => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())
    const isShut = this.#provider
      .shutdown()
      .catch(error => this.#logger.debug({ err: error }, 'the last traces could not be sent'))
    await Promise.race([isShut, isOver])
    diag.disable()
  }

  #span({ name, kind, operation, set, startedAtMs, isRoot, links, error, attributes }: SpanFacts): void {
    const { traceId, rootId } = idsOf(set)
    const context = isRoot
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: rootId, traceFlags: 1, isRemote: true })
    if (isRoot) this.#ids.next(traceId, rootId)
    const span = this.#tracer.startSpan(
      `${name} ${set.receiver}`,
      {
        kind,
        startTime: startedAtMs,
        attributes: {
          'messaging.system': 'setstream',
          'messaging.operation.name': name,
          'messaging.operation.type': operation,
          'messaging.destination.name': set.receiver,
          'messaging.message.id': set.jti,
        },
        ...(links === undefined ? {} : { links }),
      },
      context,
    )
    if (!span.isRecording()) return
    if (attributes !== undefined) span.setAttributes(attributes())
    if (error !== undefined) {
      span.setAttribute('error.type', error)
      span.setStatus({ code: SpanStatusCode.ERROR })
    }
    span.end()
  }
}

/** Random ids, except for a root whose ids are said beforehand. Spans are started one at a time. */
class NextIds implements IdGenerator {
  #traceId: string | undefined
  #spanId: string | undefined

  next(traceId: string, spanId: string): void {
    this.#traceId = traceId
    this.#spanId = spanId
  }

  generateTraceId(): string {
    const id = this.#traceId ?? randomBytes(16).toString('hex')
    this.#traceId = undefined
    return id
  }

  generateSpanId(): string {
    const id = this.#spanId ?? randomBytes(8).toString('hex')
    this.#spanId = undefined
    return id
  }
}

function idsOf({ receiver, jti }: TracedSet): { traceId: string; rootId: string } {
  // A receiver's id has no line break.
  const digest = createHash('sha256').update(`${receiver}\n${jti}`).digest('hex')
  return { traceId: digest.slice(0, 32), rootId: digest.slice(32, 48) }
}

function linkTo(traceparent: string | undefined): Link[] {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '')
  if (match === null) return []
  const [, traceId = '', spanId = '', flags = ''] = match
  return [{ context: { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true } }]
}

function txnOf(txn: string | undefined): Attributes {
  return txn === undefined ? {} : { 'setstream.txn': txn }
}

/** Of a token that we keep, and that was therefore checked or made by us. */
function txnIn(token: string): string | undefined {
  const { txn } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { txn?: unknown }
  return typeof txn === 'string' ? txn : undefined
}

/** A collector that is away is told at most this often. */
const TELL_EVERY_MS = 60_000

function quietly(logger: Logger) {
  let toldAtMs = Number.NEGATIVE_INFINITY
  const tell = (message: string) => {
    if (performance.now() - toldAtMs < TELL_EVERY_MS) return
    toldAtMs = performance.now()
    logger.warn({ reason: message.slice(0, 500) }, 'traces cannot be sent')
  }
  const ignore = () => {}
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore }
}
