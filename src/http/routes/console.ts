/**
 * The console: a page for operators, of plain files that are served as they are, with libraries from their packages. What is
 * served is a closed list; who looks signs in inside the page, with a token that goes along with every call of it.
 */
import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyPluginAsync } from 'fastify'
import { policy, securePages } from '../pages.ts'

const FILES = fileURLToPath(new URL('../../console/', import.meta.url))

/** Name below `vendor/` → module or file of a package. */
const VENDOR = {
  'preact.js': 'preact',
  'htm.js': 'htm',
  'uplot.js': 'uplot/dist/uPlot.esm.js',
  'uplot.css': 'uplot/dist/uPlot.min.css',
} as const

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Text never becomes script here: the libraries need none of that, so the browser is told to forbid it. */
const POLICY = policy({ 'require-trusted-types-for': "'script'", 'trusted-types': "'none'" })

export const consoleRoutes: FastifyPluginAsync = async app => {
  securePages(app, POLICY)
  app.get('/console', { schema: { hide: true } }, async (_request, reply) => reply.redirect('console/', 308))
  for (const [name, path] of await filesOf()) {
    const body = await readFile(path)
    const etag = `"${hash('sha256', body, 'base64url').slice(0, 22)}"`
    const type = TYPES[extname(name)] as string
    const url = name === 'index.html' ? '/console/' : `/console/${name}`
    app.get(url, { schema: { hide: true } }, async (request, reply) => {
      // Asked for again each time, so that no page mixes files of two versions.
      reply.headers({ 'cache-control': 'no-cache', etag })
      if (request.headers['if-none-match'] === etag) return reply.code(304).send()
      return reply.type(type).send(body)
    })
  }
}

async function filesOf(): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const entry of await readdir(FILES, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && extname(entry.name) in TYPES) files.set(relative(FILES, path).split(sep).join('/'), path)
  }
  for (const [name, module] of Object.entries(VENDOR)) {
    files.set(`vendor/${name}`, fileURLToPath(import.meta.resolve(module)))
  }
  return files
}
