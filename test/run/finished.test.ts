/** Where the finished workflows of a run are while it goes on, and what is left of that afterwards. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { WorkflowRecord } from '../../src/record/index.ts'
import { FORMATS } from '../../src/report/index.ts'
import { recordJson } from '../../src/report/json.ts'
import { reportedRun } from '../../src/report/summary.ts'
import { FinishedWorkflows } from '../../src/run/finished.ts'
import { Redactor } from '../../src/secret/index.ts'
import { exchange, registration, sampleRecord, whole } from '../support/reports.ts'
import { attemptOnTwin, type RunOnTwinOptions, runOnTwin, type TwinRun } from '../support/run.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-finished-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test('the workflows of a finished run are plain data, those of its record', async () => {
  await using ran = await runOnTwin({ flows: ['register', 'read-registration', 'access-token'] })

  const { head, workflows } = ran.finished
  expect({ ...head, workflows }).toEqual(JSON.parse(readFileSync(ran.file, 'utf8')))
  expect(whole(recordJson(head, workflows))).toBe(readFileSync(ran.file, 'utf8'))
  const told = ran.events.flatMap((event) => (event.type === 'workflow-finished' ? [event.workflow.steps.length] : []))
  expect(told).toEqual(workflows.map(({ steps }) => steps.length))
  expect(workflows.filter((one) => !isPlain(one))).toEqual([])
})

test('finished workflows are in a file beside the reports that its owner alone can read, and it is gone at the end', async () => {
  const seen: [file: string, mode: string, holds: boolean][] = []
  await using ran = await runOnTwin(
    watching((file, event) => {
      if (event.type !== 'workflow-finished') return
      const mode = (statSync(file).mode & 0o777).toString(8)
      seen.push([file, mode, readFileSync(file, 'utf8').includes(`"workflowId":"${event.workflow.workflowId}"`)])
    }),
  )

  const file = join(dirname(ran.file), 'workflows.jsonl')
  expect(seen).toEqual([
    [file, '600', true],
    [file, '600', true],
  ])
  expect(readdirSync(dirname(file)).filter((name) => !/\.(?:html|md|json|xml|har|txt)$/.test(name))).toEqual([])
})

test('it is gone after Ctrl-C too, and the reports are there', async () => {
  const stop = new AbortController()
  await using ran = await runOnTwin({
    ...watching((_, event) => {
      if (event.type === 'workflow-finished') stop.abort()
    }),
    signal: stop.signal,
    formats: ['html'],
  })

  expect(ran.record.workflows.map(({ workflowId, error }) => [workflowId, error?.code])).toEqual([
    ['register', undefined],
    ['read-registration', 'INTERRUPTED'],
  ])
  expect(existsSync(join(dirname(ran.file), 'workflows.jsonl'))).toBe(false)
  expect(existsSync(join(dirname(ran.file), 'report.html'))).toBe(true)
  expect(ran.record.workflows[0]?.steps.length).toBeGreaterThan(1)
})

test('a run whose finished workflows find no place on the disk goes on and has its reports at the end', async () => {
  await using ran = await runOnTwin(
    watching((file, event) => {
      if (event.type === 'prepared') mkdirSync(file)
    }),
  )

  expect(ran.record.verdict).toBe('conformant')
  expect(JSON.parse(readFileSync(ran.file, 'utf8'))).toEqual(ran.record)
})

test('a disk that takes nothing any more stops no run; it is said at the end', async () => {
  await using attempt = await attemptOnTwin(
    watching((file, event) => {
      if (event.type === 'prepared') rmSync(dirname(file), { recursive: true })
    }),
  )

  expect('error' in attempt && attempt.error).toMatchObject({ problems: [{ code: 'REPORT_UNWRITABLE' }] })
  expect(attempt.events.filter(({ type }) => type === 'workflow-finished')).toHaveLength(2)
})

test.each([0, 1, 2, 3])('nothing is lost on a disk that is full after %i workflows', (fit) => {
  const workflows = [0, 1, 2, 3].map((index) => workflow(index))
  const file = join(folder, `full-${fit}`)
  // As a disk does: it takes a piece at a time, and at its end a part of one.
  let room = fit * (Buffer.byteLength(JSON.stringify(workflow(0))) + 1) + 7
  const write = ((fd: number, bytes: Buffer, offset: number, length: number, position: number) => {
    if (room === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    const taken = writeSync(fd, bytes, offset, Math.min(length, room, 1000), position)
    room -= taken
    return taken
  }) as typeof writeSync
  const redactor = new Redactor(new Uint8Array(32))
  using finished = new FinishedWorkflows({ file, redactor, withoutFolders: (text) => text, write })

  for (const one of workflows) finished.add(one)

  expect([...finished]).toEqual(workflows)
  expect([...finished]).toEqual(workflows)
})

test.each([
  ['on the disk', (name: string) => join(folder, name)],
  ['in memory', () => undefined],
])('what turns out to be a secret later is removed from the workflows %s that ended before', (where, fileOf) => {
  const canary = 'later-shown-to-be-secret-0123456789'
  const redactor = new Redactor(new Uint8Array(32))
  const file = fileOf(where)
  const withoutFolders = (text: string) => text.replaceAll('/home/me/', '')
  using finished = new FinishedWorkflows({ file, redactor, withoutFolders })
  finished.add(workflow(0))
  finished.add(workflow(1, canary))
  finished.add(workflow(2))
  const before = redactor.replaced['known values, in every encoding'] ?? 0

  redactor.add({ value: canary, name: 'access_token' })
  expect(JSON.stringify([...finished])).toContain(canary)
  finished.redactAgain()

  const { workflows: _, ...head } = sampleRecord()
  const run = reportedRun(head, finished)
  const texts = [
    whole(recordJson(head, finished)),
    ...Object.values(FORMATS).map(({ convert }) => whole(convert(run))),
    ...(file === undefined ? [] : [readFileSync(file, 'utf8')]),
  ]
  for (const text of texts) expect(text).not.toContain(canary)
  const [first, second] = [...finished]
  expect(second?.steps[0]?.exchanges[0]?.response?.body.text).toMatch(/^it was \[access_token#[0-9a-f]{8}\]$/)
  expect(first).toEqual(workflow(0))
  expect(redactor.replaced['known values, in every encoding']).toBe(before + 1)
  expect(second?.steps[0]?.at.file).toBe('flows/register.arazzo.yaml')
})

/** Nothing in it is computed when it is read. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.values(Object.getOwnPropertyDescriptors(value)).every((one) => 'value' in one && isPlain(one.value))
}

function workflow(index: number, said = 'nothing'): WorkflowRecord {
  const [first] = sampleRecord().workflows
  if (first === undefined) throw new Error('the sample has a workflow')
  const { response, ...rest } = exchange()
  if (response === undefined) throw new Error('the sample has an answer')
  const body = { ...response.body, text: `it was ${said}` }
  const at = { file: `${said === 'nothing' ? '' : '/home/me/'}flows/register.arazzo.yaml`, line: 1, column: 1 }
  const step = registration({ at, exchanges: [{ ...rest, response: { ...response, body } }] })
  return { ...first, workflowId: `workflow-${index}`, steps: [step] }
}

/** Two workflows; each event with the file of those that have finished. */
function watching(look: (file: string, event: TwinRun['events'][number]) => void): RunOnTwinOptions {
  return {
    flows: ['register', 'read-registration'],
    onEvent: (event, reports) => {
      if (!existsSync(reports)) return
      const [run = ''] = readdirSync(reports)
      look(join(reports, run, 'workflows.jsonl'), event)
    },
  }
}
