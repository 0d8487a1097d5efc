/** Which certificate a step presents: its own, or the one that the environment gives to its source. */
import type { Environment } from '../environment/index.ts'
import type { CallStep } from '../flow/index.ts'
import { settingOf } from './servers.ts'

/** A step that names another identity than the usual one, to test a refusal or a renewal, keeps it. */
export function identityOf(step: Pick<CallStep, 'identity' | 'source'>, environment: Environment): string {
  if (step.identity !== 'transport') return step.identity
  return environment.identityFor.get(settingOf(step.source)) ?? step.identity
}

/** The step, and its cases, with that identity. */
export function withIdentity(step: CallStep, environment: Environment): CallStep {
  if (environment.identityFor.size === 0) return step
  const cases = step.cases.map((one) => ({ ...one, step: withIdentity(one.step, environment) }))
  return { ...step, cases, identity: identityOf(step, environment) }
}
