/** A real Chromium, and what is watched in it: requests to anywhere else, what its policy forbids, errors. */
import { accessSync, constants, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
const PICTURES = join(import.meta.dirname, '../../artefacts/console')

/** @returns undefined where there is none. */
export function findChromium(): string | undefined {
  if (process.env.CHROMIUM_BIN) return process.env.CHROMIUM_BIN
  const places = (process.env.PATH ?? '').split(delimiter).flatMap(folder => NAMES.map(name => join(folder, name)))
  return places.find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export function launch(executablePath: string): Promise<Browser> {
  mkdirSync(PICTURES, { recursive: true })
  // Chromium's sandbox refuses root, which is who containers and build machines run as.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}

export interface Visit {
  readonly context: BrowserContext
  readonly page: Page
  /** What should not have happened. */
  readonly complaints: string[]
  /** Of the whole page, unless only what a dialog leaves visible is meant. */
  picture(name: string, fullPage?: boolean): Promise<void>
}

/** A browser with nothing in it, of which only requests to `origin` are expected. */
export async function visit(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const complaints: string[] = []
  context.on('request', request => {
    const url = request.url()
    if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) complaints.push(`request to ${url}`)
  })
  context.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`)
  })
  context.on('weberror', failure => complaints.push(`error: ${failure.error().message}`))
  const page = await context.newPage()
  return {
    context,
    page,
    complaints,
    async picture(name, fullPage = true) {
      await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage })
    },
  }
}
