/** The requirement catalogue: its shape, that each proof is a check of a run, and that each check of a run proves something. */
import { type Schema, Validator } from '@cfworker/json-schema'
import { expect, test } from 'vitest'
import documents from '../../fixtures/requirements/clauses.json' with { type: 'json' }
import catalogue from '../../fixtures/requirements/requirements.json' with { type: 'json' }
import schema from '../../fixtures/requirements/requirements.schema.json' with { type: 'json' }
import unclaimed from '../../fixtures/requirements/unclaimed.json' with { type: 'json' }
import { clauseOf } from '../../src/record/clauses.ts'
import type { RunRecord } from '../../src/record/index.ts'
import {
  AREAS,
  type Decision,
  decide,
  isMandatory,
  type Proof,
  proofsIn,
  REQUIREMENTS,
} from '../../src/record/requirements.ts'
import { summarise } from '../../src/report/summary.ts'
import { type RunOnTwinOptions, runOnTwin } from '../support/run.ts'

/** Flows that take another way with other settings: what the first run skips. */
const VARIANTS: readonly RunOnTwinOptions[] = [
  { flows: ['lifecycle', 'add-scope-with-put', 'add-role-then-put'], inputs: { update_body: 'rfc' } },
  { flows: ['scope-beyond-role'], switches: { scopeMode: 'strict' } },
]

let every: Promise<RunRecord> | undefined

/** The record of one run of all flows, those of flows/conformance too. */
function everyFlow(): Promise<RunRecord> {
  every ??= recordOf({ flows: [], conformance: true })
  return every
}

let overTls: Promise<RunRecord> | undefined

/** Probes of handshakes need connections. */
function handshakes(): Promise<RunRecord> {
  overTls ??= recordOf({ flows: ['transport-security'], kind: 'tls' })
  return overTls
}

async function recordOf(options: RunOnTwinOptions): Promise<RunRecord> {
  await using ran = await runOnTwin(options)
  return ran.record
}

const rows = new Map(REQUIREMENTS.map((one) => [one.id, one]))

test('a run that names no flow runs each on a twin of its own, and none fails', async () => {
  const { workflows, leftOut } = await everyFlow()

  const others = workflows.filter(({ status }) => status !== 'passed')
  expect(others.map(({ workflowId, status }) => `${workflowId} ${status}`)).toEqual(['transport-security skipped'])
  expect(leftOut).toEqual([])
  // Files that register the same application would collide on one twin.
  expect(workflows.length).toBeGreaterThan(20)
}, 240_000)

test('the catalogue has its published shape', () => {
  const { valid, errors } = new Validator(schema as Schema, '2020-12', false).validate(catalogue)

  expect(errors.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`)).toEqual([])
  expect(valid).toBe(true)
})

test('each area has requirements, and there are no others', () => {
  expect(new Set(REQUIREMENTS.map(({ area }) => area))).toEqual(new Set(AREAS))
  expect(schema.$defs.requirement.properties.area.enum).toEqual(AREAS)
})

test('the catalogue has 120 rows of standards and each sentence of the page, every one once', () => {
  const count = (beginning: string) => REQUIREMENTS.filter(({ id }) => id.startsWith(beginning)).length

  expect(rows.size).toBe(REQUIREMENTS.length)
  expect(
    ['DISC-', 'TLS-', 'REG-', 'REGN-', 'MGT-', 'MGTN-', 'TOK-', 'TOKN-', 'MTLS-', 'CLI-', 'THREDD-DCR-'].map(count),
  ).toEqual([9, 10, 16, 26, 12, 10, 9, 21, 7, 4, 33])
  // Kept beside the 120 of the catalogue: REG-16, TOK-00, TOK-07, TOK-08.
  expect(REQUIREMENTS.length).toBe(120 + 4 + 33)
})

test('at most eight rows of standards are left to Thredd, a person or the tests of this tool', () => {
  const left = REQUIREMENTS.filter(({ by }) => by !== 'run')

  expect(left.filter(({ by, because }) => by !== 'tool' && because === undefined)).toEqual([])
  expect(left.filter(({ id }) => !id.startsWith('THREDD-DCR')).length).toBeLessThanOrEqual(8)
})

test('every clause is in a known document and has its literal title and a link', () => {
  const ids = REQUIREMENTS.flatMap(({ clause, also = [] }) => [clause, ...also])

  expect(ids.filter((id) => clauseOf(id).href === undefined || !(id in documents.clauses))).toEqual([])
  expect(clauseOf('RFC7592-2.1')).toMatchObject({
    title: 'RFC 7592 (Experimental), section 2.1, Client Read Request',
    href: 'https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1',
    unverified: true,
  })
  expect(clauseOf('RFC7591-2.3').unverified).toBeUndefined()
})

test('only a check about the status itself counts for any answer, and none counts that is not about it', () => {
  const isAboutStatus = ({ check }: Proof) =>
    check.includes('$statusCode') ||
    check.startsWith('probe ') ||
    check === 'refused' ||
    check === 'success' ||
    NAMES_BOTH.includes(check)
  const named = REQUIREMENTS.flatMap(({ id, proof }) => proofsIn(proof).map((one) => ({ id, one })))

  expect(named.filter(({ one }) => one.answered === 'any' && !isAboutStatus(one))).toEqual([])
})

/** Criteria that must hold of a success and of a refusal. */
const NAMES_BOTH = [
  '$response.body: $[?$.token_endpoint_auth_method || $.error]',
  "$response.body: $[?!($.scopes[?@ == 'cards.write'])]",
  "$response.body: $[?$.error || $.scope && !search($.scope, 'eds')]",
]

test('what must be refused has a control that is not, and what must succeed needs a success', () => {
  const isSuccess = ({ answered, check }: Proof) =>
    answered === '2xx' || /\$statusCode == 20[014]$/.test(check) || check === 'probe TLS 1.2 or newer'
  const without = REQUIREMENTS.filter(({ proof }) => proof !== undefined && !proofsIn(proof).some(isSuccess))

  expect(without.map(({ id }) => id)).toEqual([])
})

test('of all proofs each must have been made, of any one is enough, and a failure always counts', () => {
  const proof = (check: string): Proof => ({ at: ['flow/step'], check, answered: '2xx' })
  const shown = ({ check }: Proof): Decision => ({ standing: check as Decision['standing'], because: '' })
  const of = (kind: 'all' | 'any', ...checks: Decision['standing'][]) =>
    decide(kind === 'all' ? { all: checks.map(proof) } : { any: checks.map(proof) }, shown).standing

  expect(of('all', 'pass', 'pass')).toBe('pass')
  expect(of('all', 'pass', 'not tested')).toBe('not tested')
  expect(of('all', 'warn', 'inconclusive')).toBe('inconclusive')
  expect(of('all', 'not tested', 'fail')).toBe('fail')
  expect(of('any', 'not tested', 'pass')).toBe('pass')
  expect(of('any', 'inconclusive', 'pass')).toBe('pass')
  expect(of('any', 'warn', 'pass')).toBe('warn')
  expect(of('any', 'pass', 'fail')).toBe('fail')
  expect(of('any')).toBe('not tested')
  expect(REQUIREMENTS.filter(isMandatory).length).toBeGreaterThan(60)
})

test('every proof is a check of a run, and every check of a run proves a requirement or says why none', async () => {
  const checks = new Set<string>()
  for (const record of [await everyFlow(), await handshakes(), ...(await Promise.all(VARIANTS.map(recordOf)))])
    for (const one of checksOf(record)) checks.add(one)
  const claimed = new Set(
    REQUIREMENTS.flatMap(({ proof }) =>
      proofsIn(proof).flatMap((one) => one.at.map((place) => `${place} ${one.check}`)),
    ),
  )
  const excused = new Map(unclaimed.checks.map((one) => [one, 0]))
  const open = [...checks].filter((check) => {
    if (claimed.has(check)) return false
    const excuse = unclaimed.checks.find((one) => excuses(one, check))
    if (excuse !== undefined) excused.set(excuse, (excused.get(excuse) ?? 0) + 1)
    return excuse === undefined
  })

  expect([...claimed].filter((one) => !checks.has(one))).toEqual([])
  expect(open).toEqual([])
  expect([...excused].filter(([, times]) => times === 0).map(([one]) => one)).toEqual([])
}, 240_000)

/** `<place> <check>`; by its title where the flow has written it, else by its id. */
function checksOf({ workflows }: RunRecord): readonly string[] {
  return workflows.flatMap(({ workflowId, steps }) =>
    steps.flatMap(({ stepId, checks }) =>
      checks.map(({ id, title }) => `${workflowId}/${stepId} ${id.startsWith('criterion') ? title : id}`),
    ),
  )
}

/** `at` and `check` may begin or end with a star for any text. */
function excuses({ at = '*', check = '*' }: { at?: string; check?: string }, name: string): boolean {
  const space = name.indexOf(' ')
  return fits(at, name.slice(0, space)) && fits(check, name.slice(space + 1))
}

function fits(pattern: string, text: string): boolean {
  const [beginning = '', end] = pattern.split('*')
  return end === undefined ? text === pattern : text.startsWith(beginning) && text.endsWith(end)
}

test('flows name clauses and leave it to the catalogue which requirement a check decides', async () => {
  const { workflows } = await everyFlow()
  const steps = workflows.flatMap((workflow) => workflow.steps)
  const named = [
    ...workflows.flatMap(({ clauses }) => clauses),
    ...steps.flatMap((step) => [...(step.clauses ?? []), ...step.checks.flatMap(({ clauses }) => clauses)]),
  ]

  expect(named.filter((id) => clauseOf(id).href === undefined || rows.has(id))).toEqual([])
}, 120_000)

/** RFC 7523 lets a server take these, and the twin does; with other switches it does not, which `prove:detection` shows. */
const TOLERATED = ['TOKN-05 warn', 'TOKN-06 warn', 'TOKN-15 warn']

test('every requirement with a proof passes when all flows have run, and is not tested when none has', async () => {
  const record = await everyFlow()
  const proven = new Set(REQUIREMENTS.filter(({ proof }) => proof !== undefined))
  const standings = (workflows: RunRecord['workflows']) => {
    const { requirements } = summarise(record, workflows)
    return requirements.filter(({ requirement }) => proven.has(requirement))
  }

  const after = standings([...record.workflows, ...(await handshakes()).workflows]).filter(
    ({ standing }) => standing !== 'pass',
  )
  expect(after.map(({ requirement, standing }) => `${requirement.id} ${standing}`)).toEqual(TOLERATED)
  expect(standings([]).filter(({ standing }) => standing !== 'not tested')).toEqual([])
}, 240_000)
