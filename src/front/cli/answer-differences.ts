/** How the answers of two runs of the same flows differ in form: what was asked of a server, and of the twin. Pure. */
import type { Exchange, StepRecord, WorkflowRecord } from '../../record/index.ts'

export interface Difference {
  /** workflow and step, and the case where the step has several */
  readonly step: string
  readonly what: 'status' | 'content' | 'member' | 'type' | 'order' | 'header' | 'value' | 'scopes'
  /** the member as a JSON Pointer (`*` for each entry of a list), or the header; empty for the answer as a whole */
  readonly of: string
  readonly recorded: string
  readonly twin: string
}

type Response = NonNullable<Exchange['response']>

/** Headers of the connection, of the transfer, and of machines in between: no statement of the server's application. */
const NOT_COMPARED =
  /^(?:age|connection|content-length|date|keep-alive|server|set-cookie|strict-transport-security|transfer-encoding|upgrade|vary|via)$|^(?:cf|x-amz|x-envoy)-/
/** Headers whose value is compared too. */
const COMPARED_VALUES = ['content-type', 'cache-control', 'www-authenticate']
/** Members whose value says how the server behaves; others hold ids, times, secrets or what was asked for. */
const COMPARED_MEMBERS = /^(?:active|error|expires_in|registration_access_token_expires_in|token_type)$/
/** What stands in a record in place of a secret. */
export const REDACTED = /\[[\w .-]+#[0-9a-f]{8}\]/

export interface Compared {
  /** the steps that both runs reached; a step that only one of them reached says nothing */
  readonly steps: ReadonlySet<string>
  readonly differences: readonly Difference[]
}

export function compareAnswers(recorded: readonly WorkflowRecord[], twin: readonly WorkflowRecord[]): Compared {
  const others = stepsOf(twin)
  const both = [...stepsOf(recorded)].flatMap(([name, step]) => {
    const other = others.get(name)
    return other === undefined ? [] : [{ name, step, other }]
  })
  return {
    steps: new Set(both.map(({ name }) => name)),
    differences: both.flatMap(({ name, step, other }) => differencesOfStep(name, step, other)),
  }
}

/** By workflow, step and case. A step that was run again counts with its last run. */
function stepsOf(workflows: readonly WorkflowRecord[]): ReadonlyMap<string, StepRecord> {
  return new Map(
    workflows.flatMap(({ workflowId, steps }) =>
      steps
        .filter(({ exchanges }) => exchanges.length > 0)
        .map((step) => [`${workflowId} / ${step.stepId}`, step] as const),
    ),
  )
}

function differencesOfStep(step: string, recorded: StepRecord, twin: StepRecord): readonly Difference[] {
  const [one, other] = [recorded.exchanges.at(-1)?.response, twin.exchanges.at(-1)?.response]
  const statuses = [one, other].map((response) => (response === undefined ? 'no answer' : String(response.status)))
  const [was = '', is = ''] = statuses
  const ofStatus: Difference[] = was === is ? [] : [{ step, what: 'status', of: '', recorded: was, twin: is }]
  // What follows from a status of another class (RFC 9110 section 15) is no difference of its own.
  if (one === undefined || other === undefined || was.at(0) !== is.at(0)) return ofStatus
  return [...ofStatus, ...ofHeaders(step, one, other), ...ofBodies(step, one, other), ...ofScopes(step, recorded, twin)]
}

function ofHeaders(step: string, recorded: Response, twin: Response): readonly Difference[] {
  const [was, is] = [headersOf(recorded), headersOf(twin)]
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((of): Difference[] => {
    const [one, other] = [was.get(of), is.get(of)]
    if (one !== undefined && other !== undefined && (one === other || !COMPARED_VALUES.includes(of))) return []
    // Ids and times differ each time, so other values are not shown.
    const shown = (value: string | undefined) =>
      value === undefined ? 'absent' : COMPARED_VALUES.includes(of) ? value : 'present'
    return [{ step, what: 'header', of, recorded: shown(one), twin: shown(other) }]
  })
}

function headersOf({ headers }: Response): ReadonlyMap<string, string> {
  const compared = headers.map(
    ([name, value]) => [name.toLowerCase(), value.toLowerCase().replace(/\s+/g, ' ')] as const,
  )
  return new Map(compared.filter(([name]) => !NOT_COMPARED.test(name)))
}

function ofBodies(step: string, recorded: Response, twin: Response): readonly Difference[] {
  if (recorded.body.truncated === true || twin.body.truncated === true) return []
  const [was, is] = [contentOf(recorded), contentOf(twin)]
  if (was.kind !== is.kind) return [{ step, what: 'content', of: '', recorded: was.kind, twin: is.kind }]
  const [one, other] = [membersOf(was.value), membersOf(is.value)]
  return [
    ...[...new Set([...one.members.keys(), ...other.members.keys()])].flatMap((of) =>
      ofMember({ step, of }, one.members.get(of), other.members.get(of)),
    ),
    ...[...one.orders].flatMap(([of, names]) => ofOrder({ step, of }, names, other.orders.get(of) ?? [])),
  ]
}

interface Content {
  readonly kind: string
  readonly value: unknown
}

function contentOf({ body: { text = '' } }: Response): Content {
  if (text === '') return { kind: 'empty', value: undefined }
  try {
    const value: unknown = JSON.parse(text)
    return { kind: Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : 'JSON', value }
  } catch {
    return { kind: isJwt(text) ? 'a JWT' : 'text', value: undefined }
  }
}

interface Member {
  readonly type: string
  readonly value: unknown
}

/** The members by their pointers; entries of a list share one. `orders` has the names of each object's members, as they came. */
function membersOf(
  value: unknown,
  pointer = '',
): {
  readonly members: ReadonlyMap<string, Member>
  readonly orders: ReadonlyMap<string, readonly string[]>
} {
  const members = new Map<string, Member>()
  const orders = new Map<string, readonly string[]>()
  const visit = (one: unknown, at: string) => {
    if (at !== '') members.set(at, { type: typeOf(one), value: one })
    if (Array.isArray(one)) for (const entry of one) visit(entry, `${at}/*`)
    else if (typeof one === 'object' && one !== null) {
      orders.set(at, Object.keys(one))
      for (const [name, inner] of Object.entries(one))
        visit(inner, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    }
  }
  visit(value, pointer)
  return { members, orders }
}

function ofMember(
  place: Pick<Difference, 'step' | 'of'>,
  one: Member | undefined,
  other: Member | undefined,
): readonly Difference[] {
  if (one === undefined || other === undefined) {
    // The entries of a list that is empty in one of the runs are not known there.
    if (place.of.includes('/*')) return []
    return [{ ...place, what: 'member', recorded: one?.type ?? 'absent', twin: other?.type ?? 'absent' }]
  }
  if (one.type !== other.type) return [{ ...place, what: 'type', recorded: one.type, twin: other.type }]
  const name = place.of.slice(place.of.lastIndexOf('/') + 1)
  if (!COMPARED_MEMBERS.test(name) || one.value === other.value) return []
  return [{ ...place, what: 'value', recorded: JSON.stringify(one.value), twin: JSON.stringify(other.value) }]
}

function ofOrder(
  place: Pick<Difference, 'step' | 'of'>,
  was: readonly string[],
  is: readonly string[],
): readonly Difference[] {
  const [one, other] = [was.filter((name) => is.includes(name)), is.filter((name) => was.includes(name))]
  const at = one.findIndex((name, index) => name !== other[index])
  if (at < 0) return []
  return [
    { ...place, what: 'order', recorded: `${one[at]} before ${other[at]}`, twin: `${other[at]} before ${one[at]}` },
  ]
}

function ofScopes(step: string, recorded: StepRecord, twin: StepRecord): readonly Difference[] {
  const [was, is] = [recorded, twin].map(({ scopes }) => (scopes?.unrequested ?? []).toSorted().join(' '))
  if (was === is) return []
  return [{ step, what: 'scopes', of: 'granted without being requested', recorded: was || 'none', twin: is || 'none' }]
}

/** As far as it can be told from a redacted value. */
function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number'
  if (typeof value !== 'string') return `a ${typeof value}`
  if (isJwt(value)) return 'a JWT'
  if (/^https:\/\//.test(value)) return `an address${/%2f/i.test(value) ? ' with an encoded id' : ''}`
  return REDACTED.test(value) || !/^\d{4}-\d\d-\d\dT[\d:.]+/.test(value) ? 'a text' : 'a time'
}

/** The signature of a JWT is redacted. */
function isJwt(text: string): boolean {
  return /^ey[\w-]+\.ey[\w-]+\./.test(text.trim())
}
