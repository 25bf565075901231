/**
 * The description of the interface: OpenAPI 3.1 from the schemas of the routes, at `/openapi.json`, and pages to read it at
 * `/docs`. Neither needs a token: it is the same for everybody, and holds no data.
 */
import { createRequire } from 'node:module'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { type FastifyInstance, fastify } from 'fastify'
import { policy, securePages } from '../pages.ts'
import { components } from '../schemas/components.ts'
import { openapi } from '../schemas/operations.ts'
import { jwks, poll } from '../schemas/receiving.ts'

export interface DescriptionOptions {
  /** Base URL of the public listener. */
  readonly publicUrl: () => string
}

const { version } = createRequire(import.meta.url)('setstream/package.json') as { version: string }

const TAGS = [
  { name: 'receiving', description: 'The public listener: all that receivers see.' },
  { name: 'events', description: 'Publishing.' },
  { name: 'receivers', description: 'The registry.' },
  { name: 'tokens', description: 'Credentials.' },
  { name: 'SETs', description: 'SETs of one receiver: where they are, dead letters, replay.' },
  { name: 'operations', description: 'What operators read.' },
]

type Paths = Record<string, Record<string, object>>

/** Describes the routes that are registered from here on. */
export function describeRoutes(app: FastifyInstance, { publicUrl }: DescriptionOptions): void {
  let receiving: Paths = {}
  app.register(async () => {
    receiving = await receivingPaths()
  })
  app.register(swagger, {
    ...describing,
    transformObject: document => {
      const { openapiObject } = document as { openapiObject: { paths?: Paths } }
      const servers = [{ url: publicUrl(), description: 'The public listener.' }]
      for (const [path, operations] of Object.entries(receiving)) {
        const described = Object.entries(operations).map(([method, operation]) => [method, { ...operation, servers }])
        openapiObject.paths = { [path]: Object.fromEntries(described), ...openapiObject.paths }
      }
      return toDraft2020(openapiObject) as ReturnType<NonNullable<FastifyDynamicSwaggerOptions['transformObject']>>
    },
  })
  for (const schema of components) app.addSchema(schema)
  app.register(async pages => {
    securePages(pages, policy({ 'img-src': "'self' data:" }))
    pages.get('/openapi.json', { schema: openapi }, async () => app.swagger())
    pages.register(swaggerUi, { routePrefix: '/docs', uiConfig: { docExpansion: 'list', layout: 'BaseLayout' } })
  })
}

const describing: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'setstream',
      version,
      description: 'Transmitter of Security Event Tokens (RFC 8417) that receivers fetch by polling (RFC 8936).',
      license: { name: 'MIT', identifier: 'MIT' } as { name: string },
    },
    servers: [{ url: '/', description: 'The internal listener.' }],
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    security: [{ bearer: [] }],
    tags: TAGS,
  },
  convertConstToEnum: false,
  refResolver: { buildLocalReference: json => String(json.$id) },
}

/** The routes of the public listener, which another process may serve. */
async function receivingPaths(): Promise<Paths> {
  const app = fastify()
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(swagger, describing)
  for (const schema of components) app.addSchema(schema)
  app.post('/receivers/:id/poll', { schema: poll }, async () => undefined)
  app.get('/.well-known/jwks.json', { schema: jwks }, async () => undefined)
  await app.ready()
  const { paths } = app.swagger() as unknown as { paths: Paths }
  await app.close()
  return paths
}

/** OpenAPI 3.1 takes JSON Schema 2020-12, in which tuples are written another way than TypeBox does. */
function toDraft2020(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toDraft2020)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toDraft2020(member)]))
  if (!Array.isArray(members.items) || members.type !== 'array') return members
  const { items, additionalItems: _additionalItems, ...rest } = members
  return { ...rest, prefixItems: items }
}
