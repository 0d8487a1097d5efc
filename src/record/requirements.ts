/** The requirement catalogue: what each sentence of a standard or of Thredd's page requires, and which checks prove it. */
import { createHash } from 'node:crypto'
import clauses from '../../fixtures/requirements/clauses.json' with { type: 'json' }
import catalogue from '../../fixtures/requirements/requirements.json' with { type: 'json' }

/** In the order of reports. */
export const AREAS = [
  'Discovery',
  'Certificates and TLS',
  'Software statement',
  'Registration',
  'Management',
  'Token',
  'API',
  'Thredd’s page',
] as const
/** what a requirement is about; those that only Thredd's page states are an area of their own */
export type Area = (typeof AREAS)[number]

export interface Requirement {
  readonly id: string
  readonly area: Area
  readonly clause: string
  /** further clauses that say the same */
  readonly also?: readonly string[]
  /** the keyword of the text (RFC 2119); "documented" where Thredd's page says it, "policy" where no standard demands it */
  readonly level: string
  readonly kind: 'positive' | 'negative' | 'both'
  /** read-only (A), registers a client (B), must be refused (C), may harm a live client (D), by agreement only (X) */
  readonly safety: string
  /** who can tell: a run, the tests of this tool, Thredd, or a person */
  readonly by: 'run' | 'tool' | 'thredd' | 'person'
  /** the sentence is about the client, not about a server */
  readonly subject?: 'client'
  /** why no run can, where it says "thredd" or "person" */
  readonly because?: string
  readonly text: string
  /** absent: nobody has written a check yet */
  readonly proof?: Proofs
}

/** A named check of a named step, which counts only where the call was answered as it presupposes. */
export interface Proof {
  /** `<workflowId>/<stepId>`; the check of any one of them will do */
  readonly at: readonly string[]
  /** the check's id or title; "schema" stands for all checks of the schema */
  readonly check: string
  /** "any" for a check that is about the status itself */
  readonly answered: '2xx' | '4xx' | 'any'
  /** it shows that the call is good apart from what must be refused: where it fails, nothing is known of the requirement */
  readonly control?: true
}

export type Proofs = Proof | { readonly all: readonly Proofs[] } | { readonly any: readonly Proofs[] }

/** As the file has it: `named` stands for an entry of the table of that name. */
type Written =
  | Proof
  | { readonly all: readonly Written[] }
  | { readonly any: readonly Written[] }
  | { readonly named: string }

export const REQUIREMENTS: readonly Requirement[] = (
  catalogue.requirements as readonly (Omit<Requirement, 'proof'> & { readonly proof?: Written })[]
).map(({ proof, ...row }) => ({ ...row, ...(proof && { proof: resolved(proof) }) }))

function resolved(written: Written): Proofs {
  if ('at' in written) return written
  if ('all' in written) return { all: written.all.map(resolved) }
  if ('any' in written) return { any: written.any.map(resolved) }
  const named = (catalogue.named as unknown as Readonly<Record<string, Written>>)[written.named]
  if (named === undefined) throw new Error(`the requirement catalogue has no proofs named "${written.named}"`)
  return resolved(named)
}

/** Which catalogue a run was judged by; it is in every record. */
export const CATALOGUE = {
  version: catalogue.version,
  requirements: REQUIREMENTS.length,
  sha256: createHash('sha256')
    .update(JSON.stringify([clauses, catalogue]))
    .digest('hex'),
} as const

/** Whether the text leaves no choice. */
export function isMandatory({ level }: Pick<Requirement, 'level'>): boolean {
  return ['MUST', 'MUST NOT', 'SHALL', 'SHALL NOT', 'REQUIRED', 'documented'].includes(level)
}

/** All proofs in it, in the order of the file. */
export function proofsIn(proofs: Proofs | undefined): readonly Proof[] {
  if (proofs === undefined) return []
  if ('at' in proofs) return [proofs]
  return ('all' in proofs ? proofs.all : proofs.any).flatMap(proofsIn)
}

export interface Decision {
  readonly standing: 'fail' | 'inconclusive' | 'warn' | 'pass' | 'not tested'
  readonly because: string
}

/**
 * Decides a requirement from what each of its proofs showed. Of `all`, one that was not made leaves the requirement not tested;
 * of `any`, one that was made is enough. A failure always counts.
 */
export function decide(proofs: Proofs, shown: (proof: Proof) => Decision): Decision {
  if ('at' in proofs) return shown(proofs)
  const [parts, order] = 'all' in proofs ? [proofs.all, ALL] : [proofs.any, ANY]
  const decisions = parts.map((one) => decide(one, shown))
  for (const standing of order) {
    const found = decisions.find((one) => one.standing === standing)
    if (found !== undefined) return found
  }
  return { standing: 'not tested', because: 'no proof is named' }
}

const ALL: readonly Decision['standing'][] = ['fail', 'inconclusive', 'not tested', 'warn', 'pass']
export const ANY: readonly Decision['standing'][] = ['fail', 'warn', 'pass', 'inconclusive', 'not tested']
