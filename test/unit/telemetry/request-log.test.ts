import { fastify, LogController } from 'fastify'
import { type Bindings, type ChildLoggerOptions, type Logger, pino } from 'pino'
import { afterEach, expect, it } from 'vitest'
import { RequestLog } from '../../../src/telemetry/request-log.ts'

const apps: ReturnType<typeof fastify>[] = []
afterEach(() => Promise.all(apps.splice(0).map(app => app.close())))

function openApp() {
  const lines: Record<string, unknown>[] = []
  let made = 0
  const parent = pino({ onChild: () => (made += 1) }, { write: line => lines.push(JSON.parse(line)) })
  const app = fastify({
    loggerInstance: parent,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => 'q1',
    childLoggerFactory: (logger, bindings: Bindings, options: ChildLoggerOptions) =>
      new RequestLog(logger as unknown as Logger, bindings, options) as unknown as typeof logger,
  })
  apps.push(app)
  app.get('/silent', async () => 'ok')
  app.get('/logs', async ({ log }) => {
    log.info('one')
    log.warn({ code: 7 }, 'two of %s', 'three')
    log.child({ part: 'x' }).error('four')
    return 'ok'
  })
  /** In the handling of one request; Fastify makes some of its own at the start. */
  const childrenMadeBy = async (url: string) => {
    await app.ready()
    const before = made
    expect((await app.inject(url)).body).toBe('ok')
    return made - before
  }
  return { childrenMadeBy, lines }
}

it('is not made for a request that logs nothing', async () => {
  const { childrenMadeBy, lines } = openApp()
  expect(await childrenMadeBy('/silent')).toBe(0)
  expect(lines).toEqual([])
})

it('is made once for a request that logs, and names it in each line', async () => {
  const { childrenMadeBy, lines } = openApp()
  // The second is the one that the handler asked for.
  expect(await childrenMadeBy('/logs')).toBe(2)
  expect(lines).toMatchObject([
    { level: 30, reqId: 'q1', msg: 'one' },
    { level: 40, reqId: 'q1', code: 7, msg: 'two of three' },
    { level: 50, reqId: 'q1', part: 'x', msg: 'four' },
  ])
})
