/** Compares two runs: new failures, what was fixed, changed evidence, steps that were added or removed. */
import { line } from '../record/foreign.ts'
import type { RunRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import { type Standing, standingOf } from './standing.ts'
import { stepInWords } from './words.ts'

export interface Change {
  readonly workflowId: string
  readonly row?: WorkflowRecord['row']
  readonly stepId: string
  /** undefined where the change is in the step as a whole */
  readonly check?: string | undefined
  readonly before: string
  readonly after: string
}

export interface Comparison {
  readonly failing: readonly Change[]
  readonly fixed: readonly Change[]
  /** changes in the last call of a step: status, URL, TLS, certificates, scopes, members of the answer */
  readonly evidence: readonly Change[]
  readonly added: readonly Change[]
  readonly removed: readonly Change[]
}

export function compare(before: RunRecord, after: RunRecord): Comparison {
  const old = stepsOf(before)
  const fresh = stepsOf(after)
  const pairs = [...fresh].flatMap(([key, now]) => {
    const then = old.get(key)
    return then === undefined ? [] : [{ then, now }]
  })
  const verdicts = pairs.flatMap(({ then, now }) => verdictChanges(then, now))
  return {
    failing: verdicts.filter(({ after }) => isBad(after)),
    fixed: verdicts.filter(({ after }) => !isBad(after)),
    evidence: pairs.flatMap(({ then, now }) => evidenceChanges(then, now)),
    added: missingFrom(old, fresh).map(([at, step]) => ({ ...at, before: 'absent', after: standingOf(step) })),
    removed: missingFrom(fresh, old).map(([at, step]) => ({ ...at, before: standingOf(step), after: 'absent' })),
  }
}

export function comparisonText(comparison: Comparison): string {
  const groups = [
    ['new failures', comparison.failing],
    ['fixed', comparison.fixed],
    ['changed evidence', comparison.evidence],
    ['new steps', comparison.added],
    ['steps that are gone', comparison.removed],
  ] as const
  return groups
    .map(([title, changes]) => {
      const rows = changes.map(({ check, before, after, ...step }) => {
        const place = [stepInWords(step), ...(check === undefined ? [] : [check])].join(' · ')
        return line`  ${place}: ${before} -> ${after}`
      })
      return [`${title}: ${changes.length}`, ...rows, ''].join('\n')
    })
    .join('')
}

type At = Pick<Change, 'workflowId' | 'row' | 'stepId'>
type Steps = ReadonlyMap<string, readonly [At, StepRecord]>

function stepsOf(record: RunRecord): Steps {
  return new Map(
    record.workflows.flatMap(({ workflowId, row, steps }) =>
      steps.map((step) => {
        const at = { workflowId, row, stepId: step.stepId }
        return [`${workflowId}\n${row?.number}\n${step.stepId}`, [at, step] as const] as const
      }),
    ),
  )
}

function missingFrom(these: Steps, those: Steps): (readonly [At, StepRecord])[] {
  return [...those].filter(([key]) => !these.has(key)).map(([, entry]) => entry)
}

const BAD: ReadonlySet<string> = new Set(['fail', 'inconclusive', 'warn'] satisfies Standing[])

function isBad(standing: string): boolean {
  return BAD.has(standing)
}

function verdictChanges([, then]: readonly [At, StepRecord], [at, now]: readonly [At, StepRecord]): Change[] {
  const earlier = new Map(then.checks.map((check) => [`${check.id}\n${check.title}`, check.status]))
  const checks = now.checks.flatMap((check): Change[] => {
    // A check that only the later run has is a change where it did not pass.
    const before = earlier.get(`${check.id}\n${check.title}`) ?? (check.status === 'pass' ? 'pass' : 'absent')
    return before === check.status ? [] : [{ ...at, check: check.title, before, after: check.status }]
  })
  const [before, after] = [standingOf(then), standingOf(now)]
  return checks.length > 0 || before === after ? checks : [{ ...at, before, after }]
}

function evidenceChanges([, then]: readonly [At, StepRecord], [at, now]: readonly [At, StepRecord]): Change[] {
  const before = evidenceOf(then)
  return [...evidenceOf(now)].flatMap(([check, after]) => {
    const earlier = before.get(check)
    return earlier === undefined || earlier === after ? [] : [{ ...at, check, before: earlier, after }]
  })
}

/** What should be the same in every run. Bodies hold new times and ids each time, so only their member names count. */
function evidenceOf({ exchanges, scopes, identity }: StepRecord): Map<string, string> {
  const last = exchanges.at(-1)
  const facts: [string, string | undefined][] = [
    ['identity', identity],
    ['status', last?.response && String(last.response.status)],
    ['URL', last?.request.url],
    ['TLS', last?.tls && `${last.tls.protocol} ${last.tls.cipher}`],
    ['server certificate', last?.tls?.server?.sha256],
    ['client certificate', last?.tls?.configured?.sha256],
    ['granted scopes', scopes?.granted.toSorted().join(' ')],
    ['members of the answer', membersOf(last?.response?.body.text)],
  ]
  return new Map(facts.filter((fact): fact is [string, string] => fact[1] !== undefined))
}

function membersOf(text: string | undefined): string | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null ? Object.keys(value).toSorted().join(' ') : undefined
  } catch {
    return undefined
  }
}
