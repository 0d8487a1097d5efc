/** Memory does not grow with the run: what it leaves is made, written and searched piece by piece. */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RunRecord, WorkflowRecord } from '../../src/record/index.ts'
import { createArtifacts, searchOnly } from '../../src/report/artifacts.ts'
import { FORMATS } from '../../src/report/index.ts'
import { jsonWithList, recordJson } from '../../src/report/json.ts'
import { type ReportedRun, reportedRun } from '../../src/report/summary.ts'
import { Redactor } from '../../src/secret/index.ts'
import {
  check,
  exchange,
  html,
  junit,
  markdown,
  registration,
  sampleRecord,
  summaryOf,
  whole,
} from '../support/reports.ts'

/** More than is written or searched at once. */
const LARGE = 3 * 1024 * 1024
const LINE = `${'.'.repeat(1023)}\n`

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-long-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test.each([
  ['in one line', 'correct-horse-battery-staple-in-one-line'],
  ['over several lines', 'correct horse\nbattery staple\nover several lines'],
])('a secret %s is hidden wherever a file is cut for the search, and nothing else is', async (_, secret) => {
  const redactor = new Redactor(new Uint8Array(32))
  redactor.add({ value: secret, name: 'passphrase' })
  const said: string[] = []
  const artifacts = await createArtifacts(folder, 'cut', { redactor, warn: (text) => said.push(text) })

  // Around each place where a piece may end: at its start, within it, at its end.
  for (const place of [128, 256, 512].map((kib) => kib * 1024)) {
    for (const shift of [0, 10, 41]) {
      const before = LINE.repeat(LARGE / LINE.length).slice(0, place - shift)
      const text = [before, secret, LINE.repeat(64)]
      const written = readFileSync(await artifacts.write('report.html', text), 'utf8')
      expect(written.includes(secret)).toBe(false)
      expect(written.replace(/\[passphrase#[0-9a-f]{8}\]/, secret) === text.join('')).toBe(true)
      await expect(searchOnly(redactor).write('report.html', text)).rejects.toThrow('would have held a secret')
    }
  }
  expect(said).toHaveLength(9)
  expect(said[0]).toContain('"report.html" would have held passphrase: it was hidden there')
  expect(readdirSync(join(folder, 'cut'))).toEqual(['report.html'])
})

test('a key that nobody knew is hidden wherever it stands in a long piece', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const artifacts = await createArtifacts(folder, 'key', {
    redactor: new Redactor(new Uint8Array(32)),
    warn: () => undefined,
  })
  for (const kib of [62, 63, 64, 65, 126, 127, 128]) {
    const before = LINE.repeat((kib * 1024) / LINE.length)
    const file = await artifacts.write('summary.md', [`${before}\n${key}\n${before}`])
    const written = readFileSync(file, 'utf8')
    const lines = key.split('\n').filter((line) => line.length > 40)
    expect([kib, lines.filter((line) => written.includes(line))]).toEqual([kib, []])
  }
})

test('a secret longer than any block is found where it stands in one line', async () => {
  const secret = Array.from({ length: 100_000 }, (_, index) => `${index}-`).join('')
  const redactor = new Redactor(new Uint8Array(32))
  redactor.add({ value: secret, name: 'token' })
  const text = [LINE.repeat(400), 'x', ...(secret.match(/.{1,9999}/g) ?? []), '\n', LINE.repeat(2000)]

  await expect(searchOnly(redactor).write('report.md', text)).rejects.toThrow('not written: token')
})

test('a number is not taken for that of a card because a file is cut for the search within it', async () => {
  // 4539578763621486 has a valid check digit.
  const redactor = new Redactor(new Uint8Array(32))
  for (let indent = 0; indent < 64; indent += 1) {
    const line = `${' '.repeat(indent)}"wait": 2.4539578763621486,\n`
    await searchOnly(redactor).write('run.har', Array(30).fill(line.repeat(1000)))
  }
})

test('an artifact is on the disk in part before it is made to its end', async () => {
  const artifacts = await createArtifacts(folder, 'part', {
    redactor: new Redactor(new Uint8Array(32)),
    warn: () => undefined,
  })
  let largest = 0
  function* text() {
    for (let line = 0; line < LARGE / LINE.length; line += 1) {
      yield LINE
      const part = join(folder, 'part', 'run.har.part')
      if (line % 256 === 0 && existsSync(part)) largest = Math.max(largest, statSync(part).size)
    }
  }

  const file = await artifacts.write('run.har', text())

  expect(largest).toBeGreaterThan(LARGE / 2)
  expect(readFileSync(file, 'utf8')).toBe(LINE.repeat(LARGE / LINE.length))
  expect(readdirSync(dirname(file))).toEqual(['run.har'])
})

test('a link in the place of a file that is being written is not followed', async () => {
  const artifacts = await createArtifacts(folder, 'link', {
    redactor: new Redactor(new Uint8Array(32)),
    warn: () => undefined,
  })
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'link', 'run.har.part'))

  const file = await artifacts.write('run.har', ['text\n'])

  expect(readFileSync(file, 'utf8')).toBe('text\n')
  expect(existsSync(join(folder, 'elsewhere'))).toBe(false)
})

const MADE_OF_WORKFLOWS: readonly (readonly [file: string, convert: (run: ReportedRun) => Iterable<string>])[] = [
  ['record.json', ({ head, workflows }) => recordJson(head, workflows)],
  // report.md is one screen, made of the summary.
  ...Object.values(FORMATS).flatMap(({ file, convert }) => (file === 'report.md' ? [] : [[file, convert] as const])),
]

test.for(MADE_OF_WORKFLOWS)('%s is made workflow by workflow, none of which is held', ([, convert]) => {
  const number = 20
  let made = 0
  const workflows = {
    *[Symbol.iterator]() {
      for (made = 0; made < number; made += 1) yield workflow(made)
    },
  }
  const { workflows: _, ...head } = sampleRecord()
  const run = reportedRun(head, workflows)
  const madeBefore = new Set<number>()
  let largest = 0
  for (const piece of convert(run)) {
    madeBefore.add(made)
    largest = Math.max(largest, piece.length)
  }

  expect(madeBefore.size).toBeGreaterThanOrEqual(number)
  expect(largest).toBeLessThan(whole(convert(run)).length / 2)
})

function workflow(index: number): WorkflowRecord {
  const [first] = sampleRecord().workflows
  if (first === undefined) throw new Error('the sample has a workflow')
  return { ...first, workflowId: 'register', steps: [registration({ stepId: `step-${index}` })] }
}

test('a list in a JSON text is written as JSON.stringify writes it', () => {
  const around = { before: ['"tests": []', { tests: 1 }], results: { tests: [] as unknown[], after: { tests: [] } } }
  for (const items of [[], [{ a: [1, { b: 'x\ny' }] }], ['one', 2, null, { 'tests": []': [] }]]) {
    const text = whole(jsonWithList(around, { name: 'tests', depth: 2 }, items))

    const meant = { ...around, results: { ...around.results, tests: items } }
    expect(text).toBe(`${JSON.stringify(meant, null, 2)}\n`)
  }
})

test('a warning that names every workflow is cut where each suite repeats it', () => {
  const record = sampleRecord({ warnings: ['short', 'x'.repeat(2000)] })

  const values = [...junit(record).matchAll(/name="warning" value="([^"]*)"/g)].map(([, value]) => value)

  expect(values).toEqual(['short', `${'x'.repeat(1000)}…`])
})

test('of very many findings, proofs, workflows and JWTs the reports show the first and count the others', () => {
  const number = 600
  const { workflows, ...rest } = sampleRecord()
  const [workflow] = workflows
  if (workflow === undefined) throw new Error('the sample has a workflow')
  const record: RunRecord = {
    ...rest,
    workflows: Array.from({ length: number }, (_, index) => {
      const claims = Buffer.from(JSON.stringify({ jti: `jwt-${index}` })).toString('base64url')
      const headers: [string, string][] = [['x-token', `eyJhbGciOiJub25lIn0.${claims}.[signature#01234567]`]]
      const { request, ...others } = exchange()
      const one = { ...others, request: { ...request, headers, body: { bytes: 0 } } }
      const checks = [check({ status: 'warn', clauses: ['RFC7591-3.2.1'], title: `rule ${index}` })]
      return { ...workflow, workflowId: 'register', steps: [registration({ exchanges: [one], checks })] }
    }),
  }

  const page = html(record)

  expect(summaryOf(record)).toMatchObject({ findingCounts: { fail: 0, inconclusive: 0, warn: number } })
  expect(page.match(/<details class="finding fold warn"/g)).toHaveLength(60)
  expect(page).toContain('<p>And 540 more findings, which stand at their steps.</p>')
  expect(page).toContain('600 checks ended in a warning')
  expect(page).toContain(
    `<a class="noprint" href="#by-step" aria-label="and ${number - 1} more steps">+${number - 1}</a>`,
  )
  expect(page).toContain('<summary><span class="badge other">none</span><span class="title">token (500)</span>')
  expect(page).toContain('<p>And 100 more JWTs, in record.json.</p>')
  expect(markdown(record)).toContain('… and 550 more in report.html')
  expect(markdown(record)).toContain('\n\n… and 400 more in report.html')
})
