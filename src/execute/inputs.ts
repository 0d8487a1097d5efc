/** The values that a step reads: inputs minted, stored or given, and what came before it. */
import type { Context } from '../flow/expression/expression.ts'
import type { JwtChanges } from '../identity/jwt.ts'
import { type AssertionPlan, type PlannedInput, plainValue } from '../plan/index.ts'
import type { Ports, Readable } from './ports.ts'

/** What expressions can read before a request is made; `fresh` are the values of minted and stored inputs. */
export function contextOf(
  { inputs, outputs, workflows, document }: Readable,
  fresh: ReadonlyMap<string, string | undefined> = new Map(),
): Context {
  return {
    inputs: (name) => (fresh.has(name) ? fresh.get(name) : plainValue(inputs.get(name))),
    steps: outputs,
    workflows,
    self: document.flow.self,
    sourceDescriptions: document.sources,
  }
}

/** Minted inputs signed for `source` and stored ones read anew; the others have plain values. */
export async function freshInputs(
  names: Iterable<string>,
  inputs: ReadonlyMap<string, PlannedInput>,
  source: string,
  { redactor, sign, vault }: Ports,
): Promise<ReadonlyMap<string, string | undefined>> {
  const fresh = new Map<string, string | undefined>()
  for (const name of names) {
    const input = inputs.get(name)
    if (input?.kind === 'minted') {
      const assertion = await sign(assertionFor(input, source))
      redactor.add(assertion)
      fresh.set(name, assertion.reveal())
    } else if (input?.kind === 'vault') {
      const value = await vault.read(input.member)
      if (value !== undefined && input.member === 'registration_access_token')
        redactor.add({ value, name: input.member })
      fresh.set(name, value)
    }
  }
  return fresh
}

export function assertionFor({ assertions }: Extract<PlannedInput, { kind: 'minted' }>, source: string): AssertionPlan {
  const assertion = assertions.get(source) ?? assertions.get('')
  if (assertion === undefined) throw new Error(`no assertion was planned for source "${source}"`)
  return assertion
}

/** Whether only a JWT that is minted in this run can be changed so. */
export function needsTheKey({ header, claims, secondsAhead, key, jwks }: JwtChanges): boolean {
  return header.size + claims.size + (secondsAhead?.size ?? 0) > 0 || (key === 'public' && jwks === undefined)
}
