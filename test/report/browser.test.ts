/** The report in a real browser, from disk: it opens, filters, prints, can be used by everybody. Needs a Chromium. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runsPage } from '../../src/report/html/runs.ts'
import { everyOutcome, hostileRecord, html, longRecord, sampleRecord, whole } from '../support/reports.ts'
import { ROOT, runOnTwin } from '../support/run.ts'

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

const WIDE: BrowserContextOptions = { viewport: { width: 1280, height: 900 }, colorScheme: 'light' }
const LOOKS: readonly (readonly [name: string, options: BrowserContextOptions])[] = [
  ['light', WIDE],
  ['dark', { ...WIDE, colorScheme: 'dark' }],
  ['phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'light' }],
]

/** Hundreds of rows that differ only in their words have the same obstacles. */
const ONE_OF_EACH_KIND = `{
  const seen = new Set()
  for (const row of document.querySelectorAll('tbody tr')) {
    const kind = [row.closest('table').className, ...[row, ...row.querySelectorAll('*')].map((one) => one.tagName + one.className)].join()
    if (seen.has(kind)) row.remove()
    seen.add(kind)
  }
}`

let browser: Browser
let folder: string

beforeAll(async () => {
  if (executable === undefined) return
  folder = await mkdtemp(join(tmpdir(), 'thredd-browser-'))
  await mkdir(SHOTS, { recursive: true })
  // In a container there is no user namespace to make a sandbox of; what is opened here is our own.
  browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox'] })
  await using ran = await runOnTwin({ kind: 'tls', flows: ['lifecycle'] })
  for (const [name, page] of Object.entries({
    run: html(ran.record),
    outcomes: html(everyOutcome()),
    hostile: html(hostileRecord()),
    long: html(longRecord(500)),
    runs: whole(
      runsPage([
        { folder: 'run', run: ran.record },
        { folder: 'cut', run: { problem: 'it is cut' } },
        { folder: 'other', run: sampleRecord() },
      ]),
    ),
  }))
    await writeFile(join(folder, `${name}.html`), page)
})
afterAll(async () => {
  await browser?.close()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const inBrowser = test.skipIf(executable === undefined)

inBrowser.for(
  LOOKS.flatMap(([look, options]) => ['run', 'outcomes', 'runs'].map((name) => [name, look, options] as const)),
)(
  'the page "%s" opens from disk without a request, an error or a serious obstacle: %s',
  async ([name, look, options]) => {
    await using opened = await open(name, options)
    const { page } = opened

    await page.screenshot({ path: join(SHOTS, `${name}-${look}.png`) })
    // The page of a real run is long: everything on it is on that of all outcomes too, with every step open.
    if (name !== 'run') {
      await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
      await page.evaluate(ONE_OF_EACH_KIND)
      await page.screenshot({ path: join(SHOTS, `${name}-${look}-whole.png`), fullPage: true })
      // What a screen reader meets is the same in every look; the dark one has colours of its own.
      const axe = new AxeBuilder({ page })
      const { violations } = await (look === 'light' ? axe : axe.withRules(['color-contrast'])).analyze()
      expect(
        violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
      ).toEqual([])
    }
    const [scrolled, visible] = await page.evaluate<number[]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )
    expect(scrolled).toBe(visible)
    expect(opened.complaints).toEqual([])
  },
)

inBrowser('the answer is the first thing on the screen', async () => {
  await using opened = await open('outcomes', WIDE)

  await expect(opened.page.locator('.headline').innerText()).resolves.toBe('No')
  expect((await opened.page.locator('.headline').boundingBox())?.y).toBeLessThan(300)
})

inBrowser('steps are filtered by verdict and found by words', async () => {
  await using opened = await open('outcomes', WIDE)
  const { page } = opened
  const shown = () =>
    page
      .locator('#workflows details.step:visible .title')
      .evaluateAll((titles) => titles.map((title) => title.firstChild?.textContent?.trim()))

  expect(await shown()).toEqual(['passes', 'warns', 'fails', 'errs', 'waits'])
  await page.getByRole('checkbox', { name: /^pass/ }).uncheck()
  await page.getByRole('checkbox', { name: /^skipped/ }).uncheck()
  expect(await shown()).toEqual(['warns', 'fails', 'errs'])
  await page.getByRole('searchbox').fill('PIN.READ not')
  await expect.poll(shown).toEqual(['warns'])
  expect(await page.locator('#found').innerText()).toBe('1 of 5 steps shown')
  await page.getByRole('searchbox').fill('')
  await expect.poll(shown).toEqual(['warns', 'fails', 'errs'])
})

inBrowser('the keyboard reaches the search, opens a step, and follows a finding to its step', async () => {
  await using opened = await open('outcomes', WIDE)
  const { page } = opened

  await page.keyboard.press('Tab')
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content')
  await page.keyboard.press('/')
  expect(await page.evaluate('document.activeElement.id')).toBe('search')
  const step = page.locator('#step-1-1')
  await step.locator('summary').first().focus()
  await page.keyboard.press('Enter')
  await expect.poll(() => page.evaluate("document.getElementById('step-1-1').open")).toBe(true)
  await page.evaluate("document.getElementById('step-1-2').hidden = true")
  await page.locator('#findings a[href="#step-1-2"]').focus()
  await page.keyboard.press('Enter')
  await expect
    .poll(() =>
      page.evaluate("document.getElementById('step-1-2').open && !document.getElementById('step-1-2').hidden"),
    )
    .toBe(true)
})

inBrowser('a curl command is copied as it stands', async () => {
  await using opened = await open('outcomes', { ...WIDE, permissions: ['clipboard-read', 'clipboard-write'] })
  const { page } = opened
  await page.locator('#step-1-1 > summary').click()
  await page.locator('#step-1-1 details.more > summary').click()
  await page.getByRole('button', { name: 'Copy curl command of passes' }).click()

  await expect.poll(() => page.locator('#step-1-1 button', { hasText: 'Copied' }).count()).toBe(1)
  const copied = await page.evaluate('navigator.clipboard.readText()')
  expect(copied).toMatch(/^curl --request POST 'https:\/\/auth\.example/)
  expect(copied).toContain('"$SOFTWARE_STATEMENT"')
})

inBrowser('nothing that a hostile server answers runs, and the page keeps its shape', async () => {
  await using opened = await open('hostile', WIDE)

  expect(await opened.page.locator('img, iframe, b').count()).toBe(0)
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

inBrowser('the report prints to PDF with every step and all that is in it', async () => {
  await using opened = await open('outcomes', WIDE)
  const { page } = opened
  // The outline has what was laid out, by its headings.
  const pdf = await page.pdf({
    path: join(SHOTS, 'outcomes.pdf'),
    format: 'A4',
    printBackground: true,
    tagged: true,
    outline: true,
  })
  const headings = [...pdf.toString('latin1').matchAll(/\/Title \(([^)]*)\)/g)].map(([, title]) => title)

  const { steps } = everyOutcome().workflows[0] ?? { steps: [] }
  const exchanges = steps.flatMap((step) => step.exchanges)
  const ids = new Set(steps.map(({ stepId }) => stepId))
  expect(
    headings
      .map((title) => title?.split(' ')[0])
      .filter((title) => ids.has(title ?? ''))
      .toSorted(),
  ).toEqual([...ids].toSorted())
  expect(headings.filter((title) => title === 'The same call with curl')).toHaveLength(exchanges.length)
  expect(headings.filter((title) => /^(?:Check|\d+ checks)$/.test(title ?? ''))).toHaveLength(3)

  await page.emulateMedia({ media: 'print' })
  expect(await page.locator('.bar').isVisible()).toBe(false)
  expect(await page.locator('#tools').isVisible()).toBe(false)
  expect((await page.locator('#step-1-1 .checks').boundingBox())?.height).toBeGreaterThan(20)
  await page.screenshot({ path: join(SHOTS, 'outcomes-print.png'), fullPage: true })
})

inBrowser('without JavaScript everything is there', async () => {
  await using opened = await open('outcomes', { ...WIDE, javaScriptEnabled: false })
  const { page } = opened

  expect(await page.locator('#tools').isVisible()).toBe(false)
  await page.locator('#step-1-1 > summary').click()
  expect(await page.locator('#step-1-1 .checks').isVisible()).toBe(true)
})

inBrowser('500 steps open, and a search through them ends', async ({ annotate }) => {
  const before = performance.now()
  await using opened = await open('long', WIDE)
  const { page } = opened
  const milliseconds = Math.round(performance.now() - before)
  const parsed = await page.evaluate<number>(
    "Math.round(performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd)",
  )
  // Measured, not asserted: it depends on the machine.
  await annotate(`500 steps: parsed in ${parsed} ms, loaded in ${milliseconds} ms`)

  await page.getByRole('searchbox').fill('step-499')
  await expect.poll(() => page.locator('#found').innerText()).toBe('1 of 500 steps shown')
})

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
