/**
 * How long the report keeps the main thread of a browser busy until it can be read: the run of all flows on the twin, and the same
 * five times over. Needs a Chromium: CHROMIUM_PATH, or /usr/bin/chromium. node bench/report.ts
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { html } from '../test/support/reports.ts'
import { runOnTwin } from '../test/support/run.ts'

const ROUNDS = 5

await using ran = await runOnTwin({ flows: [] })
const { workflows } = ran.record
const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
for (const times of [1, 5]) {
  const file = join(folder, `${times}.html`)
  const record = { ...ran.record, workflows: Array.from({ length: times }, () => workflows).flat() }
  await writeFile(file, html(record))
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await busySeconds(file))
  const steps = record.workflows.reduce((sum, workflow) => sum + workflow.steps.length, 0)
  const sorted = rounds.toSorted((a, b) => a - b)
  console.log(
    `${steps} steps: ${sorted[ROUNDS >> 1]?.toFixed(2)} s of main thread (${sorted[0]?.toFixed(2)} to ${sorted.at(-1)?.toFixed(2)})`,
  )
}
await browser.close()
await rm(folder, { recursive: true, force: true })

/** All tasks of the page until it is loaded and painted. */
async function busySeconds(file: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  // Processor time of the thread, which other work of the machine does not lengthen.
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  await page.goto(pathToFileURL(file).href)
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
  const { metrics } = await session.send('Performance.getMetrics')
  await context.close()
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
}
