/** The requirement catalogue: what each clause of a standard or of Thredd's page requires, and which checks decide it. */
import { createHash } from 'node:crypto'
import catalogue from '../../fixtures/requirements/requirements.json' with { type: 'json' }

export interface Clause {
  /** document and section: RFC7591-3.2.1, THREDD-DCR-3.3.2 */
  readonly id: string
  readonly title: string
  /** absent for a document that is not known */
  readonly href?: string | undefined
}

export interface Requirement {
  readonly id: string
  readonly clause: string
  readonly level: 'must' | 'should' | 'may' | 'policy'
  readonly kind: 'positive' | 'negative'
  /** read-only (A), registers a client (B), must be refused (C), may harm a live client (D), by agreement only (X) */
  readonly safety: string
  /** who can tell: a run, the tests of this tool, or a person */
  readonly by: 'run' | 'tool' | 'person'
  readonly text: string
  /** flows of this repository whose checks name it */
  readonly flows?: readonly string[]
  /** the checks that decide it, each by its operation and its id or title; empty, and no `flows`: there is none yet */
  readonly proof: readonly { readonly operation: string; readonly check: string }[]
}

export const REQUIREMENTS = catalogue.requirements as readonly Requirement[]

/** Which catalogue a run was judged by; it is in every record. */
export const CATALOGUE = {
  version: catalogue.version,
  requirements: REQUIREMENTS.length,
  sha256: createHash('sha256').update(JSON.stringify(catalogue)).digest('hex'),
} as const

const CLAUSES: ReadonlyMap<string, Clause> = new Map(
  Object.entries(catalogue.clauses).map(([id, clause]) => [id, { id, ...clause }]),
)

/** Areas by the beginning of a requirement's id; a longer beginning stands before a shorter one. */
const AREAS: readonly (readonly [beginning: string, area: string])[] = [
  ['THREDD-DCR', 'Thredd’s page'],
  ['DISC', 'Discovery'],
  ['TLS', 'Transport'],
  ['REGN', 'Registration, refusals'],
  ['REG', 'Registration'],
  ['MGTN', 'Client configuration, refusals'],
  ['MGT', 'Client configuration'],
  ['TOKN', 'Tokens, refusals'],
  ['TOK', 'Tokens'],
  ['MTLS', 'Certificate-bound tokens'],
]

export function areaOf({ id }: Pick<Requirement, 'id'>): string {
  return AREAS.find(([beginning]) => id.startsWith(beginning))?.[1] ?? 'Other'
}

/** By the id of a clause or a requirement. An RFC that is not in the table still gets its title and link. */
export function clauseOf(id: string): Clause {
  const known = CLAUSES.get(id) ?? CLAUSES.get(REQUIREMENTS.find((requirement) => requirement.id === id)?.clause ?? '')
  if (known !== undefined) return known
  const [, number, section] = /^RFC(\d{1,5})-([\dA-Z.]+)$/.exec(id) ?? []
  if (number === undefined || section === undefined) return { id, title: id }
  const kind = /^\d/.test(section) ? 'section' : 'appendix'
  return {
    id,
    title: `RFC ${number}, ${kind} ${section}`,
    href: `https://www.rfc-editor.org/rfc/rfc${number}.html#${kind}-${section}`,
  }
}
