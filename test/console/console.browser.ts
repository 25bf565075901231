/**
 * The console as operators use it, in a real Chromium. Pictures of every view stay in artefacts/console. Nothing is asked of
 * anybody but the transmitter, and nothing the policy of the pages forbids is tried, in any of these.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { findChromium, launch, type Visit, visit } from './browser.ts'
import { openScene, type Scene } from './scene.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const executable = findChromium()
if (executable === undefined) {
  console.warn('\n!!!!!!!! NOT RUN: no Chromium was found. Debian: apt-get install chromium; others: CHROMIUM_BIN.\n')
}

describe.skipIf(executable === undefined)('the console', () => {
  let browser: Browser
  let scene: Scene
  let origin: string
  const visits: Visit[] = []

  beforeAll(async () => {
    browser = await launch(executable as string)
    scene = await openScene()
    origin = scene.transmitter.internalUrl
  })

  afterEach(async () => {
    const complaints = visits.flatMap(each => each.complaints)
    await Promise.all(visits.splice(0).map(({ context }) => context.close()))
    expect(complaints).toEqual([])
  })

  afterAll(async () => {
    await browser.close()
    scene.lab.redis.disconnect()
  })

  async function open(options: BrowserContextOptions = {}): Promise<Visit> {
    const opened = await visit(browser, origin, options)
    visits.push(opened)
    return opened
  }

  async function signIn(page: Page, token = scene.transmitter.adminToken, hash = ''): Promise<void> {
    await page.goto(`${origin}/console/${hash}`)
    await page.getByLabel('Admin or read token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
  }

  async function signedIn(hash = '', options: BrowserContextOptions = {}, token?: string): Promise<Visit> {
    const opened = await open(options)
    await signIn(opened.page, token, hash)
    return opened
  }

  const row = (page: Page, receiver: string) => page.locator('#receivers-table tbody tr', { hasText: receiver })
  const cell = (page: Page, receiver: string, title: string) => row(page, receiver).locator(`[data-title="${title}"]`)
  const tile = (page: Page, title: string) => page.locator('.tiles > div', { hasText: title }).locator('dd')
  const stats = (receiver: string) =>
    scene.transmitter.admin<Record<string, number>>('GET', `/v1/receivers/${receiver}/stats`)

  describe('signing in', () => {
    it('takes an admin or read token and says what is wrong with any other', async () => {
      const { page, picture, complaints } = await open()
      await page.goto(`${origin}/console`)
      expect(page.url()).toBe(`${origin}/console/`)
      await picture('sign-in')
      const alert = page.getByRole('alert')
      await page.getByLabel('Admin or read token').fill('sst_mistyped')
      await page.keyboard.press('Enter')
      await alert.waitFor()
      expect(await alert.textContent()).toBe('This token is not valid.')
      await page.getByLabel('Admin or read token').fill(await scene.transmitter.publishToken('somebody'))
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText('may not look around').waitFor()
      await picture('sign-in-refused')
      // The browser itself tells of every answer that is not good.
      const told = complaints.splice(0)
      expect(told.every(complaint => /status of 40[13]/.test(complaint))).toBe(true)
    })

    it('keeps the token in the tab: over a reload, and nowhere else', async () => {
      const { page, context } = await signedIn()
      await page.reload()
      await page.getByRole('button', { name: 'Sign out' }).waitFor()
      expect(page.url()).not.toContain(scene.transmitter.adminToken)
      expect(await context.cookies()).toEqual([])
      expect(await page.evaluate(() => localStorage.length)).toBe(0)
      const other = await context.newPage()
      await other.goto(`${origin}/console/`)
      await other.getByLabel('Admin or read token').waitFor()
    })

    it('ends with signing out, or with the token', async () => {
      const { page, complaints } = await signedIn()
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByLabel('Admin or read token').waitFor()
      expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
      const { token, tokenId } = await scene.transmitter.admin<{ token: string; tokenId: string }>(
        'POST',
        '/v1/tokens',
        {
          scope: 'read',
        },
      )
      await signIn(page, token)
      await scene.transmitter.admin('DELETE', `/v1/tokens/${tokenId}`)
      await page.getByText('does not hold any longer').waitFor()
      const told = complaints.splice(0)
      expect(told.every(complaint => /status of 40[13]/.test(complaint))).toBe(true)
    })
  })

  describe('the receivers', () => {
    it('tell whether events flow, for whom they do not, and what to do', async () => {
      const { page, picture } = await signedIn()
      const verdict = page.getByText('2 of 6 receivers need a look')
      await verdict.waitFor()
      const notice = (await page.locator('.notice').first().textContent()) ?? ''
      expect(notice).toContain('crm')
      expect(notice).toContain('Is it running?')
      expect(notice).toContain('ledger')
      expect(await cell(page, 'crm', 'Queued').textContent()).toBe('40')
      expect(await cell(page, 'mail', 'In flight').textContent()).toBe('4')
      expect((await cell(page, 'ledger', 'Parked').textContent())?.trim()).toBe('4')
      expect((await cell(page, 'payroll', 'State').textContent())?.trim()).toBe('paused')
      expect((await cell(page, 'retired', 'State').textContent())?.trim()).toBe('disabled')
      expect(await cell(page, 'crm', 'Last poll').textContent()).toBe('never')
      await picture('receivers')
    })

    it('are live: counts, rates, sparklines and the chart follow without a reload', async () => {
      const { page, picture } = await signedIn()
      const before = await cell(page, 'billing', 'Queued').textContent()
      expect(before).toBe('0')
      await scene.publish('billing', 7)
      await until('the table follows', async () => (await cell(page, 'billing', 'Queued').textContent()) === '7')
      await until('a rate is told', async () => Number(await cell(page, 'billing', 'Published/s').textContent()) > 0)
      const points = await row(page, 'billing').locator('polyline').getAttribute('points')
      expect(points?.split(' ').length).toBeGreaterThan(1)
      const chart = page.getByRole('img', { name: /SETs of all receivers: \d+ queued/ })
      expect(await chart.locator('canvas').count()).toBe(1)
      await picture('receivers-live')
    })

    it('are found by keyboard alone: filter, sort, open', async () => {
      const { page } = await signedIn()
      await row(page, 'crm').waitFor()
      await page.keyboard.press('/')
      await page.keyboard.type('pay')
      await until('one row is left', async () => (await page.locator('#receivers-table tbody tr').count()) === 1)
      await page.keyboard.press('Control+A')
      await page.keyboard.press('Delete')
      await page.getByRole('button', { name: 'Queued' }).focus()
      await page.keyboard.press('Enter')
      const first = page.locator('#receivers-table tbody tr').first().locator('a').first()
      expect(await first.textContent()).toBe('crm')
      expect(await page.locator('#receivers-table th', { hasText: 'Queued' }).getAttribute('aria-sort')).toBe(
        'descending',
      )
      await first.focus()
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { level: 1, name: 'crm' }).waitFor()
    })

    it('say so when the transmitter does not answer, keep what was seen, and go on when it does', async () => {
      const { page, context, complaints, picture } = await signedIn()
      await row(page, 'crm').waitFor()
      await context.setOffline(true)
      await page.getByText('The transmitter does not answer.').waitFor()
      expect(await row(page, 'crm').count()).toBe(1)
      await picture('receivers-away')
      await context.setOffline(false)
      await page.getByText('The transmitter does not answer.').waitFor({ state: 'detached' })
      const told = complaints.splice(0)
      expect(told.every(complaint => complaint.includes('ERR_INTERNET_DISCONNECTED'))).toBe(true)
    })
  })

  describe('one receiver', () => {
    it('shows its SETs by state', async () => {
      const { page, picture } = await signedIn('#/receivers/mail')
      await page.getByRole('heading', { level: 1, name: 'mail' }).waitFor()
      const rows = page.locator('.list tbody tr')
      await until('queued SETs', async () => (await rows.count()) === 2)
      await page.getByRole('link', { name: /in flight/ }).click()
      await until('SETs in flight', async () => (await rows.count()) === 4)
      expect(await rows.first().locator('[data-title="Attempts"]').textContent()).toBe('1')
      await picture('receiver-sets')
      await page.getByRole('link', { name: /owed again/ }).click()
      await page.getByText('No SET is owed again.').waitFor()
      await page.goBack()
      await until('back in flight', async () => (await rows.count()) === 4)
    })

    it('shows what it reported, as text and never as markup', async () => {
      const { page, picture } = await signedIn('#/receivers/ledger/errors')
      const rows = page.locator('.list tbody tr')
      await until('four reports', async () => (await rows.count()) === 4)
      expect(await rows.first().textContent()).toContain('No key <b>elsewhere</b> is known here.')
      expect(await page.locator('.list b').count()).toBe(0)
      expect(await page.getByText('<script>alert(1)</script>').count()).toBeGreaterThan(0)
      await picture('receiver-errors')
    })

    it('shows how it is registered', async () => {
      const { page, picture } = await signedIn('#/receivers/billing/settings')
      await page.getByText('/receivers/billing/poll').waitFor()
      await page.getByText('https://billing.example').waitFor()
      await picture('receiver-settings')
    })

    it('that does not exist is said so', async () => {
      const { page, complaints } = await signedIn('#/receivers/nobody')
      await page.getByText('No such receiver.').first().waitFor()
      complaints.splice(0)
    })
  })

  describe('dead letters', () => {
    it('are requeued only after a confirmation', async () => {
      const { page, picture } = await signedIn('#/receivers/ledger/parked')
      const rows = page.locator('.list tbody tr')
      await until('four dead letters', async () => (await rows.count()) === 4)
      await picture('dead-letters')
      const requeue = page.getByRole('button', { name: /Requeue selected/ })
      expect(await requeue.isDisabled()).toBe(true)
      await page.getByLabel('Select dead-1').check()
      await page.getByLabel('Select dead-2').check()
      await requeue.click()
      const dialog = page.getByRole('dialog', { name: 'Requeue 2 SETs?' })
      await dialog.waitFor()
      await picture('requeue-asked', false)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
      expect((await stats('ledger')).parked).toBe(4)
      await requeue.click()
      await dialog.getByRole('button', { name: 'Requeue', exact: true }).click()
      await dialog.getByText('2 SETs will be delivered again.').waitFor()
      await picture('requeue-done', false)
      await page.keyboard.press('Enter')
      await until('two are left', async () => (await rows.count()) === 2)
      expect(await stats('ledger')).toMatchObject({ parked: 2, owedAgain: 2 })
      await until('the numbers follow', async () => (await tile(page, 'Owed again').textContent()) === '2')
    })

    it('are discarded all together only by whoever types the id of the receiver', async () => {
      const { page, picture } = await signedIn('#/receivers/ledger/parked')
      await page.getByRole('button', { name: 'Discard all' }).click()
      const dialog = page.getByRole('dialog', { name: 'Discard 2 SETs?' })
      const discard = dialog.getByRole('button', { name: 'Discard', exact: true })
      expect(await discard.isDisabled()).toBe(true)
      await dialog.getByLabel(/Type/).fill('ledge')
      expect(await discard.isDisabled()).toBe(true)
      await picture('discard-asked', false)
      await dialog.getByRole('button', { name: 'Cancel' }).click()
      expect((await stats('ledger')).parked).toBe(2)
      await page.getByRole('button', { name: 'Discard all' }).click()
      await dialog.getByLabel(/Type/).fill('ledger')
      await discard.click()
      await dialog.getByText('2 SETs discarded.').waitFor()
      await dialog.getByRole('button', { name: 'Close' }).click()
      await page.getByText('No dead letters.').waitFor()
      expect((await stats('ledger')).parked).toBe(0)
    })
  })

  describe('looking up', () => {
    it('shows the way of a SET and what it says', async () => {
      const { page, picture } = await signedIn()
      await page.getByRole('link', { name: 'Look up a SET' }).click()
      await page.getByRole('combobox', { name: 'Receiver' }).fill('billing')
      await page.getByLabel('jti').fill(scene.acknowledged)
      await page.keyboard.press('Enter')
      const timeline = page.locator('.timeline li')
      await until('its timeline', async () => (await timeline.count()) === 3)
      expect(await timeline.nth(0).textContent()).toContain('Published')
      expect(await timeline.nth(1).textContent()).toContain('Delivered')
      expect(await timeline.nth(2).textContent()).toContain('Acknowledged')
      const claims = JSON.parse((await page.locator('pre').textContent()) ?? '') as { jti: string; iss: string }
      expect(claims).toMatchObject({ jti: scene.acknowledged, iss: scene.transmitter.issuer })
      expect(page.url()).toContain(`jti=${scene.acknowledged}`)
      await picture('look-up')
    })

    it('says what an unknown jti means', async () => {
      const { page, complaints, picture } = await signedIn('#/lookup?receiver=billing&jti=unheard-of')
      await page.getByText('No SET of this jti is known here.').waitFor()
      await page.getByText('forgotten after a while').waitFor()
      await picture('look-up-unknown')
      complaints.splice(0)
    })

    it('is where a dead letter is dealt with alone', async () => {
      const { page } = await signedIn('#/receivers/ledger')
      // Refused again, so that it is a dead letter again.
      const { token } = await scene.transmitter.admin<{ token: string }>('POST', '/v1/tokens', {
        scope: 'poll',
        receiver: 'ledger',
      })
      const poll = (body: object) =>
        fetch(`${scene.transmitter.publicUrl}/receivers/ledger/poll`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify({ returnImmediately: true, ...body }),
        })
      await poll({})
      await poll({ setErrs: { 'dead-1': { err: 'invalid_key', description: 'again' } }, maxEvents: 0 })
      await page.goto(`${origin}/console/#/lookup?receiver=ledger&jti=dead-1`)
      await page.getByText('Parked: refused by the receiver').waitFor()
      await page.getByRole('button', { name: 'Discard' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Discard', exact: true }).click()
      await page.getByText('1 SET discarded.').waitFor()
    })
  })

  it('replays what was acknowledged, after a confirmation', async () => {
    const { page, picture } = await signedIn('#/receivers/billing/replay')
    const before = await stats('billing')
    expect(before.retained).toBeGreaterThan(0)
    await page.getByLabel('Acknowledged from').fill('2020-01-01T00:00:00')
    await picture('replay')
    await page.getByRole('button', { name: 'Replay …' }).click()
    const dialog = page.getByRole('dialog', { name: 'Replay to billing?' })
    await picture('replay-asked', false)
    await dialog.getByRole('button', { name: 'Replay', exact: true }).click()
    await dialog.getByText(`${before.retained} SETs will be delivered again.`).waitFor()
    expect(await stats('billing')).toMatchObject({ owedAgain: before.retained, retained: 0 })
  })

  it('lets a read token look at everything and change nothing', async () => {
    const { page, picture, complaints } = await signedIn('#/receivers/crm/parked', {}, scene.readToken)
    await page.getByText('A read token looks only').waitFor()
    expect(await page.getByRole('button', { name: /Requeue|Discard/ }).count()).toBe(0)
    expect(await page.getByRole('link', { name: 'Jobs' }).count()).toBe(0)
    await page.getByRole('link', { name: 'Replay' }).click()
    await page.getByText('replay needs an admin token').waitFor()
    await picture('read-token')
    // Not because of what is shown, but because of what is allowed.
    const status = await page.evaluate(async () => {
      const token = sessionStorage.getItem('setstream.console.token')
      const response = await fetch('../v1/receivers/crm/parked', {
        method: 'DELETE',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{"all":true}',
      })
      return response.status
    })
    expect(status).toBe(403)
    expect(complaints.splice(0).every(complaint => complaint.includes('403'))).toBe(true)
  })

  it('shows the queues of BullMQ to administrators', async () => {
    const { page, context, complaints } = await signedIn()
    const [jobs] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Jobs' }).click()])
    for (const queue of ['redelivery', 'retention', 'set-errors']) await jobs.getByText(queue).first().waitFor()
    expect(new URL(jobs.url()).pathname).toBe('/console/queues/')
    await jobs.screenshot({ path: 'artefacts/console/jobs.png' })
    // bull-board would like fonts of another site, and decorates with styles in its markup: both are forbidden it.
    const failed = complaints.splice(0).filter(complaint => !/fonts\.googleapis|inline style/.test(complaint))
    expect(failed).toEqual([])
  })

  it('comes with a description of the interface that asks nobody else for anything', async () => {
    const { page, picture, complaints } = await open()
    await page.goto(`${origin}/docs/`)
    await page.getByText('Poll for SETs').waitFor()
    await page.getByText('Deliver dead letters again').click()
    await page.getByText('Repeat the call while').first().waitFor()
    await picture('docs')
    const failed = complaints.splice(0).filter(complaint => !complaint.includes('inline style'))
    expect(failed).toEqual([])
  })

  describe('for everybody', () => {
    const views = {
      receivers: '',
      receiver: '#/receivers/crm',
      'dead-letters': '#/receivers/mail/parked',
      replay: '#/receivers/billing/replay',
      settings: '#/receivers/billing/settings',
      'look-up': '#/lookup',
    }
    const shown = async (page: Page) => {
      await page.locator('main h1').first().waitFor({ state: 'attached' })
      await until('nothing is loading', async () => (await page.locator('[aria-busy=true]').count()) === 0)
    }

    it.each(['light', 'dark'] as const)(
      'has contrast and names that assistive technology needs, when %s',
      async colorScheme => {
        const { page, picture } = await signedIn('', { colorScheme })
        for (const [name, hash] of Object.entries(views)) {
          await page.goto(`${origin}/console/${hash}`)
          await shown(page)
          await picture(`${colorScheme}-${name}`)
          await page.evaluate(axe)
          const violations = await page.evaluate(async () => {
            const results = await (
              globalThis as unknown as {
                axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
              }
            ).axe.run()
            return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
          })
          expect(violations, `${colorScheme} ${name}`).toEqual([])
        }
      },
    )

    it('fits on 360 pixels', async () => {
      const { page, picture } = await signedIn('', { viewport: { width: 360, height: 740 }, hasTouch: true })
      for (const [name, hash] of Object.entries({ ...views, errors: '#/receivers/ledger/errors' })) {
        await page.goto(`${origin}/console/${hash}`)
        await shown(page)
        await picture(`narrow-${name}`)
        expect(await page.evaluate('document.documentElement.scrollWidth'), name).toBeLessThanOrEqual(360)
      }
    })
  })
})
