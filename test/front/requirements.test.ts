/** What a run of the whole catalogue prints of each requirement. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { Printer } from '../../src/front/cli/printer.ts'
import { inNumbers, printRequirements } from '../../src/front/cli/requirements.ts'
import { clauseOf } from '../../src/record/clauses.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'
import type { JudgedRequirement, RequirementStanding } from '../../src/report/proofs.ts'

test('each area has how many of how many are proven, and each requirement that is not has a line', () => {
  const rows = rowsWith({ 'DISC-01': 'fail', 'DISC-02': 'warn', 'DISC-03': 'not tested', 'DISC-04': 'accepted' })
  const discovery = rows.filter(({ requirement: { area, by } }) => area === 'Discovery' && by === 'run')

  const text = printed(rows)

  expect(text).toContain(`Discovery             ${discovery.length - 3} of ${discovery.length} proven`)
  expect(text).toMatch(/failed {8}DISC-01 +A GET of the well-known URL answers 200 with a JSON object. \(seen\)/)
  expect(text).toMatch(/remark {8}DISC-02/)
  expect(text).toMatch(/accepted {6}DISC-04/)
  expect(text).toMatch(/not tested {4}DISC-03/)
  expect(text).not.toContain('DISC-05')
  expect(printed(rows, true)).toMatch(/proven {8}DISC-05/)
})

test('what no run decides is counted apart', () => {
  const rows = rowsWith({ 'DISC-01': 'fail' })
  const byRun = rows.filter(({ requirement }) => requirement.by === 'run').length

  expect(inNumbers(rows)).toBe(
    `${byRun - 1} of ${byRun} requirements that a run can decide are proven: 1 failed; ${rows.length - byRun} are for Thredd, a person or the tests of this tool to decide`,
  )
})

/** Every row that a run decides is proven but for these. */
function rowsWith(others: Readonly<Record<string, RequirementStanding>>): readonly JudgedRequirement[] {
  return REQUIREMENTS.map((requirement) => ({
    requirement,
    clause: clauseOf(requirement.clause),
    standing: others[requirement.id] ?? (requirement.by === 'run' ? 'pass' : 'review'),
    because: 'seen',
    steps: { count: 0, first: [] },
  }))
}

function printed(rows: readonly JudgedRequirement[], all = false): string {
  let text = ''
  const write = (more: string) => {
    text += more
  }
  printRequirements(rows, new Printer({ stream: new PassThrough(), write }), all)
  return text
}
