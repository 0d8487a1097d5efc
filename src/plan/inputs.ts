/** The source of each input's value: --input, the environment, the vault, a minted assertion, or the schema's default. */
import type { Environment, ValueOrigin } from '../environment/index.ts'
import type { Given } from '../flow/arazzo/given.ts'
import { type Condition, judge } from '../flow/expression/criterion.ts'
import type { Context } from '../flow/expression/expression.ts'
import type { Input, Workflow } from '../flow/index.ts'
import { judgeValue } from '../flow/openapi/validator.ts'
import { isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { readJson } from '../record/json.ts'
import { Secret } from '../secret/index.ts'
import { Slots } from '../secret/slots.ts'
import { type AssertionPlan, isMinted, planAssertions } from './assertions.ts'
import type { Problems } from './problems.ts'
import { askFor, serverHint } from './servers.ts'

/**
 * Where an input's value comes from. `vault` and `minted` are read anew at each use, `passed` is known when another
 * workflow runs this one.
 */
export type PlannedInput =
  | { readonly kind: 'value'; readonly value: unknown; readonly secret: boolean; readonly origin: ValueOrigin }
  | { readonly kind: 'vault'; readonly member: VaultMember; readonly secret: boolean; readonly origin: ValueOrigin }
  | {
      readonly kind: 'minted'
      /** by the source that a step sends it to; '' for any source, where the flow says audience and algorithm */
      readonly assertions: ReadonlyMap<string, AssertionPlan>
      readonly secret: true
      readonly origin: ValueOrigin
    }
  | { readonly kind: 'passed'; readonly secret: boolean; readonly origin: ValueOrigin }
  | { readonly kind: 'absent'; readonly secret: boolean; readonly origin: ValueOrigin }

export type VaultMember = 'registration_access_token' | 'registration_client_uri'
const VAULT_MEMBERS: readonly string[] = [
  'registration_access_token',
  'registration_client_uri',
] satisfies VaultMember[]

/** The origin of scopes that are derived from ROLES because none are set. */
export const OF_ROLES: ValueOrigin = { label: 'ROLES' }

export interface PlanOptions {
  /** `--input name=value` */
  readonly inputs: ReadonlyMap<string, string>
  /** whether the vault holds a registration of this client; its inputs then have a source */
  readonly registered: boolean
  /** by the name of the input, x5t#S256 of the certificate whose tokens carry it (RFC 8705 §3.1) */
  readonly thumbprints?: ReadonlyMap<string, string> | undefined
  /** what the roles of the application cover, with those that a workflow is given; undefined where the default of the flow holds */
  readonly scopesOfRoles?: ((given: readonly Given[]) => readonly string[] | undefined) | undefined
}

export function planInputs(
  workflow: Workflow,
  passed: ReadonlySet<string>,
  environment: Environment,
  options: PlanOptions,
  problems: Problems,
): ReadonlyMap<string, PlannedInput> {
  const planned = new Map<string, PlannedInput>()
  // Minted inputs and conditions use the values of other inputs, so inputs with a plain value come first.
  const later = (input: Input) => (input.mint === undefined ? 0 : 2) + (input.when === undefined ? 0 : 1)
  const slots = new Slots(environment.secretNames)
  const inputs = workflow.inputs.map((input) => ({ ...input, secret: isSecretInput(input, slots) }))
  for (const input of inputs.sort((a, b) => later(a) - later(b))) {
    planned.set(
      input.name,
      passed.has(input.name)
        ? { kind: 'passed', secret: input.secret, origin: { label: 'passed' } }
        : planInput(input, { workflow, planned, environment, options, problems }),
    )
  }
  return planned
}

/** The flow says so (`format: password`), or its name is that of a secret, which REDACT may add. Decided here alone. */
export function isSecretInput({ secret, name }: Input, slots: Slots): boolean {
  return secret || slots.of(name) === 'any'
}

function planInput(
  input: Input,
  {
    workflow,
    planned,
    environment,
    options,
    problems,
  }: {
    readonly workflow: Workflow
    /** those that are planned already */
    readonly planned: ReadonlyMap<string, PlannedInput>
    readonly environment: Environment
    readonly options: PlanOptions
    readonly problems: Problems
  },
): PlannedInput {
  const context = knownInputs(planned)
  if (input.when !== undefined && !holds(input.when, context))
    return { kind: 'absent', secret: input.secret, origin: { label: 'not needed here' } }

  const given = options.inputs.get(input.name)
  if (given !== undefined) return typed(input, given, input.secret, { label: '--input' }, problems)

  const setting = environment.setting(input.name)
  if (setting !== undefined) {
    const secret = input.secret || setting.value instanceof Secret
    return typed(
      input,
      setting.value instanceof Secret ? setting.value.reveal() : setting.value,
      secret,
      setting.origin,
      problems,
    )
  }
  const thumbprint = options.thumbprints?.get(input.name)
  if (thumbprint !== undefined) return valued(input, thumbprint, input.secret, { label: 'certificate' })
  if (VAULT_MEMBERS.includes(input.name) && (options.registered || !input.required)) {
    return { kind: 'vault', member: input.name as VaultMember, secret: input.secret, origin: { label: 'vault' } }
  }
  if (isMinted(input)) {
    const assertions = planAssertions(input, { workflow, environment, context, problems })
    return { kind: 'minted', assertions, secret: true, origin: { label: 'minted' } }
  }
  const ofRoles = input.isOfRoles ? options.scopesOfRoles?.(workflow.given) : undefined
  if (ofRoles !== undefined) return valued(input, ofRoles, input.secret, OF_ROLES)
  if (input.default !== undefined)
    return { kind: 'value', value: input.default, secret: input.secret, origin: { label: 'default' } }
  if (input.required) problems.add(input.name.toUpperCase(), missing(input, environment))
  return absent(input)
}

/** Converts a text of the command line or the environment to the type that the input's schema asks for, and checks it. */
function typed(input: Input, text: string, secret: boolean, origin: ValueOrigin, problems: Problems): PlannedInput {
  const value = fromText(text, typeof input.schema === 'object' ? input.schema.type : undefined)
  for (const { pointer, problem } of misfits(input, value, secret, origin))
    problems.add(`input ${input.name} ${pointer} ${origin.label}`, problem)
  return valued(input, value, secret, origin)
}

/**
 * The value that a workflow is passed by another one; `secret` is what was planned of the input. Throws INPUT_INVALID where the
 * value does not fit the input's schema.
 */
export function passedInput(
  input: Input,
  value: unknown,
  { by, secret }: { by: string; secret: boolean },
): PlannedInput {
  const origin = { label: by }
  const problems = misfits(input, value, secret, origin).map(({ problem }) => problem)
  if (isNonEmpty(problems)) throw new ToolError(problems)
  return valued(input, value, secret, origin)
}

function misfits(
  input: Input,
  value: unknown,
  secret: boolean,
  origin: ValueOrigin,
): readonly { readonly pointer: string; readonly problem: Problem }[] {
  return judgeValue(input.schema, value, input.root).violations.map(({ pointer, expected, actual }) => ({
    pointer,
    problem: {
      code: 'INPUT_INVALID',
      message: `${pointer === '' ? '' : `"${pointer}" of `}input "${input.name}" from ${origin.label} does not fit its schema`,
      at: origin.at ?? input.at,
      expected,
      found: secret ? 'a secret value' : actual,
    },
  }))
}

function valued(input: Input, value: unknown, secret: boolean, origin: ValueOrigin): PlannedInput {
  return {
    kind: 'value',
    value: secret && typeof value === 'string' ? new Secret(value, input.name) : value,
    secret,
    origin,
  }
}

function fromText(text: string, type: unknown): unknown {
  if (type === 'array') return /^\s*\[/.test(text) ? json(text) : text.split(/[\s,]+/).filter((item) => item !== '')
  if (type === 'integer' || type === 'number' || type === 'boolean' || type === 'object') return json(text)
  return text
}

function json(text: string): unknown {
  const read = readJson(text)
  return read.ok ? read.value : text
}

function missing(input: Input, environment: Environment): Problem {
  const variable = input.name.toUpperCase()
  const about = environment.about(input.name) ?? input.description
  const server = /^server_(.+)$/.exec(input.name)?.[1]
  return {
    code: 'INPUT_MISSING',
    message: `input "${input.name}" has no value${about === undefined ? '' : `: ${about}`}`,
    at: input.at,
    hint: VAULT_MEMBERS.includes(input.name)
      ? 'the vault holds no registration of this client; without its token only Thredd can delete it (section 3.3.2, Thredd Deletes a Client)'
      : server === undefined
        ? // No --input for a secret: the history of the shell would keep it.
          `write ${variable}=… into ${environment.localFile}, set THREDD_${variable}${input.secret ? '' : `, or use --input ${input.name}=…`}${askFor(variable)}`
        : serverHint(server, environment),
  }
}

function absent(input: Input): PlannedInput {
  return { kind: 'absent', secret: input.secret, origin: { label: 'none' } }
}

/** The value of an input that has one before the run; a secret is revealed, since requests are built with it. */
export function plainValue(input: PlannedInput | undefined): unknown {
  if (input?.kind !== 'value') return undefined
  return input.value instanceof Secret ? input.value.reveal() : input.value
}

function holds(condition: Condition, context: Context): boolean {
  return judge(condition, context).pass
}

export function knownInputs(planned: ReadonlyMap<string, PlannedInput>): Context {
  return {
    inputs: (name) => plainValue(planned.get(name)),
    steps: new Map(),
  }
}
