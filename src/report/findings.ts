/**
 * What a person has to look at, each as one finding: what the server said itself, what was expected and what came, what it
 * means, what to do, and whose turn it is. It is worked out here once, and every report prints the same. Pure.
 */
import { clauseOf } from '../record/clauses.ts'
import { isChange } from '../record/effect.ts'
import { CODES, type ErrorCode } from '../record/errors.ts'
import { type Command, commandsAbout } from '../record/hints.ts'
import {
  type CheckRecord,
  type ErrorRecord,
  errorBeyondSteps,
  type RunRecord,
  type ScopeDifference,
  type StepRecord,
  type WorkflowRecord,
} from '../record/index.ts'
import type { Requirement } from '../record/requirements.ts'
import { decidedBy } from './proofs.ts'
import { inOneLine, type ServerWords, wordsOf } from './server-words.ts'
import { type Advice, adviceOf, situationOf, type Turn } from './situations.ts'
import type { StepRef } from './standing.ts'
import { count } from './words.ts'

export interface Finding extends Advice {
  readonly standing: 'fail' | 'inconclusive' | 'warn'
  /** the id of the check, or the code of the error, that it is about */
  readonly about: string
  /** absent for an error that is about no line of the flow */
  readonly at: CheckRecord['at']
  /** of an answer that is no success */
  readonly said?: ServerWords | undefined
  /** what was expected and what came, or why there is no verdict */
  readonly title: string
  /** how many further checks this made pointless */
  readonly notJudged: number
  readonly level?: CheckRecord['level'] | undefined
  /** what it is made of; empty for an error */
  readonly checks: readonly CheckRecord[]
}

/** A finding as it stands in a run. */
export interface PlacedFinding extends Finding {
  readonly workflowId: string
  /** absent where the finding is about the workflow as a whole */
  readonly step?: StepRef | undefined
  /** those that it decides */
  readonly requirements: readonly Requirement[]
}

/** At most so many findings of each kind are kept; all are counted. */
const MOST_FINDINGS = 300

export class FindingCollector {
  readonly counts = { fail: 0, inconclusive: 0, warn: 0 }
  readonly #environment: Pick<RunRecord['environment'], 'flags'>
  readonly #ofWorkflows: PlacedFinding[] = []
  readonly #ofSteps: Readonly<Record<Finding['standing'], PlacedFinding[]>> = { fail: [], inconclusive: [], warn: [] }

  constructor(environment: Pick<RunRecord['environment'], 'flags'>) {
    this.#environment = environment
  }

  addWorkflow(workflow: WorkflowRecord): void {
    const { workflowId } = workflow
    const found = findingOfWorkflow(workflow)
    if (found !== undefined) this.#add(this.#ofWorkflows, { ...found, workflowId, requirements: [] })
  }

  addStep(step: StepRecord, ref: StepRef): void {
    const { workflowId, row } = ref
    for (const found of findingsOf(step, commandsAbout(row, this.#environment))) {
      const requirements = decidedBy(workflowId, step, found.checks)
      this.#add(this.#ofSteps[found.standing], { ...found, workflowId, step: ref, requirements })
    }
  }

  /** Failures first. Among those without a verdict, whole workflows come before steps. */
  get worstFirst(): readonly PlacedFinding[] {
    const { fail, inconclusive, warn } = this.#ofSteps
    return [...fail, ...this.#ofWorkflows, ...inconclusive, ...warn]
  }

  #add(list: PlacedFinding[], finding: PlacedFinding): void {
    this.counts[finding.standing] += 1
    if (list.length < MOST_FINDINGS) list.push(finding)
  }
}

/** The error of the workflow itself; undefined where one of its steps has it. */
export function findingOfWorkflow(workflow: WorkflowRecord): Finding | undefined {
  const error = errorBeyondSteps(workflow)
  const at = error?.at ?? { file: workflow.flow.file, line: 1, column: 1 }
  return error && { ...ofError(error), at }
}

/** The findings of one step, worst first. A member that several checks name is found once. */
export function findingsOf(step: StepRecord, command: Command): readonly Finding[] {
  if (step.status === 'skipped') return []
  const situation = situationOf(step)
  const advice = situation && adviceOf(situation, step, command)
  const ofError = step.error === undefined ? [] : [findingOfError(step.error, step, { advice, command })]
  const bad = step.checks.filter(({ status }) => status !== 'pass')
  const ofStatus = bad.filter(({ member, status }) => member === 'status' && status === 'fail')
  const others = bad.filter((check) => !ofStatus.includes(check))
  return [
    ...ofError,
    ...(ofStatus.length === 0 ? [] : [findingOfStatus(ofStatus, step, advice)]),
    ...['fail', 'warn'].flatMap((status) =>
      byMember(others.filter((check) => check.status === status)).map((checks) =>
        findingOfMember(checks, step, advice),
      ),
    ),
  ]
}

/** Checks of the same member together; a check of none is alone. */
function byMember(checks: readonly CheckRecord[]): readonly (readonly CheckRecord[])[] {
  return [...Map.groupBy(checks, (check) => check.member ?? check).values()]
}

/** What makes further checks pointless, beside another status. */
const LEAVES_OPEN: ReadonlySet<string> = new Set(['refused', 'schema', 'content-type'])

/** Why further checks were not judged, by the check that it is about. */
export function whyNotJudged({ about }: Pick<Finding, 'about'>): string {
  return about === 'schema' || about === 'content-type'
    ? 'since the body cannot be read'
    : 'since the status is another'
}

/** The answer has another status than the step waits for: nothing else of it counts. */
function findingOfStatus(checks: readonly CheckRecord[], step: StepRecord, advice: Advice | undefined): Finding {
  const [first] = checks as [CheckRecord]
  // What the step waits for says more than what is documented.
  const own = checks.filter(({ id }) => id !== 'status')
  const expected = [...new Set((own.length === 0 ? checks : own).map((check) => check.expected))].join(' and ')
  const actual = own[0]?.actual ?? first.actual
  const facts = checkFacts(step, checks)
  return {
    ...facts,
    about: (own[0] ?? first).id,
    at: (own[0] ?? first).at ?? step.at,
    title: `${callOf(step)}: expected status ${expected}, got ${actual}`,
    ...(advice ?? (own.length === 0 || facts.said === undefined ? adviceOn(own[0] ?? first) : UNKNOWN)),
    clauses: clausesOf(checks, advice),
    notJudged: step.notJudged?.length ?? 0,
  }
}

function findingOfMember(checks: readonly CheckRecord[], step: StepRecord, advice: Advice | undefined): Finding {
  // A criterion says it more plainly than a schema.
  const check = (checks.find(({ id }) => !id.startsWith('schema')) ?? checks[0]) as CheckRecord
  // A situation is about the call as a whole: of single members it knows those of scopes.
  const known = check.id === 'scopes' || check.id === 'refused' ? advice : undefined
  return {
    ...checkFacts(step, checks),
    about: check.id,
    at: check.at ?? step.at,
    title: sentenceOf(check),
    ...(known ?? adviceOn(check)),
    clauses: clausesOf(checks, known),
    notJudged: check.status === 'fail' && LEAVES_OPEN.has(check.id) ? (step.notJudged?.length ?? 0) : 0,
  }
}

function checkFacts(step: StepRecord, checks: readonly CheckRecord[]) {
  const [first] = checks
  const isWarning = checks.every(({ status }) => status === 'warn')
  return {
    standing: isWarning ? ('warn' as const) : step.status === 'errored' ? ('inconclusive' as const) : ('fail' as const),
    said: saidIn(step),
    level: first?.level,
    checks,
  }
}

function findingOfError(
  error: ErrorRecord,
  step: StepRecord,
  { advice, command }: { readonly advice: Advice | undefined; readonly command: Command },
): Finding {
  const open = mayHaveChangedClient(step) ? `${command('showOpen')} says what is open, and the way out` : undefined
  const base = ofError(error)
  return {
    ...base,
    ...advice,
    said: saidIn(step),
    // What a call may have changed is more urgent than how to go on; the error's own hint knows the host and the settings.
    next:
      open ?? (advice?.turn === 'thredd' ? advice.next : [error.hint, advice?.next].filter(isText).join('; ')) ?? '',
    ...(open === undefined ? {} : { turn: 'yours' as const }),
  }
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

function ofError({ code, message, at, expected, found, hint }: ErrorRecord): Finding {
  const facts = [expected && `expected ${expected}`, found && `got ${found}`].filter(isText).join(', ')
  return {
    standing: 'inconclusive',
    about: code,
    at,
    title: facts === '' ? message : `${message}: ${facts}`,
    means: code in CODES ? CODES[code as ErrorCode].means : 'no verdict was possible',
    next: hint ?? '',
    turn: AGAIN.has(code) ? 'again' : 'yours',
    clauses: [],
    notJudged: 0,
    checks: [],
  }
}

/** After these the same command may end otherwise. */
const AGAIN: ReadonlySet<string> = new Set<ErrorCode>([
  'TIMEOUT',
  'PEER_CLOSED',
  'INTERRUPTED',
  'THROTTLED',
  'SERVER_ERROR',
])

/** Whether a call that changes a client got no answer, or one of a server that failed, and may have reached the server. */
function mayHaveChangedClient({ exchanges, effect }: StepRecord): boolean {
  const last = exchanges.at(-1)
  return last !== undefined && (last.response?.status ?? 500) >= 500 && last.sent !== 'no' && isChange(effect?.sent)
}

function saidIn({ exchanges }: StepRecord): ServerWords | undefined {
  const response = exchanges.at(-1)?.response
  return response && wordsOf(response)
}

function callOf({ operation }: StepRecord): string {
  return operation === undefined ? 'the call' : `${operation.method} ${operation.path}`
}

/** In the words of the answer where the check has them, else as the flow has it. */
export function sentenceOf({ member, title, expected, actual, id }: CheckRecord): string {
  const got = id.startsWith('schema') && actual === 'absent' ? 'no such member' : actual
  return `${member ?? title}: expected ${expected}, got ${got}`
}

function clausesOf(checks: readonly CheckRecord[], advice: Advice | undefined): readonly string[] {
  return [...new Set([...checks.flatMap(({ clauses }) => clauses), ...(advice?.clauses ?? [])])]
}

type Plain = Omit<Advice, 'clauses'>

/** A refusal that no row of the table knows. */
const UNKNOWN: Plain = {
  means: 'no page describes this answer; the words of the server say what it refuses',
  next: 'compare the request in report.html with them; where they do not explain it, send Thredd the time and the trace id of the answer',
  turn: 'yours',
}

const TELL_THREDD =
  'ask Thredd whether the server or its documentation is right, with request and answer from report.html'

/** What a failed check or a warning means to somebody who has to decide, by the check's id. */
const ADVICE: readonly (readonly [id: RegExp, advice: Plain])[] = [
  [
    /^status$/,
    {
      means: 'the server answered with a status that its documentation does not know',
      next: TELL_THREDD,
      turn: 'yours',
    },
  ],
  [
    /^content-type$/,
    {
      means: 'clients that go by the documented content type cannot read the answer',
      next: TELL_THREDD,
      turn: 'yours',
    },
  ],
  [
    /^schema/,
    {
      means: 'the answer is not the documented one; a client built on the documentation may break',
      next: TELL_THREDD,
      turn: 'yours',
    },
  ],
  [
    /^scopes$/,
    {
      means: 'calls that need a missing scope will be refused, and a scope nobody asked for is a privilege too many',
      next: 'ask Thredd why the registration has other scopes than were asked for',
      turn: 'yours',
    },
  ],
  [
    /^asked /,
    {
      means: 'the server registered another value than was asked for',
      next: 'ask Thredd why, or ask for the value that the server gives',
      turn: 'yours',
    },
  ],
  [
    /^lifetime$/,
    {
      means: 'a token that is stolen can be used for as long as it lives',
      next: 'ask Thredd to shorten the life of access tokens',
      turn: 'yours',
    },
  ],
  [
    /^refused$/,
    {
      means: 'the server accepted what it has to refuse',
      next: 'report it to Thredd, with request and answer from report.html',
      turn: 'yours',
    },
  ],
]

const NOT_SAID: Plain = {
  means: 'the answer does not say what was registered, though it has to name every registered member',
  next: TELL_THREDD,
  turn: 'yours',
}

const OF_FLOW: Plain = {
  means: 'a condition of the flow does not hold',
  next: 'compare the answer in report.html with the line of the flow',
  turn: 'yours',
}

/** An input of this kind holds what the environment expects a server to say. */
const EXPECTATION = /\$inputs\.(expected_\w+)/

function adviceOn({ id, level, status, actual, title, member }: CheckRecord): Plain {
  const setting = EXPECTATION.exec(title)?.[1]?.toUpperCase()
  if (setting !== undefined)
    return {
      means: `${member ?? 'the answer'} is another than ${setting} says, so that either the setting or the server is wrong`,
      next: `find out from Thredd which is right; if the server is, set ${setting} in the environment file to what it says`,
      turn: 'yours',
    }
  if (id.startsWith('asked ') && actual === 'no such member') return NOT_SAID
  const known = ADVICE.find(([pattern]) => pattern.test(id))?.[1]
  if (known !== undefined) return known
  if (status !== 'warn') return OF_FLOW
  return { ...OF_FLOW, means: level === 'policy' ? 'a tolerance of this profile' : 'recommended, and not met' }
}

export const TURNS: Readonly<Record<Turn, string>> = { yours: 'your turn', thredd: 'Thredd’s turn', again: 'run again' }

/** One line of a finding; those after the first have a label. */
export interface FindingLine {
  readonly label?: string
  readonly text: string
}

/** A finding as every report in text prints it: the server's own words first. */
export function linesOf(finding: Finding): readonly FindingLine[] {
  const { said, title, means, next, turn, clauses, notJudged } = finding
  return [
    ...(said === undefined ? [] : [{ text: inOneLine(said) }]),
    { text: title },
    { label: 'means', text: means },
    ...(next === '' ? [] : [{ label: TURNS[turn], text: next }]),
    ...clauses.map((id) => {
      const { title: name } = clauseOf(id)
      return { label: 'clause', text: name === id ? id : `${name} (${id})` }
    }),
    ...(notJudged === 0
      ? []
      : [{ label: 'not judged', text: `${count(notJudged, 'further check')}, ${whyNotJudged(finding)}` }]),
  ]
}

/** The first lines in one sentence, for titles. */
export function headlineOf(finding: Finding): string {
  return linesOf(finding)
    .filter(({ label }) => label === undefined)
    .map(({ text }) => text)
    .join('; ')
}

/** All lines as plain text. */
export function textOf(finding: Finding): string {
  return linesOf(finding)
    .map(({ label, text }) => (label === undefined ? text : `  ${label}: ${text}`))
    .join('\n')
}

/** Members of a registration that came otherwise than they were asked for, and that no check has found. */
export function differencesOf({ differences = [], checks, scopes }: StepRecord): readonly string[] {
  const found = new Set(
    checks.flatMap(({ member, status }) => (status === 'pass' || member === undefined ? [] : [member])),
  )
  return differences
    .filter(({ member }) => !found.has(member))
    .map(({ member, asked, came }) =>
      scopes !== undefined && /^scopes?$/.test(member)
        ? `${member}: ${scopesInWords(scopes)}`
        : `${member}: asked for ${shownValue(asked)}, got ${shownValue(came)}`,
    )
}

function scopesInWords({ requested, granted, missing, unrequested }: ScopeDifference): string {
  const parts = [
    `asked for ${requested.length}, got ${granted.length}`,
    ...(missing.length === 0 ? [] : [`without ${missing.join(' ')}`]),
    ...(unrequested.length === 0 ? [] : [`with ${unrequested.join(' ')}`]),
  ]
  return parts.join(', ')
}

function shownValue(value: unknown): string {
  if (value === undefined) return 'no such member'
  const text = typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
  return text.length <= 300 ? text : `a value of ${text.length} characters`
}
