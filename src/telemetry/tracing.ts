/**
 * Traces: publish, delivery and acknowledgement of a SET are one trace, in whichever processes they happen. Its id
 * follows from receiver and jti, so that nothing has to be carried through Redis, and a receiver that logs jtis finds it.
 *
 * Without an endpoint nothing of OpenTelemetry is loaded, and callers ask one question: `tracing?.…`.
 */
import type { Config } from '../config.ts'
import type { Logger } from './logger.ts'

export interface TracedSet {
  readonly receiver: string
  readonly jti: string
}

export interface Tracing {
  /** @param traceparent of the producer's own trace (W3C Trace Context), which the SETs are linked to. */
  published(
    sets: readonly (TracedSet & { readonly txn: string | undefined })[],
    startedAtMs: number,
    traceparent?: string,
  ): void
  /** @param set the token, which tells the `txn`. */
  delivered(
    receiver: string,
    sets: readonly { readonly jti: string; readonly set: string; readonly attempt: number }[],
    startedAtMs: number,
  ): void
  acknowledged(receiver: string, jtis: readonly string[], startedAtMs: number): void
  reported(
    receiver: string,
    reports: readonly { readonly jti: string; readonly err: string }[],
    startedAtMs: number,
  ): void
  /** Sends what is left. Never fails. */
  close(): Promise<void>
}

export interface TracingOptions {
  /** Base URL of an OTLP receiver; undefined: no traces. */
  readonly endpoint: string | undefined
  readonly serviceName: string
  /** Share of SETs that are traced, 0 to 1. Every process decides alike about a SET. */
  readonly ratio: number
}

export function tracingOptions(config: Config): TracingOptions {
  return {
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    serviceName: config.OTEL_SERVICE_NAME,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
  }
}

export async function openTracing(options: TracingOptions, logger: Logger): Promise<Tracing | undefined> {
  const { endpoint } = options
  if (endpoint === undefined) return undefined
  const { OtlpTracing } = await import('./otlp.ts')
  return new OtlpTracing({ ...options, endpoint }, logger)
}
