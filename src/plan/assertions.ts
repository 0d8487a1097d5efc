/** What a client assertion says and how it is signed: as the flow says it, or the environment of the source that it is sent to. */
import type { Environment } from '../environment/index.ts'
import { SIGNING_ALGORITHMS } from '../environment/variables.ts'
import { inputsReadBy, runsOf } from '../flow/arazzo/needs.ts'
import { type Context, render } from '../flow/expression/expression.ts'
import type { CallStep, Input, SigningUse, Workflow } from '../flow/index.ts'
import type { Problems } from './problems.ts'
import { settingOf } from './servers.ts'

/** The claims of a client assertion (RFC 7523 §3). */
export interface AssertionPlan {
  readonly clientId: string
  readonly audience: string
  readonly alg: string
  readonly key: SigningUse
  readonly lifetimeSeconds: number
}

/** What a key is held by: which one, and what it signs with. */
export function keyId({ key, alg }: Pick<AssertionPlan, 'key' | 'alg'>): string {
  return `${key} ${alg}`
}

type MintedInput = Input & { readonly mint: NonNullable<Input['mint']> }

export function isMinted(input: Input): input is MintedInput {
  return input.mint !== undefined
}

interface Minting {
  readonly environment: Environment
  /** the inputs that have a value */
  readonly context: Context
  readonly problems: Problems
}

/** One for each source that a step of the workflow sends the input to, and one for any where the flow says it all. */
export function planAssertions(
  input: MintedInput,
  { workflow, ...minting }: Minting & { readonly workflow: Workflow },
): ReadonlyMap<string, AssertionPlan> {
  const calls = workflow.steps.flatMap((step) => (step.kind === 'call' ? runsOf(step) : []))
  const sent = calls.filter((step) => inputsReadBy(step).has(input.name))
  const bySource = new Map(sent.map((step): [string, CallStep | undefined] => [step.source, step]))
  const { audience, alg } = input.mint
  if (audience !== undefined && alg !== undefined && !bySource.has('')) bySource.set('', undefined)
  return new Map(
    [...bySource].flatMap(([source, step]): [string, AssertionPlan][] => {
      const assertion = planAssertion(input, step, minting)
      return assertion === undefined ? [] : [[source, assertion]]
    }),
  )
}

/** The settings that say for whom a client assertion to that source is, and how it is signed. */
function assertionSettings(source: string): { readonly audience: string; readonly alg: string } {
  const server = settingOf(source).replace(/_mtls$/, '')
  return {
    audience: `assertion_audience_${server}`,
    alg: server === 'directory' ? 'directory_signing_alg' : 'signing_alg',
  }
}

function planAssertion(input: MintedInput, step: CallStep | undefined, minting: Minting): AssertionPlan | undefined {
  const { environment, context, problems } = minting
  const audience = assertionMember('audience', input, step, minting)
  const alg = assertionMember('alg', input, step, minting)
  if (alg !== undefined && !SIGNING_ALGORITHMS.some((one) => one === alg)) {
    problems.add(`algorithm ${alg}`, {
      code: 'INPUT_INVALID',
      message: `minted input "${input.name}" cannot be signed with "${alg}"`,
      at: input.at,
      expected: SIGNING_ALGORITHMS.join(', '),
    })
  }
  const clientId = context.inputs('client_id') ?? environment.setting('client_id')?.value
  const needed = {
    ...signingNeeds(environment, input.mint.key),
  }
  for (const [variable, value] of Object.entries({ CLIENT_ID: clientId, ...needed })) {
    if (value !== undefined) continue
    problems.add(variable, {
      code: 'ENV_MISSING',
      message: `${variable} is not set; client assertions need it: ${environment.about(variable)}`,
      at: input.at,
      hint: write(variable, environment),
    })
  }
  if (audience === undefined || alg === undefined || typeof clientId !== 'string') return undefined
  const { key, lifetimeSeconds } = input.mint
  return { clientId, audience, alg, key, lifetimeSeconds }
}

/** The settings that a signing key consists of, each with its value. */
export function signingNeeds(environment: Pick<Environment, 'signing' | 'renewedSigning'>, use: SigningUse) {
  const [prefix, spec] = use === 'renewed' ? ['RENEWED_', environment.renewedSigning] : ['', environment.signing]
  return { [`${prefix}SIGNING_KEY_FILE`]: spec.key ?? spec.command, [`${prefix}SIGNING_KID`]: spec.kid }
}

/** As the flow says it; else as the environment says it of the source that the step sends the assertion to. */
function assertionMember(
  member: 'audience' | 'alg',
  input: MintedInput,
  step: CallStep | undefined,
  { environment, context, problems }: Minting,
): string | undefined {
  const what = `the ${member === 'alg' ? 'algorithm' : member} of minted input "${input.name}" has no value`
  const missing = (subject: string, message: string, hint: string) =>
    problems.add(subject, { code: 'INPUT_MISSING', message: `${what}: ${message}`, at: input.at, hint })
  const template = input.mint[member]
  if (template !== undefined) {
    const result = render(template, context)
    if (result.ok) return String(result.value)
    const name = result.missing.kind === 'inputs' ? result.missing.name : ''
    const hint = [write(name.toUpperCase(), environment), environment.about(name)].filter((one) => one !== undefined)
    missing(name.toUpperCase(), `"${result.missing.text}" has none`, hint.join(': '))
    return undefined
  }
  const { source, stepId } = step ?? { source: '', stepId: '' }
  const say = `say ${member} in x-dcr of the input`
  if (source === '') {
    missing(`${member} of ${input.name}`, `step "${stepId}" sends it to a URL of its own`, say)
    return undefined
  }
  const name = assertionSettings(source)[member]
  const value = environment.setting(name)?.value
  // Where the source has no server, that alone is said: the audience follows from it.
  if (typeof value === 'string' || !environment.servers.has(settingOf(source))) return value as string | undefined
  const variable = name.toUpperCase()
  const where = `step "${stepId}" sends it to source "${source}", and ${variable} is not set`
  missing(variable, where, `${write(variable, environment)}, or ${say}`)
  return undefined
}

function write(variable: string, { localFile }: Environment): string {
  return `write ${variable}=… into ${localFile}`
}
