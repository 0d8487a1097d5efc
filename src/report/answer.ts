/** The answer to "may we go live?", with the few reasons that decide it. */
import { CODES } from '../record/errors.ts'
import type { RecordHead } from '../record/index.ts'
import { isMandatory, type Requirement } from '../record/requirements.ts'
import { notProven } from './accepted.ts'
import type { ClientHistory, Host } from './calls.ts'
import { type Cause, causesOf } from './causes.ts'
import { MOST_OFFSET_SECONDS } from './clock.ts'
import { type End, FEW_DAYS } from './ends.ts'
import type { Finding, PlacedFinding } from './findings.ts'
import { type Column, columnOf } from './gate.ts'
import type { JudgedRequirement, RequirementStanding } from './proofs.ts'
import { inOneLine } from './server-words.ts'
import type { Turn } from './situations.ts'
import { count, stepInWords } from './words.ts'

export interface Answer {
  readonly tone: 'good' | 'caution' | 'bad' | 'unknown'
  readonly headline: 'Not from this run' | 'No' | 'Not known' | 'Not yet' | 'Yes' | `Yes, with ${string}`
  /** what decides it, in a sentence or two */
  readonly lede: string
  readonly reasons: readonly Reason[]
}

export interface Reason {
  readonly column: Column
  readonly text: string
  readonly detail?: string | undefined
  readonly turn?: Turn | undefined
  /** where it stands in the report: the number of a cause from 1, the rows of its column, or a section */
  readonly leads: { readonly cause: number } | 'rows' | 'certificates' | 'clients' | 'made'
}

/** What the answer is derived from. */
export interface Grounds {
  /** all flows ran to their end; false for a run whose record does not say */
  readonly complete: boolean
  /** what is said of joined runs: none of them has tested it, not "this run" */
  readonly over?: 'runs'
  /** of joined runs: the mandatory requirements that earlier ones tested, and that newer ones of the same flow do not */
  readonly noLongerTested?: number
  /** worst first; at most a few hundred of each standing */
  readonly findings: readonly PlacedFinding[]
  readonly findingCounts: Readonly<Record<Finding['standing'], number>>
  readonly requirements: readonly JudgedRequirement[]
  /** what makes the evidence weaker than it looks */
  readonly weaknesses: readonly { readonly flag: string; readonly means: string }[]
  readonly clients: readonly ClientHistory[]
  /** what runs out, the first to do so first */
  readonly ends: readonly End[]
}

/** What of the head of a run its answer depends on. */
type AnsweredHead = Pick<
  RecordHead,
  'environment' | 'counterparty' | 'verdict' | 'exitCode' | 'leftOut' | 'redaction' | 'rows'
>

export function answerOf(head: AnsweredHead, grounds: Grounds): Answer {
  const found = foundBy(grounds)
  const reasons = reasonsOf(head, grounds, found)
  // The first row that fits.
  if (isOfTwin(head))
    return { tone: 'unknown', headline: 'Not from this run', lede: ledeOfTwin(head, grounds), reasons }
  if (head.verdict === 'non-conformant') {
    const causes = `for ${count(found.failed.length, 'cause')}`
    const lede = `Something was refused or changed that must not be: ${count(grounds.findingCounts.fail, 'failure')}, ${causes}.`
    return { tone: 'bad', headline: 'No', lede, reasons }
  }
  // Nothing else is without a verdict then.
  if (head.exitCode === CODES.WAITING_FOR_THREDD.exit)
    return { tone: 'caution', headline: 'Not yet', lede: WAITING, reasons }
  if (head.verdict === 'inconclusive' || found.unknown.length + found.unanswered > 0)
    return { tone: 'unknown', headline: 'Not known', lede: ledeOfUnknown(head, found), reasons }
  const open = [
    ...(found.untested.length > 0 ? [`${count(found.untested.length, 'mandatory requirement')} not tested`] : []),
    ...(found.awaited.length > 0 ? [`${count(found.awaited.length, 'confirmation')} awaited`] : []),
    ...(grounds.complete ? [] : ['not all flows ran']),
    ...(grounds.weaknesses.length > 0 ? ['the evidence is weakened'] : []),
    ...(cardNumbersIn(head) > 0 ? ['numbers with the shape of a card number were found'] : []),
    ...(isOver(grounds.ends) ? ['a certificate has expired'] : []),
  ]
  if (open.length > 0) {
    // Of joined runs, and of one with accepted failures, some have failed.
    const passed = grounds.over === 'runs' || found.accepted.length > 0 ? 'No failure counts.' : 'What ran has passed.'
    return { tone: 'caution', headline: 'Not yet', lede: `${passed} Open: ${open.join(', ')}.`, reasons }
  }
  return { tone: 'good', ...yes(grounds), reasons }
}

function yes({ ends: [first], requirements }: Grounds): Pick<Answer, 'headline' | 'lede'> {
  const number = (...standings: readonly RequirementStanding[]) =>
    requirements.filter(({ standing }) => standings.includes(standing)).length
  const accepted = number('accepted')
  const how = [
    'proven',
    ...(number('confirmed', 'reviewed') > 0 ? ['confirmed by Thredd or a person'] : []),
    ...(accepted > 0 ? ['accepted'] : []),
  ]
  const until = first === undefined ? '' : ` The first to end is ${first.what}, on ${first.at.slice(0, 10)}.`
  return {
    headline: accepted === 0 ? 'Yes' : `Yes, with ${count(accepted, 'accepted deviation')}`,
    lede: `Every mandatory requirement is ${how.join(' or ')}.${until}`,
  }
}

const WAITING = 'All that this run can do is done; Thredd has not set the metadata of the client yet.'

/** The named servers did not answer. */
export function isOfTwin({ environment, counterparty }: Pick<RecordHead, 'environment' | 'counterparty'>): boolean {
  return environment.class === 'mock' || counterparty !== 'network'
}

function ledeOfTwin({ verdict, exitCode, rows }: AnsweredHead, { findingCounts, complete }: Grounds): string {
  const ran = 'This ran on the offline twin: it says nothing about Thredd.'
  if (verdict === 'non-conformant') return `${ran} ${count(findingCounts.fail, 'failure')} even there.`
  if (exitCode === CODES.WAITING_FOR_THREDD.exit) return `${ran} It ends where Thredd has to set the metadata.`
  if (verdict === 'inconclusive') {
    const open = findingCounts.inconclusive === 0 ? notRun(rows) : ''
    return `${ran} ${open === '' ? `${count(findingCounts.inconclusive, 'call')} had no verdict there` : open}.`
  }
  return `${ran} ${complete ? 'Everything' : 'What ran'} passed there; run it on UAT.`
}

/** The rows that a run says nothing of; empty where there are none. */
function notRun(rows: RecordHead['rows']): string {
  const [notStarted, left] = [rows?.notStarted.length ?? 0, notProven(rows).length]
  return [
    ...(notStarted === 0 ? [] : [`${count(notStarted, 'row')} ${notStarted === 1 ? 'was' : 'were'} not started`]),
    ...(left === 0 ? [] : [`${count(left, 'row')} left out ${left === 1 ? 'is' : 'are'} not proven`]),
  ].join(', ')
}

function ledeOfUnknown({ rows }: AnsweredHead, { unknown, unanswered, without }: Found): string {
  const open = unanswered === 0 ? notRun(rows) : ''
  const requirements =
    unknown.length > 0
      ? `${count(unknown.length, 'mandatory requirement')} got no verdict.`
      : without.length > 0
        ? `${count(without.length, 'cause')} left calls without a verdict.`
        : open === ''
          ? `${count(unanswered, 'call')} got no answer.`
          : `${open}.`
  return `Nothing failed, but ${requirements}${unanswered > 0 ? ' The client may have been changed.' : ''}`
}

type Found = ReturnType<typeof foundBy>

function foundBy({ findings, requirements, clients }: Grounds) {
  const causes = causesOf(findings).map((cause, index) => ({ ...cause, number: index + 1 }))
  const mandatory = requirements.filter(({ requirement }) => isMandatory(requirement))
  const inColumn = (column: Column) => mandatory.filter((one) => columnOf(one) === column)
  return {
    failed: causes.filter(
      ({ standing, requirements: decides }) => standing === 'fail' && !areAccepted(decides, requirements),
    ),
    accepted: requirements.filter(({ standing }) => standing === 'accepted'),
    without: causes.filter(({ standing }) => standing === 'inconclusive'),
    unknown: inColumn('no verdict'),
    untested: inColumn('not tested'),
    awaited: mandatory.filter(({ standing }) => standing === 'review'),
    said: mandatory.filter(({ standing }) => standing === 'confirmed' || standing === 'reviewed'),
    unanswered: clients.filter(({ outcome }) => outcome === 'unknown').length,
  }
}

/** Whether all that a finding decides is accepted. */
export function areAccepted(decided: readonly Requirement[], all: readonly JudgedRequirement[]): boolean {
  const accepted = new Set(all.filter(({ standing }) => standing === 'accepted').map(({ requirement }) => requirement))
  return decided.length > 0 && decided.every((one) => accepted.has(one))
}

/** So many causes are named; the others are counted. */
const MOST_CAUSES = 4

function reasonsOf(head: AnsweredHead, grounds: Grounds, found: Found): readonly Reason[] {
  const causes = [...found.failed, ...found.without]
  const more = causes.slice(MOST_CAUSES)
  return [
    ...causes.slice(0, MOST_CAUSES).map(reasonOfCause),
    ...(more.length === 0
      ? []
      : [
          {
            column: columnOfCause(more[0] as Cause),
            text: `${count(more.length, 'more cause')}`,
            leads: { cause: MOST_CAUSES + 1 },
          } as const,
        ]),
    ...(found.unanswered === 0 ? [] : [unanswered(found.unanswered)]),
    ...openRows(found, grounds),
    ...doubts(head, grounds),
    ...ending(grounds.ends),
  ]
}

function columnOfCause({ standing }: Cause): Column {
  return standing === 'fail' ? 'failed' : 'no verdict'
}

function reasonOfCause(cause: Cause & { readonly number: number }): Reason {
  const { title, said, count: times, steps, requirements, turn, number } = cause
  const decides = requirements.filter(isMandatory).length
  const places = steps.length > 1 ? `in ${count(steps.length, 'step')}` : steps.map(stepInWords)[0]
  const detail = [
    said && inOneLine({ ...said, trace: undefined }),
    places ?? (times > 1 ? `${times} times` : cause.workflowId),
    decides > 0 && `decides ${count(decides, 'mandatory requirement')}`,
  ]
  return {
    column: columnOfCause(cause),
    text: title,
    detail: detail.filter(Boolean).join(' · '),
    turn,
    leads: { cause: number },
  }
}

function unanswered(calls: number): Reason {
  return {
    column: 'no verdict',
    text: `${count(calls, 'call')} may have registered or changed a client, and nobody knows`,
    turn: 'yours',
    leads: 'clients',
  }
}

function openRows(
  { unknown, untested, accepted, awaited, said }: Found,
  { over, noLongerTested = 0 }: Grounds,
): readonly Reason[] {
  const gone = noLongerTested === 0 ? undefined : `${noLongerTested} of them no longer tested`
  const rows = [
    [unknown, 'no verdict', 'without a verdict', undefined, 'again'],
    [untested, 'not tested', over === 'runs' ? 'not tested by these runs' : 'never tested by this run', gone, 'yours'],
    [accepted, 'accepted', 'accepted as they are', acceptedBy(accepted), undefined],
    [awaited, 'by Thredd', 'that only Thredd or a person can confirm', undefined, undefined],
    [said, 'by Thredd', 'confirmed by Thredd or reviewed by a person', undefined, undefined],
  ] as const
  return rows.flatMap(([found, column, what, detail, turn]) =>
    found.length === 0
      ? []
      : [
          {
            column,
            text: `${count(found.length, column === 'accepted' ? 'requirement' : 'mandatory requirement')} ${what}`,
            detail,
            turn,
            leads: 'rows' as const,
          },
        ],
  )
}

/** The first to end. */
function acceptedBy(rows: readonly JudgedRequirement[]): string | undefined {
  const [first] = rows.flatMap(({ acceptance }) => acceptance ?? []).toSorted((a, b) => (a.until < b.until ? -1 : 1))
  return first && `the first until ${first.until}, by ${first.owner}`
}

function doubts(head: AnsweredHead, { weaknesses, complete }: Grounds): readonly Reason[] {
  // In class mock the offline twin is expected, and no weakness.
  const weaker = weaknesses.filter(({ flag }) => head.environment.class !== 'mock' || !flag.startsWith('offline twin'))
  const partial = head.leftOut === undefined ? 'the record does not say whether all flows ran' : 'not all flows ran'
  const found = [
    ...(complete ? [] : [{ text: `PARTIAL: ${partial}` }]),
    ...(cardNumbersIn(head) > 0 ? [{ text: 'numbers with the shape of a card number were found' }] : []),
    ...(weaker.length > 0
      ? [
          {
            text: `weakened evidence: ${weaker.map(({ flag }) => flag).join(', ')}`,
            detail: [...new Set(weaker.map(({ means }) => means))].join('; '),
          },
        ]
      : []),
  ]
  return found.map((one) => ({ column: 'not tested', ...one, turn: 'yours', leads: 'made' }))
}

function ending(ends: readonly End[]): readonly Reason[] {
  return ends
    .filter(({ days }) => days < FEW_DAYS)
    .map(({ what, days }) => ({
      column: 'not tested',
      text: days < 0 ? `${what} has expired` : `${what} ends in ${count(days, 'day')}`,
      leads: 'certificates',
    }))
}

function isOver(ends: readonly End[]): boolean {
  return ends.some(({ days }) => days < 0)
}

function cardNumbersIn({ redaction: { cardNumbers = 0 } }: AnsweredHead): number {
  return cardNumbers
}

export function weaknessesOf({ tool, security }: RecordHead, hosts: readonly Host[]): Grounds['weaknesses'] {
  const offsets = hosts.flatMap(({ host, clockOffsetSeconds: offset = 0 }) =>
    Math.abs(offset) > MOST_OFFSET_SECONDS ? [`${offset.toFixed(0)} s to that of ${host}`] : [],
  )
  return [
    ...(tool.dirty
      ? [{ flag: 'changed files', means: 'the tool was run from files that differ from its commit' }]
      : []),
    ...(security?.weaknesses ?? []),
    ...(offsets.length > 0
      ? [{ flag: 'clock', means: `the clock of this machine is off: ${offsets.join(', ')}` }]
      : []),
  ]
}
