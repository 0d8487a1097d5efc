/**
 * A workflow as a story: its calls in the order in which they run, those of a part in their place, with what each sends, what
 * is tested, and what is kept. Sends nothing; pure.
 */

import type { Environment } from '../environment/index.ts'
import { PROBES } from '../flow/arazzo/probes.ts'
import type { CallStep, Criterion, Step, Value } from '../flow/index.ts'
import { bodyKind } from '../flow/openapi/media-type.ts'
import { plannedEffect } from '../plan/effect.ts'
import type { PlannedWorkflow } from '../plan/index.ts'
import { settingOf } from '../plan/servers.ts'
import { actionInWords, conditionInWords, type Reference, templateInWords, valueInWords } from './in-words.ts'

export interface StepDetails {
  /** in the story: 3, and 3.1 for a step of the workflow that step 3 runs */
  readonly number: string
  /** as in the record */
  readonly stepId: string
  readonly description: string | undefined
  /** method and address; an address that only the run knows stands in words */
  readonly method: string
  readonly url: string
  readonly identity: string | undefined
  readonly finally: boolean
  /** the workflow that it runs */
  readonly workflowId: string | undefined
  /** the file of that workflow, where it is another one */
  readonly file: string | undefined
  /** the steps of that workflow */
  readonly steps: readonly StepDetails[]
  readonly sends: readonly Sent[]
  /** how the request is altered, and what runs of it there are */
  readonly alterations: readonly string[]
  readonly cases: readonly string[]
  readonly clauses: readonly string[]
  readonly criteria: readonly (Pick<Criterion, 'text' | 'level' | 'waitsFor' | 'clauses'> & {
    readonly words: string
    readonly line: number
  })[]
  /** values that later steps read */
  readonly outputs: readonly Row[]
  /** what the vault does with the answer */
  readonly vault: string | undefined
  /** what may follow instead of the next step */
  readonly next: readonly string[]
}

/** Values of one kind that a call sends, or that a step passes to a workflow. */
interface Sent {
  readonly as: string
  readonly rows: readonly Row[]
}

/** A name, and in words where its value comes from. */
interface Row {
  readonly name: string
  readonly value: string
}

interface Place {
  readonly environment: Environment
  /** stands before step ids, and before numbers */
  readonly prefix: string
  readonly number: string
  readonly passed: ReadonlyMap<string, string>
  /** workflows that run each other */
  readonly within: readonly PlannedWorkflow[]
}

export function storyOf(planned: PlannedWorkflow, environment: Environment): readonly StepDetails[] {
  return stepsOf(planned, { environment, prefix: '', number: '', passed: new Map(), within: [planned] })
}

function stepsOf(planned: PlannedWorkflow, place: Place): readonly StepDetails[] {
  const { workflow, inputs } = planned
  const { environment, number, passed } = place
  const numbers = new Map(workflow.steps.map(({ stepId }, index) => [stepId, `${number}${index + 1}`]))
  return workflow.steps.map((step) => {
    const about: Reference = {
      declared: workflow.inputs,
      inputs,
      passed,
      numbers,
      source: step.kind === 'call' ? step.source : '',
      isSetting: (name) => environment.setting(name) !== undefined,
    }
    const own = { ...common(step, about), number: numbers.get(step.stepId) ?? '', stepId: place.prefix + step.stepId }
    return step.kind === 'call'
      ? { ...own, ...called(step, about, environment) }
      : { ...own, ...invoked(step, about, planned, { ...place, number: `${own.number}.` }) }
  })
}

function common(step: Step, about: Reference) {
  return {
    description: step.description,
    finally: step.finally,
    clauses: step.clauses,
    criteria: step.criteria.map(({ condition, text, level, waitsFor, clauses, at }) => ({
      text,
      words: conditionInWords(condition, about),
      level,
      waitsFor,
      clauses,
      line: at.line,
    })),
    outputs: rows(step.outputs, about),
    next: [
      ...step.onSuccess.map((action) => actionInWords(action, about)),
      ...step.onFailure.map((action) => `on failure, ${actionInWords(action, about)}`),
    ],
  }
}

function called(step: CallStep, about: Reference, environment: Environment) {
  const { operation, source, identity, url, cases, alterations, probe } = step
  const server = environment.servers.get(settingOf(source)) ?? `{SERVER_${settingOf(source).toUpperCase()}}`
  return {
    method: operation.method,
    url: url === undefined ? `${server}${operation.path}` : templateInWords(url, about),
    identity,
    workflowId: undefined,
    file: undefined,
    steps: [],
    sends: sentBy(step, about),
    alterations: [
      ...alterations.map(({ text }) => text),
      ...(probe === undefined ? [] : [`a probe in place of the call: it ${PROBES[probe].about}`]),
    ],
    cases: cases.filter(({ isControl }) => !isControl).map(({ id }) => id),
    vault: keptBy(step),
  }
}

function invoked(
  { invocation, stepId }: Extract<Step, { kind: 'workflow' }>,
  about: Reference,
  planned: PlannedWorkflow,
  place: Place,
) {
  const { workflowId } = invocation
  const inner = planned.invoked.get(invocation)
  const passed = rows(invocation.arguments, about)
  const isKnown = inner !== undefined && !place.within.includes(inner)
  return {
    method: 'RUN',
    url: `workflow "${workflowId}"`,
    identity: undefined,
    workflowId,
    file: inner === undefined || inner.flow.file === planned.flow.file ? undefined : inner.flow.file,
    steps: isKnown
      ? stepsOf(inner, {
          ...place,
          prefix: `${place.prefix}${stepId}/`,
          passed: new Map(passed.map(({ name, value }) => [name, value])),
          within: [...place.within, inner],
        })
      : [],
    sends: passed.length === 0 ? [] : [{ as: 'passes', rows: passed }],
    alterations: [],
    cases: [],
    vault: undefined,
  }
}

function rows(values: ReadonlyMap<string, Value>, about: Reference): readonly Row[] {
  return [...values].map(([name, value]) => ({ name, value: valueInWords(value, about) }))
}

const PLACES = { path: 'path', query: 'query', querystring: 'query', header: 'headers', cookie: 'cookies' } as const
const BODIES = { json: 'JSON', form: 'form', multipart: 'parts', text: 'body' } as const

function sentBy({ parameters, requestBody }: CallStep, about: Reference): readonly Sent[] {
  const byPlace = Map.groupBy(parameters, (parameter) => PLACES[parameter.in])
  const sent = [...byPlace].map(([as, list]) => ({
    as,
    rows: list.map(({ name, value }) => ({ name, value: valueInWords(value, about) })),
  }))
  if (requestBody === undefined) return sent
  const { payload, contentType, replacements } = requestBody
  const body: readonly Row[] =
    payload.kind === 'object'
      ? rows(new Map(payload.members), about)
      : [{ name: '', value: valueInWords(payload, about) }]
  const changed = replacements.map(({ text, value }) => ({ name: text, value: valueInWords(value, about) }))
  return [...sent, { as: BODIES[bodyKind(contentType)], rows: [...body, ...changed] }]
}

/** What the vault does with an answer. A token may be replaced by any (RFC 7592 §3). */
function keptBy(step: CallStep): string | undefined {
  switch (plannedEffect(step)) {
    case 'register':
      return 'keeps registration_access_token and registration_client_uri, encrypted, before the answer is judged'
    case 'delete':
      return 'marks the registration as deleted'
    case 'read':
    case 'update':
      return 'keeps a new registration_access_token, where the answer has one'
    default:
      return undefined
  }
}
