/**
 * What a record amounts to: the answer to "may we go live?", counts, findings, requirements, hosts, clients. Said once
 * here, so that every report for people says the same. Pure; knows no format.
 */
import { areaOf, CATALOGUE, type Clause, clauseOf, REQUIREMENTS, type Requirement } from '../clauses.ts'
import { CODES, type ErrorCode } from '../errors.ts'
import {
  type CertificateFacts,
  type CheckRecord,
  type ErrorRecord,
  type Exchange,
  errorBeyondSteps,
  type IdentityRecord,
  peerOf,
  type RunRecord,
  type StepRecord,
  type WorkflowRecord,
} from '../record.ts'
import { wayOut } from './way-out.ts'
import { count } from './words.ts'

export const STANDINGS = ['fail', 'inconclusive', 'warn', 'pass', 'skip'] as const
/** worst first; `inconclusive` is a step without a verdict, `skip` one that was not run */
export type Standing = (typeof STANDINGS)[number]

/** A step, and where it stands in the record: workflow and step count from 0. */
export interface Placed {
  readonly workflow: WorkflowRecord
  readonly step: StepRecord
  readonly place: readonly [workflow: number, step: number]
  readonly standing: Standing
}

export interface Finding {
  readonly standing: 'fail' | 'inconclusive' | 'warn'
  readonly workflowId: string
  /** absent where the workflow as a whole is meant */
  readonly at?: Placed | undefined
  readonly title: string
  readonly expected?: string | undefined
  readonly found?: string | undefined
  /** what it means for the client, in plain words */
  readonly impact: string
  readonly remedy?: string | undefined
  readonly level?: CheckRecord['level'] | undefined
  readonly clauses: readonly string[]
  /** those that the check decides */
  readonly requirements: readonly Requirement[]
}

export interface Proof extends Placed {
  readonly check: CheckRecord
}

export const REQUIREMENT_STANDINGS = [
  'fail',
  'inconclusive',
  'warn',
  'pass',
  'not tested',
  'gap',
  'review',
  'by design',
] as const
/** A requirement that is not decided by a check says why not. */
export type RequirementStanding = (typeof REQUIREMENT_STANDINGS)[number]

export interface JudgedRequirement {
  readonly requirement: Requirement
  readonly clause: Clause
  readonly standing: RequirementStanding
  readonly because: string
  readonly proofs: readonly Proof[]
}

export interface Host {
  readonly host: string
  readonly calls: number
  /** where TCP went; these and the following are distinct and in order of occurrence */
  readonly addresses: readonly string[]
  readonly protocols: readonly string[]
  readonly identities: readonly string[]
  /** the server's clock less ours by its Date headers, which tell whole seconds */
  readonly clockOffsetSeconds?: number | undefined
}

/** A server's certificate with its issuers, and who showed it. */
export interface ServerCertificate {
  readonly certificate: CertificateFacts
  readonly chain: readonly CertificateFacts[]
  readonly hosts: readonly string[]
}

/** A URL that was called, without its query, and where each part of it came from. */
export interface Endpoint {
  readonly method: string
  readonly url: string
  /** the setting of its base URL, with file and line; absent where a flow gave the whole URL */
  readonly configured?: { readonly source: string; readonly from: string } | undefined
  /** the member of an answer that names it, in the run's order the first */
  readonly named?: { readonly member: string; readonly at: Placed } | undefined
}

/** One OAuth client that the run registered, changed or deleted. */
export interface LedgerEntry {
  readonly client: string
  readonly uri?: string | undefined
  readonly events: readonly { readonly what: string; readonly at: Placed }[]
  readonly disposition: 'left registered' | 'deleted' | 'deleted and found dead' | 'unknown'
}

export interface Account {
  readonly answer: {
    readonly tone: 'good' | 'caution' | 'bad' | 'unknown'
    readonly headline: string
    readonly because: readonly string[]
  }
  /** false for a run whose record does not say */
  readonly complete: boolean
  readonly steps: readonly Placed[]
  readonly stepCounts: Readonly<Record<Standing, number>>
  readonly checkCounts: Readonly<Record<CheckRecord['status'], number>>
  readonly levelCounts: Readonly<Record<CheckRecord['level'], Readonly<Record<CheckRecord['status'], number>>>>
  readonly findings: readonly Finding[]
  readonly notices: readonly { readonly workflowId: string; readonly text: string }[]
  readonly requirements: readonly JudgedRequirement[]
  /** clauses that the run names and the catalogue has no requirement for */
  readonly otherClauses: readonly { readonly clause: Clause; readonly proofs: readonly Proof[] }[]
  readonly catalogueChanged: boolean
  /** counts of requirements, by what they are about */
  readonly areas: readonly { readonly area: string; readonly counts: Readonly<Record<RequirementStanding, number>> }[]
  readonly hosts: readonly Host[]
  readonly certificates: readonly ServerCertificate[]
  readonly endpoints: readonly Endpoint[]
  /** what makes the evidence weaker than it looks */
  readonly weaknesses: readonly { readonly flag: string; readonly means: string }[]
  readonly ledger: readonly LedgerEntry[]
  /** the run's end, and until when its result may be quoted: three months, or until a certificate expires */
  readonly endedAt: string
  readonly validUntil: string
}

export function account(record: RunRecord): Account {
  const steps = record.workflows.flatMap((workflow, index) =>
    workflow.steps.map(
      (step, number): Placed => ({ workflow, step, place: [index, number], standing: standingOf(step) }),
    ),
  )
  const checks = steps.flatMap(({ step }) => step.checks)
  const findings = findingsOf(record, steps)
  const requirements = REQUIREMENTS.map((requirement) => judged(requirement, steps))
  const hosts = hostsOf(steps)
  const weaknesses = weaknessesOf(record, hosts)
  const ledger = ledgerOf(steps)
  const complete = record.leftOut?.length === 0 && record.workflows.every((workflow) => !wasInterrupted(workflow))
  const endedAt = new Date(Date.parse(record.startedAt) + record.durationMs).toISOString()
  return {
    answer: answerOf(record, { complete, findings, requirements, weaknesses, ledger }),
    complete,
    steps,
    stepCounts: counts(
      STANDINGS,
      steps.map(({ standing }) => standing),
    ),
    checkCounts: statusCounts(checks),
    levelCounts: {
      must: statusCounts(checks.filter(({ level }) => level === 'must')),
      should: statusCounts(checks.filter(({ level }) => level === 'should')),
      policy: statusCounts(checks.filter(({ level }) => level === 'policy')),
    },
    findings,
    notices: record.workflows.flatMap(({ workflowId, notice, steps }) =>
      notice === undefined || steps.every(({ exchanges }) => exchanges.length === 0)
        ? []
        : [{ workflowId, text: notice }],
    ),
    requirements,
    otherClauses: otherClausesOf(record, steps),
    catalogueChanged: record.catalogue !== undefined && record.catalogue.sha256 !== CATALOGUE.sha256,
    areas: areasOf(requirements),
    hosts,
    certificates: certificatesOf(steps),
    endpoints: endpointsOf(record, steps),
    weaknesses,
    ledger,
    endedAt,
    validUntil: validUntil(record, endedAt),
  }
}

export function standingOf(step: StepRecord): Standing {
  if (step.status !== 'passed')
    return ({ failed: 'fail', errored: 'inconclusive', skipped: 'skip' } as const)[step.status]
  return step.checks.some(({ status }) => status === 'warn') ? 'warn' : 'pass'
}

/** Below this a certificate is a reservation: to get a new one from Thredd takes weeks, not hours. */
export const FEW_DAYS = 30

export function isExpiring({ daysLeft }: IdentityRecord): boolean {
  return daysLeft < FEW_DAYS
}

function wasInterrupted({ error, steps }: WorkflowRecord): boolean {
  return error?.code === 'INTERRUPTED' || steps.some((step) => step.error?.code === 'INTERRUPTED')
}

function answerOf(
  record: RunRecord,
  {
    complete,
    findings,
    requirements,
    weaknesses,
    ledger,
  }: Pick<Account, 'complete' | 'findings' | 'requirements' | 'weaknesses' | 'ledger'>,
): Account['answer'] {
  const number = (standing: Finding['standing']) => findings.filter((finding) => finding.standing === standing).length
  const untested = requirements.filter(
    ({ requirement, standing }) => requirement.level === 'must' && (standing === 'gap' || standing === 'not tested'),
  ).length
  const partial = record.leftOut === undefined ? 'the record does not say whether all flows ran' : 'not all flows ran'
  const first = (standing: Finding['standing']) => {
    const found = findings.find((finding) => finding.standing === standing)
    return found === undefined
      ? ''
      : `, the first in ${found.workflowId}${found.at ? ` / ${found.at.step.stepId}` : ''}`
  }
  // Of an environment of class mock nobody expects anything else.
  const weaker = weaknesses.filter(
    ({ flag }) => record.environment.class !== 'mock' || !flag.startsWith('offline twin'),
  )
  const open = ledger.filter(({ disposition }) => disposition === 'unknown').length
  const reservations = [
    ...(open > 0 ? [`${count(open, 'call')} may have registered a client, and nobody knows`] : []),
    ...(complete ? [] : [`PARTIAL: ${partial}`]),
    ...(number('warn') > 0 ? [count(number('warn'), 'warning')] : []),
    ...(untested > 0 ? [`${count(untested, 'mandatory requirement')} not tested by this run`] : []),
    ...((record.redaction.cardNumbers ?? 0) > 0 ? ['numbers with the shape of a card number were found'] : []),
    ...(weaker.length > 0 ? [`weakened evidence: ${weaker.map(({ flag }) => flag).join(', ')}`] : []),
    ...[...record.identities, ...(record.signingKeys ?? []).flatMap(({ certificate }) => certificate ?? [])]
      .filter(isExpiring)
      .map(({ name, daysLeft }) =>
        daysLeft < 0
          ? `certificate "${name}" has expired`
          : `certificate "${name}" expires in ${count(daysLeft, 'day')}`,
      ),
  ]
  if (record.verdict === 'non-conformant')
    return {
      tone: 'bad',
      headline: 'No',
      because: [`${count(number('fail'), 'failed check')}${first('fail')}`, ...reservations],
    }
  if (record.verdict === 'inconclusive')
    return {
      tone: 'unknown',
      headline: 'Not known',
      because: [
        `${count(number('inconclusive'), 'call')} ended without a verdict${first('inconclusive')}`,
        ...reservations,
      ],
    }
  if (record.environment.class === 'mock')
    return {
      tone: 'unknown',
      headline: 'Not answered here: ready for UAT',
      because: ['everything passed on the offline twin, which says nothing about Thredd’s servers', ...reservations],
    }
  if (!complete) return { tone: 'caution', headline: 'Not yet: what ran has passed', because: reservations }
  if (reservations.length > 0)
    return { tone: 'caution', headline: 'Nothing found against it, with reservations', because: reservations }
  return { tone: 'good', headline: 'Yes', because: ['every check passed, and every mandatory requirement was tested'] }
}

function findingsOf(record: RunRecord, steps: readonly Placed[]): Finding[] {
  const ofSteps = steps.flatMap((at): Finding[] => {
    const { workflow, step } = at
    const fromChecks = step.checks
      .filter(({ status }) => status !== 'pass')
      .map((check): Finding => {
        const { title, expected, actual: found, level, clauses } = check
        const standing = check.status === 'fail' ? (step.status === 'errored' ? 'inconclusive' : 'fail') : 'warn'
        return {
          standing,
          workflowId: workflow.workflowId,
          at,
          title,
          expected,
          found,
          level,
          clauses,
          requirements: REQUIREMENTS.filter((requirement) => decides(requirement, step, check)),
          impact: impactOf(check),
          remedy: check.status === 'fail' || check.id === 'scopes' ? wayOut(step) : undefined,
        }
      })
    return step.error === undefined ? fromChecks : [findingOf(step.error, workflow.workflowId, at), ...fromChecks]
  })
  const ofWorkflows = record.workflows.flatMap((workflow) => {
    const error = errorBeyondSteps(workflow)
    return error === undefined ? [] : [findingOf(error, workflow.workflowId)]
  })
  const rank = ({ standing }: Finding) => STANDINGS.indexOf(standing)
  return [...ofWorkflows, ...ofSteps].toSorted((a, b) => rank(a) - rank(b))
}

function findingOf({ code, message, expected, found, hint }: ErrorRecord, workflowId: string, at?: Placed): Finding {
  const impact = code in CODES ? CODES[code as ErrorCode].means : 'no verdict was possible'
  return {
    standing: 'inconclusive',
    workflowId,
    at,
    title: message,
    expected,
    found,
    impact,
    remedy: hint ?? (isOpen(at) ? 'thredd vault list says what is open, and the way out' : undefined),
    clauses: [],
    requirements: [],
  }
}

/** Whether it is unknown what a call has done to a client. */
function isOpen(at: Placed | undefined): boolean {
  const last = at?.step.exchanges.at(-1)
  return last?.response === undefined && last?.sent !== 'no' && CHANGES.has(at?.step.operation?.operationId ?? '')
}

const CHANGES: ReadonlySet<string> = new Set(['registerClient', 'updateClient', 'deleteClient'])

/** What a check that is not green means to somebody who has to decide. By the check's id. */
const IMPACT: readonly (readonly [id: RegExp, impact: string])[] = [
  [/^status$/, 'the server answered with a status that its documentation does not know'],
  [/^content-type$/, 'clients that go by the documented content type cannot read the answer'],
  [/^schema/, 'the answer is not the documented one; a client built on the documentation may break'],
  [/^scopes$/, 'calls that need a missing scope will be refused, and a scope nobody asked for is a privilege too many'],
  [/^refused$/, 'the server accepted what it has to refuse'],
]

function impactOf({ id, level, status }: CheckRecord): string {
  const known = IMPACT.find(([pattern]) => pattern.test(id))?.[1]
  if (known !== undefined) return known
  if (status === 'warn') return level === 'policy' ? 'a tolerance of this profile' : 'recommended, and not met'
  return 'a condition of the flow does not hold'
}

function judged(requirement: Requirement, steps: readonly Placed[]): JudgedRequirement {
  const clause = clauseOf(requirement.clause)
  const operations = new Set(requirement.proof.map(({ operation }) => operation))
  const proofs = steps.flatMap((placed) =>
    placed.step.checks
      .filter((check) => decides(requirement, placed.step, check))
      .map((check) => ({ ...placed, check })),
  )
  const base = { requirement, clause, proofs }
  const worst = (['fail', 'warn', 'pass'] as const).find((status) =>
    proofs.some(({ check }) => check.status === status),
  )
  const undecided = steps.find(
    ({ step }) => step.status === 'errored' && operations.has(step.operation?.operationId ?? ''),
  )
  if (worst === 'fail' && !proofs.some(({ check, step }) => check.status === 'fail' && step.status !== 'errored'))
    return { ...base, standing: 'inconclusive', because: 'the answer was no verdict' }
  if (worst === 'fail') return { ...base, standing: 'fail', because: 'a check that decides it failed' }
  if (undecided !== undefined)
    return { ...base, standing: 'inconclusive', because: `"${undecided.step.stepId}" had no verdict` }
  if (worst !== undefined) return { ...base, standing: worst, because: count(proofs.length, 'check') }
  if (requirement.by === 'person') return { ...base, standing: 'review', because: 'a person has to look' }
  if (requirement.by === 'tool')
    return { ...base, standing: 'by design', because: 'held by the tests of this tool, not by a run' }
  const { flows = [] } = requirement
  if (flows.length > 0) return { ...base, standing: 'not tested', because: `this run lacks ${flows.join(' and ')}` }
  if (requirement.proof.length === 0) return { ...base, standing: 'gap', because: 'nobody has written a check' }
  return { ...base, standing: 'not tested', because: 'no step of this run checks it' }
}

function decides({ id, proof }: Requirement, step: StepRecord, check: CheckRecord): boolean {
  if (check.clauses.includes(id)) return true
  // What holds of a request that was spoilt on purpose says nothing about a good one.
  if (step.case !== undefined && !step.case.control) return false
  return proof.some(
    (one) => one.operation === step.operation?.operationId && (one.check === check.id || one.check === check.title),
  )
}

function otherClausesOf(record: RunRecord, steps: readonly Placed[]): Account['otherClauses'] {
  const known = new Set(REQUIREMENTS.flatMap(({ id, clause }) => [id, clause]))
  const named = record.workflows.flatMap(({ clauses, steps }) => [
    ...clauses,
    ...steps.flatMap((step) => [...(step.clauses ?? []), ...step.checks.flatMap((check) => check.clauses)]),
  ])
  return [...new Set(named)]
    .filter((id) => !known.has(id))
    .sort()
    .map((id) => ({
      clause: clauseOf(id),
      proofs: steps.flatMap((placed) =>
        placed.step.checks.filter(({ clauses }) => clauses.includes(id)).map((check) => ({ ...placed, check })),
      ),
    }))
}

function areasOf(requirements: readonly JudgedRequirement[]): Account['areas'] {
  return [...Map.groupBy(requirements, ({ requirement }) => areaOf(requirement))].map(([area, rows]) => ({
    area,
    counts: counts(
      REQUIREMENT_STANDINGS,
      rows.map(({ standing }) => standing),
    ),
  }))
}

interface Called {
  readonly at: Placed
  readonly exchange: Exchange
}

function callsOf(steps: readonly Placed[]): Called[] {
  return steps.flatMap((at) => at.step.exchanges.map((exchange) => ({ at, exchange })))
}

function hostOf({ request: { url } }: Exchange): string {
  return URL.parse(url)?.host ?? url
}

function hostsOf(steps: readonly Placed[]): Host[] {
  const byHost = Map.groupBy(callsOf(steps), ({ exchange }) => hostOf(exchange))
  return [...byHost].map(([host, calls]) => {
    const tls = calls.flatMap(({ exchange }) => exchange.tls ?? [])
    return {
      host,
      calls: calls.length,
      addresses: distinct(tls.flatMap((one) => peerOf(one) ?? [])),
      protocols: distinct(tls.map(({ protocol, cipher, alpn }) => `${protocol}, ${cipher}${alpn ? `, ${alpn}` : ''}`)),
      identities: distinct(tls.map(({ configured }) => configured?.identity ?? 'none')),
      clockOffsetSeconds: median(calls.flatMap(({ exchange }) => offsetOf(exchange) ?? [])),
    }
  })
}

function certificatesOf(steps: readonly Placed[]): ServerCertificate[] {
  const shown = callsOf(steps).flatMap(({ exchange }) => {
    const { server, chain = [] } = exchange.tls ?? {}
    return server === undefined ? [] : [{ certificate: server, chain, host: hostOf(exchange) }]
  })
  return [...Map.groupBy(shown, ({ certificate }) => certificate.sha256).values()].flatMap((alike) =>
    alike.slice(0, 1).map(({ certificate, chain }) => ({
      certificate,
      chain,
      hosts: distinct(alike.map(({ host }) => host)),
    })),
  )
}

/** Base URLs come from the environment; what answers name is compared with them, and followed only where a flow says so. */
function endpointsOf({ environment }: RunRecord, steps: readonly Placed[]): Endpoint[] {
  const named = new Map<string, NonNullable<Endpoint['named']>>()
  const endpoints = new Map<string, Endpoint>()
  for (const { at, exchange } of callsOf(steps)) {
    const { method, url: whole } = exchange.request
    const url = whole.replace(/[?#].*/s, '')
    const key = `${method} ${url}`
    const source = at.step.operation?.source
    const server = environment.servers?.find((one) => one.source === source && url.startsWith(one.url))
    const configured = server && { source: server.source, from: server.from }
    if (!endpoints.has(key)) endpoints.set(key, { method, url, configured, named: named.get(url) })
    for (const [member, value] of Object.entries(membersOf(exchange.response?.body.text)))
      if (!named.has(value)) named.set(value, { member, at })
  }
  // A document read later may name what was called before it.
  return [...endpoints.values()].map((one) => ({ ...one, named: one.named ?? named.get(one.url) }))
}

/** The texts of an answer by the names of their members, those of nested objects too. */
function membersOf(text: string | undefined): Record<string, string> {
  const members: Record<string, string> = {}
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'string' && value.startsWith('https://')) members[path] ??= value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    for (const [name, member] of Object.entries(value)) visit(member, path === '' ? name : `${path}.${name}`)
  }
  visit(jsonObject(text), '')
  return members
}

/** Beyond this a server may take a fresh assertion for one of the future, or an old one. */
const MOST_OFFSET_SECONDS = 5

function weaknessesOf({ tool, security }: RunRecord, hosts: readonly Host[]): Account['weaknesses'] {
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

/** The Date header is cut to whole seconds, so half a second is what it leaves out on average. */
function offsetOf({ response, timing }: Exchange): number | undefined {
  const header = response?.headers.find(([name]) => name.toLowerCase() === 'date')?.[1]
  const date = Date.parse(header ?? '')
  if (Number.isNaN(date)) return undefined
  const answered = Date.parse(timing.startedAt) + (timing.connectMs ?? 0) + (timing.firstByteMs ?? timing.totalMs)
  return (date + 500 - answered) / 1000
}

function median(numbers: readonly number[]): number | undefined {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

interface Entry {
  client: string
  uri: string | undefined
  events: { what: string; at: Placed }[]
  disposition: LedgerEntry['disposition']
}

function ledgerOf(steps: readonly Placed[]): readonly LedgerEntry[] {
  const entries: Entry[] = []
  for (const at of steps) {
    for (const exchange of at.step.exchanges) enter(entries, at, exchange)
  }
  return entries
}

function enter(entries: Entry[], at: Placed, { request: { method, url }, response, sent }: Exchange): void {
  const isRegistration = at.step.operation?.operationId === 'registerClient'
  if (response === undefined) {
    if (isRegistration && sent !== 'no')
      entries.push({
        client: 'not known',
        uri: undefined,
        events: [{ what: 'asked for, no answer', at }],
        disposition: 'unknown',
      })
    return
  }
  const succeeded = response.status >= 200 && response.status < 300
  const answered = jsonObject(response.body.text)
  const uri = textOf(answered.registration_client_uri)
  if (method === 'POST' && succeeded && (isRegistration || uri !== undefined)) {
    const client = textOf(answered.client_id) ?? 'not known'
    entries.push({ client, uri, events: [{ what: 'registered', at }], disposition: 'left registered' })
    return
  }
  let entry = entries.findLast((one) => one.uri === url)
  if (succeeded && (method === 'PUT' || method === 'DELETE')) {
    if (entry === undefined) {
      const client = textOf(answered.client_id) ?? 'registered before this run'
      entry = { client, uri: url, events: [], disposition: 'left registered' }
      entries.push(entry)
    }
    entry.events.push({ what: method === 'PUT' ? 'updated' : 'deleted', at })
    if (method === 'DELETE') entry.disposition = 'deleted'
  } else if (entry?.disposition === 'deleted' && (response.status === 401 || response.status === 404)) {
    entry.events.push({ what: `found dead (${response.status})`, at })
    entry.disposition = 'deleted and found dead'
  }
}

function validUntil({ identities }: RunRecord, endedAt: string): string {
  const threeMonths = new Date(endedAt)
  threeMonths.setUTCMonth(threeMonths.getUTCMonth() + 3)
  const times = [threeMonths.getTime(), ...identities.map(({ notAfter }) => Date.parse(notAfter))]
  return new Date(Math.min(...times.filter((time) => !Number.isNaN(time)))).toISOString()
}

function statusCounts(checks: readonly CheckRecord[]): Record<CheckRecord['status'], number> {
  return counts(
    ['pass', 'warn', 'fail'],
    checks.map(({ status }) => status),
  )
}

function counts<T extends string>(names: readonly T[], values: readonly T[]): Record<T, number> {
  return Object.fromEntries(names.map((name) => [name, values.filter((value) => value === name).length])) as Record<
    T,
    number
  >
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function jsonObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
