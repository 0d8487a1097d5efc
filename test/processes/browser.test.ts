/** The report in a real browser, from disk: it answers, filters, prints, can be used by everybody. Needs a Chromium. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeField, changeStatus } from '../../mocks/index.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'
import { factsOf } from '../../src/report/history/facts.ts'
import { historyOf, type Stored } from '../../src/report/history/index.ts'
import { historyPage } from '../../src/report/html/history.ts'
import { runsPage } from '../../src/report/html/runs.ts'
import { everyOutcome, hostileRecord, html, sampleRecord, summaryOf, whole } from '../support/reports.ts'
import { ROOT, type RunOnTwinOptions, runOnTwin } from '../support/run.ts'

const CANDIDATES = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
const executable = CANDIDATES.find((path) => path !== undefined && existsSync(path))
if (executable === undefined)
  process.stderr.write('browser tests are skipped: no Chromium was found; install it, or set CHROMIUM_PATH\n')

/** Kept, to be looked at. */
const SHOTS = join(ROOT, 'reports', 'screenshots')

const WIDE: BrowserContextOptions = { viewport: { width: 1440, height: 900 }, colorScheme: 'light' }
const LOOKS = {
  light: WIDE,
  dark: { ...WIDE, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'light' },
} satisfies Record<string, BrowserContextOptions>

/** Hundreds of rows that differ only in their words have the same obstacles. */
const ONE_OF_EACH_KIND = `{
  const seen = new Set()
  for (const row of document.querySelectorAll('tbody tr')) {
    const kind = [row.closest('table').className, ...[row, ...row.querySelectorAll('*')].map((one) => one.tagName + one.className)].join()
    if (seen.has(kind)) row.remove()
    seen.add(kind)
  }
}`

/** Real runs, each on a twin of its own. */
const RUNS: Readonly<Record<'green' | 'failed' | 'inconclusive' | 'partial', RunOnTwinOptions>> = {
  green: { flows: [], kind: 'tls' },
  failed: {
    flows: ['register', 'lifecycle'],
    faults: [changeField('registerClient', '/token_endpoint_auth_method', 'client_secret_basic')],
  },
  inconclusive: { flows: ['register', 'lifecycle'], faults: [changeStatus('cardsSmoke', 503)] },
  partial: { flows: ['discover'] },
}

let browser: Browser
let folder: string
const records = new Map<string, RunRecord>()

beforeAll(async () => {
  if (executable === undefined) return
  folder = await mkdtemp(join(tmpdir(), 'thredd-browser-'))
  await mkdir(SHOTS, { recursive: true })
  // In a container there is no user namespace to make a sandbox of; what is opened here is our own.
  browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox'] })
  for (const [name, options] of Object.entries(RUNS)) {
    await using ran = await runOnTwin(options)
    records.set(name, asOnUat(ran.record))
    if (name === 'green') records.set('twin', ran.record)
  }
  const [green, failed] = [recordOf('green'), recordOf('failed')]
  // The run of all flows five times over, as --repeat makes it.
  records.set('long', { ...green, workflows: Array.from({ length: 5 }, () => green.workflows).flat() })
  records.set('outcomes', everyOutcome())
  records.set('hostile', hostileRecord())
  const stored: Stored[] = [
    { folder: 'green', facts: factsOf('green', green) },
    { folder: 'failed', facts: factsOf('failed', failed) },
    { folder: 'inconclusive', facts: factsOf('inconclusive', recordOf('inconclusive')) },
    { folder: 'cut', problem: 'it is cut' },
  ]
  const history = historyOf(stored, {
    environment: green.environment,
    now: new Date().toISOString(),
    decisions: undefined,
    baseline: green.runId,
  })
  if (history === undefined) throw new Error('no run was joined')
  await writeFile(join(folder, 'joined.html'), whole(historyPage(history)))
  await writeFile(join(folder, 'runs.html'), whole(runsPage(stored, [history])))
  for (const [name, record] of records) await writeFile(join(folder, `${name}.html`), html(record))
})
afterAll(async () => {
  await browser?.close()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** What a run on the twin shows of its report where Thredd's own servers answer: those say the same. */
function asOnUat(record: RunRecord): RunRecord {
  const { security, environment } = record
  return {
    ...record,
    counterparty: 'network',
    environment: { ...environment, name: 'uat', class: 'uat' },
    ...(security && { security: { ...security, weaknesses: [] } }),
  }
}

function recordOf(name: string): RunRecord {
  const record = records.get(name)
  if (record === undefined) throw new Error(`no run "${name}"`)
  return record
}

const inBrowser = test.skipIf(executable === undefined)

/** Axe on a page of each kind in light, and the colours in dark. */
const VIEWS: readonly (readonly [page: string, look: keyof typeof LOOKS, axe: boolean])[] = [
  ['green', 'light', false],
  ['green', 'phone', false],
  ['failed', 'light', false],
  ['failed', 'dark', true],
  ['failed', 'phone', true],
  ['partial', 'phone', false],
  ['inconclusive', 'light', false],
  ['inconclusive', 'phone', false],
  ['outcomes', 'light', true],
  ['joined', 'light', true],
  ['joined', 'dark', true],
  ['joined', 'phone', true],
  ['runs', 'light', true],
  ['runs', 'phone', false],
]

inBrowser.for(VIEWS)(
  'the page "%s" opens from disk without a request, an error, a scroll sideways or a serious obstacle: %s',
  async ([name, look, isSearched]) => {
    await using opened = await open(name, LOOKS[look])
    const { page } = opened

    await page.screenshot({ path: join(SHOTS, `${name}-${look}.png`), fullPage: look !== 'light' })
    await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    const [scrolled, visible] = await page.evaluate<number[]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )
    expect(scrolled).toBe(visible)
    if (isSearched) {
      await page.evaluate(ONE_OF_EACH_KIND)
      const axe = new AxeBuilder({ page })
      const { violations } = await (look === 'dark' ? axe.withRules(['color-contrast']) : axe).analyze()
      expect(
        violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
      ).toEqual([])
    }
    expect(opened.complaints).toEqual([])
    expect(opened.requests).toEqual([])
  },
)

inBrowser.for([
  ['green', 'Not yet'],
  ['partial', 'Not yet'],
  ['failed', 'No'],
  ['inconclusive', 'Not known'],
  ['twin', 'Not from this run'],
] as const)('the answer to a run that is %s is the first thing on the screen: %s', async ([name, answer]) => {
  await using opened = await open(name, WIDE)

  await expect(opened.page.locator('.headline').innerText()).resolves.toBe(answer)
  expect((await opened.page.locator('.headline').boundingBox())?.y).toBeLessThan(200)
})

inBrowser('the first screen says which member differs, and who must act', async () => {
  await using opened = await open('failed', WIDE)
  const [first] = await opened.page.locator('.reasons > li').all()

  expect(await textOnScreen(first)).toContain(
    'token_endpoint_auth_method: expected private_key_jwt, got client_secret_basic',
  )
  expect(await textOnScreen(first?.locator('.turn'))).toMatch(/your turn/i)
})

inBrowser('one click leads to what was not tested, and to the exchange of a finding', async () => {
  await using opened = await open('failed', WIDE)
  const { page } = opened
  const rows = page.locator('#requirements tr[data-k]:visible')

  await page.locator('.reasons a[data-k="not tested"]').click()
  const untested = summaryOf(recordOf('failed')).gate.all.counts['not tested']
  await expect.poll(() => rows.count()).toBe(untested)
  expect(await rows.evaluateAll((all) => [...new Set(all.map((row) => row.getAttribute('data-k')))])).toEqual([
    'not tested',
  ])
  expect(await page.locator('#filter output').innerText()).toBe(`${untested} of ${REQUIREMENTS.length} requirements`)

  const finding = page.locator('#finding-1')
  await finding.getByText('Show the exchange').click()
  expect(await finding.locator('pre').nth(1).isVisible()).toBe(true)
  expect(await finding.locator('pre').nth(1).innerText()).toContain('client_secret_basic')
})

inBrowser('what a run left out is said on the first screen', async () => {
  await using opened = await open('partial', WIDE)
  const { page } = opened

  expect(await textOnScreen(page.locator('.reasons > li', { hasText: 'PARTIAL' }))).toContain('not all flows ran')
  expect(await textOnScreen(page.locator('.reasons > li', { hasText: 'never tested' }))).toMatch(/your turn/i)
  expect(await page.locator('.facts .stamp').innerText()).toBe('PARTIAL')
})

inBrowser(
  'of what failed, its own rows and the first step of each cause stand open; the rest is a click away',
  async () => {
    await using opened = await open('failed', WIDE)
    const { page } = opened
    const { gate, causes } = summaryOf(recordOf('failed'))
    const rows = page.locator('#requirements tr[data-k]:visible')

    expect(await rows.evaluateAll((all) => all.map((row) => row.getAttribute('data-k')))).toEqual(
      Array(gate.all.counts.failed).fill('failed'),
    )
    const failures = causes.filter(({ standing }) => standing === 'fail')
    expect(await page.locator('#workflows .step[open]').count()).toBe(failures.length)
    expect(failures.some(({ steps }) => steps.length > 1)).toBe(true)
    expect(await page.evaluate('document.documentElement.scrollHeight')).toBeLessThanOrEqual(7 * 900)

    await page.locator('.rest > summary').first().click()
    expect(await rows.count()).toBeGreaterThan(gate.all.counts.failed)
  },
)

inBrowser('the detection matrix says which fault turned a requirement red', async () => {
  await using opened = await open('green', WIDE)
  const { page } = opened
  const row = page.locator('#detection-DISC-04')

  expect(await row.isVisible()).toBe(false)
  await page.locator('#detection > summary').click()
  expect(await row.innerText()).toMatch(/DISC-04.*member:authorizationDiscovery=\/registration_endpoint/s)
})

inBrowser('every number of the gate leads to its rows, and they add up', async () => {
  await using opened = await open('green', WIDE)
  const { page } = opened
  const rows = page.locator('#requirements tr[data-k]:visible')

  for (const cell of await page.locator('#gate tbody td a').all()) {
    await cell.click()
    const number = Number(await cell.locator('u').innerText())
    await expect.poll(() => rows.count()).toBe(number)
    expect(await rows.first().evaluate((row) => row.closest('.area')?.getAttribute('data-area'))).toBe(
      await cell.getAttribute('data-area'),
    )
  }
  const numbers = (selector: string) =>
    page.locator(selector).evaluateAll((all) => all.map((one) => Number(one.textContent)))
  const sum = (all: readonly number[]) => all.reduce((total, one) => total + one, 0)
  expect(sum(await numbers('#gate tbody u'))).toBe(REQUIREMENTS.length)
  expect(sum(await numbers('#gate tfoot u'))).toBe(REQUIREMENTS.length)
})

inBrowser(
  'what passed folds to a line, what did not stands open, and all flows green are at most six screens',
  async () => {
    {
      await using green = await open('green', WIDE)
      expect(await green.page.locator('details.workflow[open]').count()).toBe(0)
      expect(await green.page.evaluate('document.documentElement.scrollHeight')).toBeLessThanOrEqual(6 * 900)
    }
    await using failed = await open('failed', WIDE)
    const open_ = failed.page.locator('details.workflow[open] > summary h3')
    expect(await open_.allInnerTexts()).toEqual(
      recordOf('failed')
        .workflows.filter(({ status }) => status === 'failed')
        .map(({ workflowId }) => workflowId),
    )
  },
)

inBrowser('steps and requirements are filtered by verdict and found by words', async () => {
  await using opened = await open('outcomes', WIDE)
  const { page } = opened
  const steps = () =>
    page
      .locator('#workflows details.step:visible .title')
      .evaluateAll((titles) => titles.map((title) => title.firstChild?.textContent?.trim()))

  expect(await steps()).toEqual(['passes', 'warns', 'fails', 'errs', 'waits'])
  for (const name of [/^remark/, /^failed/]) await page.locator('#workflows').getByRole('checkbox', { name }).check()
  await expect.poll(steps).toEqual(['warns', 'fails'])
  await page.getByRole('searchbox', { name: 'Search steps' }).fill('PIN.READ not')
  await expect.poll(steps).toEqual(['warns'])
  expect(await page.locator('#workflows output').innerText()).toBe('1 of 5 steps')

  await page.getByRole('searchbox', { name: 'Search requirements' }).fill('mtls-01')
  await expect.poll(() => page.locator('#requirements tr[data-k]:visible').count()).toBe(1)
  await page.locator('#filter').getByRole('button', { name: 'Show all' }).click()
  await expect.poll(() => page.locator('#filter output').innerText()).toBe(`all ${REQUIREMENTS.length} requirements`)
})

inBrowser('the keyboard reaches the search, opens a step, and follows a finding to its step', async () => {
  await using opened = await open('outcomes', WIDE)
  const { page } = opened

  await page.keyboard.press('Tab')
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the answer')
  await page.keyboard.press('/')
  expect(await page.evaluate('document.activeElement.id')).toBe('search')
  await page.locator('#step-1-1 > summary').focus()
  await page.keyboard.press('Enter')
  await expect.poll(() => page.evaluate("document.getElementById('step-1-1').open")).toBe(true)
  await page.evaluate("document.getElementById('workflow-1').open = false")
  await page.locator('#finding-1 a[href="#step-1-3"]').focus()
  await page.keyboard.press('Enter')
  await expect.poll(() => page.locator('#step-1-3').isVisible()).toBe(true)
})

inBrowser('the curl command of a finding is copied as it stands', async () => {
  await using opened = await open('outcomes', { ...WIDE, permissions: ['clipboard-read', 'clipboard-write'] })
  const finding = opened.page.locator('#finding-1')
  await finding.getByText('Show the exchange').click()
  await finding.getByRole('button', { name: /^Copy curl command of/ }).click()

  await expect.poll(() => finding.locator('button', { hasText: 'Copied' }).count()).toBe(1)
  const copied = await opened.page.evaluate('navigator.clipboard.readText()')
  expect(copied).toMatch(/^curl --request POST 'https:\/\/auth\.example/)
  expect(copied).toContain('"$DCR_SOFTWARE_STATEMENT"')
})

inBrowser('nothing that a hostile server answers runs, and the page keeps its shape', async () => {
  await using opened = await open('hostile', WIDE)

  expect(await opened.page.locator('img, iframe').count()).toBe(0)
  expect(await opened.page.locator('details.step[id^=step]').count()).toBe(5)
  expect(opened.complaints).toEqual([])
})

inBrowser('the policy stops a script and a request that somebody writes into the file', async () => {
  const page = html(sampleRecord()).replace(
    '</main>',
    '<script>document.title = "taken"</script><img src="https://example.com/x.png"></main>',
  )
  await writeFile(join(folder, 'edited.html'), page)
  await using opened = await open('edited', WIDE)

  expect(await opened.page.title()).toContain('DCR conformance report')
  expect(opened.complaints.filter((one) => /Content Security Policy/.test(one)).length).toBeGreaterThanOrEqual(2)
  expect(opened.requests).toEqual([])
})

inBrowser('the report prints to about eight pages of A4: every requirement, no wire', async () => {
  await using opened = await open('green', WIDE)
  const { page } = opened
  const pdf = await page.pdf({
    path: join(SHOTS, 'green.pdf'),
    preferCSSPageSize: true,
    printBackground: true,
    outline: true,
    tagged: true,
  })
  const text = pdf.toString('latin1')

  const pages = [...text.matchAll(/\/Type \/Page\b/g)].length
  expect(pages).toBeGreaterThanOrEqual(6)
  expect(pages).toBeLessThanOrEqual(9)
  // The outline has what was laid out, by its headings.
  const headings = [...text.matchAll(/\/Title \(([^)]*)\)/g)].map(([, title]) => title)
  expect(headings).toEqual(
    expect.arrayContaining([
      'Findings',
      'Requirements',
      'Token',
      'Certificates and what runs out',
      'Deviations and sign-off',
    ]),
  )
  expect(headings).not.toContain('Workflows')
  expect(headings).not.toContain('The same call with curl')
  const style = await page.locator('style').evaluate((one) => one.textContent)
  expect(style).toContain(`@bottom-left { content: "run ${recordOf('green').runId}, `)
  expect(style).toContain('"page " counter(page) " of " counter(pages)')

  await page.emulateMedia({ media: 'print' })
  for (const hidden of ['.rail', '#filter', '#workflows', '.wire'])
    expect(await page.locator(`${hidden} >> visible=true`).count()).toBe(0)
})

inBrowser('without JavaScript everything is there', async () => {
  await using opened = await open('failed', { ...WIDE, javaScriptEnabled: false })
  const { page } = opened

  expect(await page.locator('#filter').isVisible()).toBe(false)
  await page.locator('#area-token > summary').click()
  expect(await page.locator('#area-token tbody tr').first().isVisible()).toBe(true)
  expect(await page.locator('.step[open] .checks').first().isVisible()).toBe(true)
})

inBrowser('500 steps open, and a search through them ends', async ({ annotate }) => {
  const before = performance.now()
  await using opened = await open('long', WIDE)
  const { page } = opened
  // Measured, not asserted: it depends on the machine.
  await annotate(`500 steps: loaded in ${Math.round(performance.now() - before)} ms`)
  const steps = recordOf('long').workflows.flatMap((workflow) => workflow.steps).length
  expect(steps).toBeGreaterThanOrEqual(500)

  await page.getByRole('searchbox', { name: 'Search steps' }).fill('api-token-is-dead')
  await expect.poll(() => page.locator('#workflows output').innerText()).toMatch(new RegExp(`^\\d+ of ${steps} steps$`))
})

/** Of an element that is on the first screen, without scrolling. */
async function textOnScreen(element: Locator | undefined): Promise<string | undefined> {
  const box = await element?.boundingBox()
  expect(box && box.y + box.height).toBeLessThanOrEqual(900)
  return await element?.innerText()
}

interface Opened extends AsyncDisposable {
  readonly page: Page
  readonly complaints: readonly string[]
  /** URLs outside the disk that anything was sent to */
  readonly requests: readonly string[]
}

async function open(name: string, options: BrowserContextOptions): Promise<Opened> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  const requests: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('dialog', (dialog) => complaints.push(dialog.message()))
  page.on('requestfinished', (request) => {
    if (!request.url().startsWith('file:')) requests.push(request.url())
  })
  await page.goto(pathToFileURL(join(folder, `${name}.html`)).href)
  return { page, complaints, requests, [Symbol.asyncDispose]: () => context.close() }
}
