/** What a person should know before the first call, derived from the facts that were prepared. Pure. */
import { type Environment, isSetting, placeOf } from '../environment/index.ts'
import { rolesWith } from '../flow/arazzo/given.ts'
import { withInvoked } from '../flow/arazzo/needs.ts'
import { type Selected, updateWarnings } from '../guard/confirmation.ts'
import type { Plan } from '../plan/index.ts'
import { type Role, rolesIn, type ScopeRequest, scopeWarnings } from '../plan/roles.ts'
import { nearest } from '../record/errors.ts'
import { preview, scopesAskedBy } from './preview.ts'
import type { Survey } from './survey.ts'
import type { VaultState } from './vault-state.ts'

export interface Facts {
  readonly environment: Environment
  readonly selection: readonly Selected[]
  readonly survey: Survey
  readonly vault: Pick<VaultState, 'warnings'>
  readonly scopeRequests: readonly ScopeRequest[]
  /** the catalogue of roles; empty where no scopes are asked for */
  readonly roles: readonly Role[]
}

export function warningsOf({ environment, selection, survey, vault, scopeRequests, roles }: Facts): readonly string[] {
  return [
    ...environment.warnings,
    ...misspeltInputs(environment, selection),
    ...vault.warnings,
    ...[...survey.identities.values()].flatMap(({ warnings }) => warnings),
    ...(survey.signing.certificate?.warnings ?? []),
    ...updateWarnings(selection),
    ...(scopeRequests.length === 0 ? [] : scopeWarnings(scopeRequests, roles)),
  ]
}

/** Variables that set no input of the run, and are nearly the name of one that nothing sets. */
function misspeltInputs({ settings, setting }: Environment, selection: readonly Selected[]): readonly string[] {
  const all = selection.flatMap(({ flow, workflow }) => withInvoked(flow, workflow))
  const inputs = new Set(all.flatMap((one) => one.inputs.map(({ name }) => name.toUpperCase())))
  const unset = [...inputs].filter((name) => setting(name) === undefined)
  return settings.flatMap(({ name, origin }) => {
    const meant = isSetting(name) || inputs.has(name) ? undefined : nearest(name, unset)
    return meant === undefined ? [] : [`${placeOf(origin)}: ${name} sets no input of this run; did you mean ${meant}?`]
  })
}

/** The scopes that each workflow would have registered, with the roles of the application. */
export function scopeRequestsOf(
  plan: Plan,
  { environment, twinMakesGiven }: { readonly environment: Environment; readonly twinMakesGiven: boolean },
): readonly ScopeRequest[] {
  const roles = rolesIn(environment.setting('roles')?.value)
  return preview(plan, '').flatMap(({ workflowId, steps }): ScopeRequest[] => {
    const scopes = [...new Set(steps.flatMap(scopesAskedBy))]
    if (scopes.length === 0) return []
    const given = plan.workflows.find(({ workflow }) => workflow.workflowId === workflowId)?.workflow.given ?? []
    // On the twin the application has the roles that the workflow is given.
    return [{ workflowId, scopes, roles: twinMakesGiven ? rolesWith(given, roles ?? []) : roles }]
  })
}

/** Numbers of cards were found in what the run has sent or received. */
export function cardNumberWarnings(count: number): readonly string[] {
  if (count === 0) return []
  const what =
    count === 1
      ? '1 number with the shape of a card number was'
      : `${count} numbers with the shape of a card number were`
  return [`${what} removed from what is kept of the run; a live card number must not be used in a test`]
}
