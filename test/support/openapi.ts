/**
 * The description of the interface as a test uses it: which operation a call is, and whether request and answer are as
 * described. Objects are closed on the way: a member that is not described is a fault, though readers have to bear new ones.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

type Schema = Record<string, unknown>

interface Media {
  readonly schema: Schema
}

export interface Operation {
  readonly operationId: string
  readonly path: string
  readonly method: string
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>
  readonly security?: readonly unknown[]
}

export interface Description {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export interface Exchange {
  readonly method: string
  /** With the query, if any. */
  readonly path: string
  readonly requestType?: string | undefined
  readonly requestBody?: unknown
  readonly status: number
  readonly type: string | undefined
  readonly body: unknown
}

export class Contract {
  readonly operations: readonly Operation[]
  readonly #ajv: Ajv2020
  readonly #schemas: Readonly<Record<string, Schema>>
  readonly #compiled = new Map<Schema, ValidateFunction>()

  constructor(description: Description) {
    this.operations = Object.entries(description.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
    )
    this.#schemas = description.components.schemas
    this.#ajv = new Ajv2020({ strict: false, allErrors: true })
    addFormats.default(this.#ajv)
  }

  find(method: string, path: string): Operation | undefined {
    const pathname = path.split('?', 1)[0] ?? ''
    return this.operations.find(operation => operation.method === method && patternOf(operation.path).test(pathname))
  }

  /** @returns what is not as described; nothing means that all is. */
  faults(exchange: Exchange): string[] {
    const { method, path, status, type, body, requestBody, requestType } = exchange
    const operation = this.find(method, path)
    if (operation === undefined) return [`${method} ${path} is not described`]
    const at = `${operation.operationId} ${status}`
    const faults: string[] = []
    if (requestBody !== undefined && status < 300) {
      const asked = operation.requestBody?.content[requestType ?? '']
      if (asked === undefined) faults.push(`${at}: a request of ${requestType} is not described`)
      else faults.push(...this.#check(asked.schema, requestBody, `${at} request`))
    }
    const response = operation.responses[status]
    if (response === undefined) return [...faults, `${at} is not described`]
    if (response.content === undefined)
      return body === undefined ? faults : [...faults, `${at}: a body is not described`]
    const media = response.content[type ?? '']
    if (media === undefined) return [...faults, `${at}: ${type} is not described`]
    return [...faults, ...this.#check(media.schema, body, at)]
  }

  #check(schema: Schema, value: unknown, at: string): string[] {
    let validate = this.#compiled.get(schema)
    if (validate === undefined) {
      const components = { schemas: close(this.#schemas) }
      validate = this.#ajv.compile({ ...(close(schema) as Schema), components })
      this.#compiled.set(schema, validate)
    }
    if (validate(value)) return []
    return (validate.errors ?? []).map(
      error => `${at}: ${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`,
    )
  }
}

/** Objects that list their members and say nothing of others take no others. */
function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, close(member)]))
  if (members.type !== 'object' || members.properties === undefined) return members
  return { additionalProperties: false, ...members }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`)
}
