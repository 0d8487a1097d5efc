/** The types of a checked flow: workflows, steps, actions and their values. */
import type { DeclaredEffect } from '../../record/effect.ts'
import type { SourceLocation } from '../../record/errors.ts'
import type { Condition } from '../expression/criterion.ts'
import type { Template } from '../expression/expression.ts'
import type { JsonPath } from '../expression/jsonpath.ts'
import type { Selector } from '../expression/selector.ts'
import type { Operation, OperationParameter } from '../openapi/description.ts'
import type { Encoding } from '../openapi/media-type.ts'
import type { Schema } from '../openapi/schema.ts'
import type { Given } from './given.ts'
import type { ProbeName } from './probes.ts'
import type { WaitsFor } from './waits.ts'

export interface Flow {
  readonly file: string
  /** the API descriptions it was read with */
  readonly apis: readonly string[]
  readonly text: string
  readonly sha256: string
  readonly title: string
  /** its own URI (`$self`), if it has one */
  readonly self?: string | undefined
  /** the source descriptions by name, each with its fields as written */
  readonly sources: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** other Arazzo documents whose workflows can be run, by the names of their source descriptions */
  readonly others: ReadonlyMap<string, Flow>
  /** the story: who needs it, what it does, where it is documented */
  readonly description?: string | undefined
  readonly workflows: readonly Workflow[]
}

/** A workflow of the same document, or of another one by its source description. */
export interface WorkflowName {
  readonly source?: string | undefined
  readonly workflowId: string
}

export interface Workflow {
  readonly workflowId: string
  readonly summary?: string | undefined
  readonly description?: string | undefined
  readonly at: SourceLocation
  readonly effect: DeclaredEffect
  readonly safety?: string | undefined
  readonly clauses: readonly string[]
  /** what a person must do afterwards */
  readonly notice?: string | undefined
  /** words to select it by */
  readonly tags: readonly string[]
  /** what must be so before it begins, in this order */
  readonly given: readonly Given[]
  /** workflows that must have passed before */
  readonly dependsOn: readonly WorkflowName[]
  readonly inputs: readonly Input[]
  /** in the order in which they run; those that always run come last */
  readonly steps: readonly Step[]
  readonly outputs: ReadonlyMap<string, Value>
}

export interface Input {
  readonly name: string
  readonly schema: Schema
  /** the document that `#/…` references of the schema point into */
  readonly root: unknown
  readonly required: boolean
  /** `format: password`, or minted */
  readonly secret: boolean
  readonly description?: string | undefined
  readonly default?: unknown | undefined
  /** on named hosts the scopes that the roles of the application cover come before the default */
  readonly isOfRoles?: boolean | undefined
  readonly mint?: Mint | undefined
  /** the input has a value only while this holds */
  readonly when?: Condition | undefined
  readonly at: SourceLocation
}

/** Which of the signing keys signs: that of SIGNING_*, or that of RENEWED_SIGNING_*. */
export type SigningUse = 'current' | 'renewed'

/** A client assertion to sign each time the input is read (RFC 7523 §2.2). */
export interface Mint {
  /** default: what the environment says of the source that a step sends it to */
  readonly audience?: Template | undefined
  readonly alg?: Template | undefined
  readonly key: SigningUse
  readonly lifetimeSeconds: number
}

/** A call of an operation, or of another workflow. */
export type Step = CallStep | WorkflowStep

interface StepBase {
  readonly stepId: string
  readonly description?: string | undefined
  readonly at: SourceLocation
  readonly criteria: readonly Criterion[]
  readonly outputs: ReadonlyMap<string, Value>
  readonly clauses: readonly string[]
  readonly timeoutMs?: number | undefined
  readonly dependsOn: readonly Dependency[]
  /** runs after the others, whatever their result */
  readonly finally: boolean
  /** a repetition does no harm */
  readonly retrySafe: boolean
  /** the step's own first, then those of the workflow that it does not override */
  readonly onSuccess: readonly Action[]
  readonly onFailure: readonly Action[]
}

export interface CallStep extends StepBase {
  readonly kind: 'call'
  /** name of the source description, which names the server; '' where the step has a URL of its own */
  readonly source: string
  readonly operation: Operation
  readonly parameters: readonly Parameter[]
  readonly requestBody?: RequestBody | undefined
  /** a configured identity's name, or "none" */
  readonly identity: string
  readonly identityAt: SourceLocation
  /** called instead of the operation's own URL, byte for byte */
  readonly url?: Template | undefined
  /** the step holds when the server refuses */
  readonly expectRefused: boolean
  readonly alterations: readonly Alteration[]
  /** a named check that is made in place of the call */
  readonly probe?: ProbeName | undefined
  /** variants of the step that run instead of it; with none, the step itself runs */
  readonly cases: readonly Case[]
}

export interface WorkflowStep extends StepBase {
  readonly kind: 'workflow'
  readonly invocation: Invocation
}

/** Another workflow, and its arguments. */
export interface Invocation extends WorkflowName {
  readonly arguments: ReadonlyMap<string, Value>
  readonly at: SourceLocation
}

/** One run of a step with cases: the unaltered request, or one case of the table. */
export interface Case {
  readonly id: string
  readonly isControl: boolean
  /** the step as this case runs it, with an id of its own */
  readonly step: CallStep
}

/** A step that must have passed before; without a workflow it is one of the same. */
export interface Dependency {
  readonly workflow?: WorkflowName | undefined
  readonly stepId: string
}

export interface RequestBody {
  readonly contentType: string
  /** how the description encodes the fields of a form */
  readonly encodings: ReadonlyMap<string, Encoding>
  readonly payload: Value
  readonly replacements: readonly Replacement[]
  readonly at: SourceLocation
}

/** A member of the payload set to a value before it is sent. */
export interface Replacement {
  /** a JSON Pointer, split and unescaped, or a query for any number of places */
  readonly target:
    | { readonly kind: 'jsonpointer'; readonly tokens: readonly string[] }
    | { readonly kind: 'jsonpath'; readonly path: JsonPath }
  /** the target as written */
  readonly text: string
  readonly value: Value
  readonly at: SourceLocation
}

/** One change to the otherwise good request. */
export type Alteration = MemberAlteration | JwtAlteration

/** A header, a form field or a member of a JSON body. Without a value: removed. */
export interface MemberAlteration {
  readonly place: 'header' | 'form' | 'body' | 'method'
  /** a header's or field's name, or the tokens of a JSON Pointer; none for the method */
  readonly tokens: readonly string[]
  readonly value?: Value | undefined
  /** the change in words, for the record */
  readonly text: string
  readonly at: SourceLocation
}

/** A JWT that a member of the payload or a header holds. */
export interface JwtAlteration {
  readonly place: 'jwt'
  readonly holder: JwtHolder
  /** the minted input that the member holds, which is then signed anew; absent for a JWT that others signed */
  readonly input?: string | undefined
  readonly change:
    | { readonly part: 'header' | 'claims'; readonly name: string; readonly value?: Value | undefined }
    | { readonly part: 'claims'; readonly name: string; readonly secondsAhead: number }
    | { readonly part: 'signature'; readonly to: 'damaged' | 'none' }
    | { readonly part: 'key'; readonly to: 'other' | 'embedded' }
    /** of a JWT that others signed, `value` are the keys of which one has signed it */
    | { readonly part: 'key'; readonly to: 'public'; readonly value?: Value | undefined }
  readonly text: string
  readonly at: SourceLocation
}

/** By its first word, a member of the payload or a header by that name. */
export type JwtHolder = `payload ${string}` | `header ${string}`

/** What to do after a step; the first whose criteria all hold. */
export type Action = { readonly name: string; readonly criteria: readonly Condition[] } & (
  | { readonly type: 'end' }
  | { readonly type: 'goto'; readonly to: Target }
  | {
      readonly type: 'retry'
      readonly retryAfterMs: number
      readonly retryLimit: number
      /** run before the step is tried again */
      readonly through?: Target | undefined
    }
)

export type Target =
  | { readonly kind: 'step'; readonly stepId: string }
  | { readonly kind: 'workflow'; readonly invocation: Invocation }

export interface Parameter {
  readonly name: string
  readonly in: OperationParameter['in']
  readonly value: Value
}

export interface Criterion {
  readonly condition: Condition
  /** as written in the file */
  readonly text: string
  readonly level: 'must' | 'should' | 'policy'
  /** an answer without the member that it is about is a warning, whatever the level */
  readonly optional: boolean
  readonly clauses: readonly string[]
  /** what only Thredd can do, and has not done where the criterion does not hold */
  readonly waitsFor: WaitsFor | undefined
  readonly at: SourceLocation
}

/** A value of the file in which each text may hold expressions. */
export type Value =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'template'; readonly template: Template; readonly at: SourceLocation }
  | { readonly kind: 'selector'; readonly selector: Selector; readonly at: SourceLocation }
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, value: Value])[] }
  | { readonly kind: 'array'; readonly items: readonly Value[] }
