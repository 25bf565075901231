/** The description of the interface is the interface: every route is in it, and what routes answer is as it says. */
import diagnostics from 'node:diagnostics_channel'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Feed, type Lab, openLab } from '../support/feed.ts'
import { foreignSet, HAPPENED } from '../support/foreign-set.ts'
import { Contract, type Description, type Exchange } from '../support/openapi.ts'

/** Pages for people: what they load is theirs. */
const PAGES = /^\/(docs|console)(\/|$)/

let lab: Lab
let description: Description
let contract: Contract
/** What each application serves, as Fastify has it. */
const applications: string[][] = []

function watchRoutes(message: unknown): void {
  const { fastify } = message as { fastify: FastifyInstance }
  const routes: string[] = []
  applications.push(routes)
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) routes.push(`${name} ${url.replace(/:(\w+)/g, '{$1}')}`)
  })
}

beforeAll(async () => {
  diagnostics.subscribe('fastify.initialization', watchRoutes)
  lab = await openLab({ RETAIN_ACKED_MS: '3600000', BACKLOG_MAX: '50' })
  diagnostics.unsubscribe('fastify.initialization', watchRoutes)
  const response = await fetch(`${lab.transmitter.internalUrl}/openapi.json`)
  expect(response.headers.get('content-type')).toContain('application/json')
  description = (await response.json()) as Description
  contract = new Contract(description)
})

afterAll(() => {
  lab.redis.disconnect()
})

describe('the description', () => {
  it('is valid OpenAPI 3.1', async () => {
    expect(description.openapi).toBe('3.1.0')
    const { valid, errors } = await new Validator().validate(structuredClone(description) as object)
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  it('has every route of the public and the internal listener, and no other', () => {
    // Every listener tells whether the process is alive; what else is a Fastify application is for describing.
    const listeners = applications.filter(routes => routes.includes('GET /livez'))
    expect(listeners).toHaveLength(3)
    const served = listeners.flat().filter(route => {
      const [method = '', url = ''] = route.split(' ')
      return method !== 'HEAD' && !PAGES.test(url) && url !== '/metrics'
    })
    const described = contract.operations.map(({ method, path }) => `${method} ${path}`)
    expect([...new Set(served)].sort()).toEqual(described.sort())
  })

  it('names each operation once', () => {
    const ids = contract.operations.map(({ operationId }) => operationId)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('says where receivers poll, which is another listener', () => {
    const poll = description.paths['/receivers/{id}/poll']?.post as { servers?: { url: string }[] } | undefined
    expect(poll?.servers?.[0]?.url).toBe(lab.transmitter.issuer)
  })
})
