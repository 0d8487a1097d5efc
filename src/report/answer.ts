/** The answer to "may we go live?", with the reasons for it and the reservations about it. */
import { CODES } from '../record/errors.ts'
import type { IdentityRecord, RecordHead } from '../record/index.ts'
import { isMandatory } from '../record/requirements.ts'
import type { ClientHistory, Host } from './calls.ts'
import { MOST_OFFSET_SECONDS } from './clock.ts'
import type { Finding, PlacedFinding } from './findings.ts'
import type { JudgedRequirement } from './proofs.ts'
import { count } from './words.ts'

export interface Answer {
  readonly tone: 'good' | 'caution' | 'bad' | 'unknown'
  readonly headline: string
  readonly because: readonly string[]
}

/** What the answer is derived from. */
export interface Grounds {
  /** all flows ran to their end; false for a run whose record does not say */
  readonly complete: boolean
  /** worst first; at most a few hundred of each standing */
  readonly findings: readonly PlacedFinding[]
  readonly findingCounts: Readonly<Record<Finding['standing'], number>>
  readonly requirements: readonly JudgedRequirement[]
  /** what makes the evidence weaker than it looks */
  readonly weaknesses: readonly { readonly flag: string; readonly means: string }[]
  readonly clients: readonly ClientHistory[]
}

export function answerOf(head: RecordHead, grounds: Grounds): Answer {
  const { findings, findingCounts, complete } = grounds
  const reservations = reservationsOf(head, grounds)
  if (head.verdict === 'non-conformant') {
    const failed = `${count(findingCounts.fail, 'failure')}${firstOf(findings, 'fail')}`
    return { tone: 'bad', headline: 'No', because: [failed, ...reservations] }
  }
  if (head.exitCode === CODES.WAITING_FOR_THREDD.exit)
    return { tone: 'caution', headline: 'Not yet: waiting for Thredd', because: [WAITING, ...reservations] }
  if (head.verdict === 'inconclusive') {
    const without = `${count(findingCounts.inconclusive, 'call')} ended without a verdict${firstOf(findings, 'inconclusive')}`
    return { tone: 'unknown', headline: 'Not known', because: [without, ...reservations] }
  }
  if (head.environment.class === 'mock')
    return {
      tone: 'unknown',
      headline: 'Not answered here: ready for UAT',
      because: ['everything passed on the offline twin, which says nothing about Thredd’s servers', ...reservations],
    }
  if (!complete) return { tone: 'caution', headline: 'Not yet: what ran has passed', because: reservations }
  const accepted = grounds.requirements.filter(({ standing }) => standing === 'accepted')
  if (accepted.length > 0 && reservations.length === 1)
    return {
      tone: 'caution',
      headline: `Yes, with ${count(accepted.length, 'accepted deviation')}`,
      because: accepted.map(({ requirement, because }) => `${requirement.id}: ${because}`),
    }
  if (reservations.length > 0)
    return { tone: 'caution', headline: 'Nothing found against it, with reservations', because: reservations }
  return { tone: 'good', headline: 'Yes', because: ['every check passed, and every mandatory requirement was tested'] }
}

const WAITING = 'all that this run can do is done; Thredd has not set the metadata of the client yet'

function firstOf(findings: readonly PlacedFinding[], standing: Finding['standing']): string {
  const first = findings.find((finding) => finding.standing === standing)
  return first === undefined ? '' : `, the first in ${first.workflowId}${first.step ? ` / ${first.step.stepId}` : ''}`
}

function reservationsOf(
  head: RecordHead,
  { clients, complete, findingCounts, requirements, weaknesses }: Grounds,
): string[] {
  const accepted = requirements.filter(({ standing }) => standing === 'accepted').length
  const unanswered = clients.filter(({ outcome }) => outcome === 'unknown').length
  const partial = head.leftOut === undefined ? 'the record does not say whether all flows ran' : 'not all flows ran'
  const untested = requirements.filter(
    ({ requirement, standing }) => isMandatory(requirement) && (standing === 'gap' || standing === 'not tested'),
  ).length
  // In class mock the offline twin is expected, and no weakness.
  const weaker = weaknesses.filter(({ flag }) => head.environment.class !== 'mock' || !flag.startsWith('offline twin'))
  const certificates = [...head.identities, ...(head.signingKeys ?? []).flatMap(({ certificate }) => certificate ?? [])]
  return [
    ...(unanswered > 0 ? [`${count(unanswered, 'call')} may have registered a client, and nobody knows`] : []),
    ...(complete ? [] : [`PARTIAL: ${partial}`]),
    ...(accepted > 0 ? [count(accepted, 'accepted deviation')] : []),
    ...(findingCounts.warn > 0 ? [count(findingCounts.warn, 'warning')] : []),
    ...(untested > 0 ? [`${count(untested, 'mandatory requirement')} not tested by this run`] : []),
    ...((head.redaction.cardNumbers ?? 0) > 0 ? ['numbers with the shape of a card number were found'] : []),
    ...(weaker.length > 0 ? [`weakened evidence: ${weaker.map(({ flag }) => flag).join(', ')}`] : []),
    ...certificates
      .filter(isExpiring)
      .map(({ name, daysLeft }) =>
        daysLeft < 0
          ? `certificate "${name}" has expired`
          : `certificate "${name}" expires in ${count(daysLeft, 'day')}`,
      ),
  ]
}

/** Fewer days left than this are a reservation: getting a new certificate from Thredd takes weeks, not hours. */
const FEW_DAYS = 30

export function isExpiring({ daysLeft }: IdentityRecord): boolean {
  return daysLeft < FEW_DAYS
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

/** Until when the result may be quoted: three months after the run, or until the first certificate expires. */
export function validUntil({ identities }: RecordHead, endedAt: string): string {
  const threeMonths = new Date(endedAt)
  threeMonths.setUTCMonth(threeMonths.getUTCMonth() + 3)
  const times = [threeMonths.getTime(), ...identities.map(({ notAfter }) => Date.parse(notAfter))]
  return new Date(Math.min(...times.filter((time) => !Number.isNaN(time)))).toISOString()
}
