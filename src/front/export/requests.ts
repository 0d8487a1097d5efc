/** The requests of a dry run or of a stored run in one form, with each secret and each value of an answer as a variable. Pure. */
import type { RunRecord } from '../../record/index.ts'
import { readJson } from '../../record/json.ts'
import type { Rehearsal } from '../../run/index.ts'

/** A request of which a text may hold variables as `{{name}}`. */
export interface ExportedRequest {
  readonly name: string
  readonly workflowId: string
  readonly identity: string
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly form: readonly (readonly [name: string, value: string])[] | undefined
  readonly body: string | undefined
  /** what later requests take from its answer, and the status that it has; of a dry run the flow says so */
  readonly after?: After | undefined
}

/** What is done with an answer. */
export interface After {
  readonly status: number | undefined
  /** expressions of the flow on the answer */
  readonly captures: readonly { readonly variable: string; readonly expression: string }[]
}

/** An output of a step that another request reads, by the step's path in the run. */
export interface Wanted {
  readonly variable: string
  readonly stepId: string
  readonly output: string
}

export interface Exported {
  readonly requests: readonly ExportedRequest[]
  readonly wanted: readonly Wanted[]
  /** whether servers are trusted by certificates of one's own */
  readonly ownAuthorities: boolean
}

const LEFT_OUT = /^(?:user-agent|content-length|host|connection|accept-encoding)$/i

type Workflow = Rehearsal['workflows'][number]

export function requestsOfPreview(workflows: readonly Workflow[], ownAuthorities = false): Exported {
  const wanted = new Map<string, Wanted>()
  const requests = workflows.flatMap(({ workflowId, inputs, steps }) => {
    const minted = new Set(inputs.filter(({ source }) => source === 'minted').map(({ name }) => name))
    const names = new Set(inputs.map(({ name }) => name))
    return steps.map((step) => {
      const within = step.stepId.includes('/') ? step.stepId.slice(0, step.stepId.lastIndexOf('/') + 1) : ''
      const text = (one: string) =>
        one
          .replaceAll(
            /\{?\$steps\.([\w-]+)\.outputs\.([\w-]+)(?:#[^}\s"]*)?\}?/g,
            (_, stepId: string, output: string) => {
              const variable = wordOf(`${within}${stepId} ${output}`)
              wanted.set(variable, { variable, stepId: `${within}${stepId}`, output })
              return `{{${variable}}}`
            },
          )
          .replaceAll(/\{\$inputs\.([\w-]+)\}/g, (_, name: string) => `{{${name}}}`)
          // Each step has a fresh one.
          .replaceAll(/\[([\w-]+)\]/g, (whole, name: string) =>
            !names.has(name) ? whole : `{{${minted.has(name) ? wordOf(`${name} ${step.stepId}`) : name}}}`,
          )
      return requestOf({ ...step, name: step.stepId, workflowId }, text, fieldsOfPreview)
    })
  })
  return { requests, wanted: [...wanted.values()], ownAuthorities }
}

/** Secrets are masks in a record: the name with a fingerprint, by which equal ones are equal. */
const MASK = /(?:eyJ[\w-]*\.[\w-]*\.)?\[([\w-]+)(?:#([0-9a-f]{8})|: \w+)\]/g

export function requestsOfRun({ workflows, security }: RunRecord): Exported {
  const text = (one: string) =>
    one.replaceAll(MASK, (_, name: string, print = '') => `{{${wordOf(`${name} ${print}`)}}}`)
  const all = workflows.flatMap(({ workflowId, steps }) =>
    steps.flatMap(({ stepId, identity = 'none', exchanges }) =>
      exchanges.map(({ request: { method, url, headers, body }, response }) => ({
        request: requestOf(
          { name: stepId, workflowId, identity, method, url, headers, body: body.text },
          text,
          fieldsOfRecord,
        ),
        status: response?.status,
        held: heldIn(response?.body.text ?? '', text),
      })),
    ),
  )
  const wanted: Wanted[] = []
  const requests = all.map(({ request, status, held }, index): ExportedRequest => {
    const [before, later] = [all.slice(0, index + 1), all.slice(index + 1)].map(
      (some) => new Set(some.flatMap((one) => variablesOf(one.request))),
    )
    const captures = held.filter(({ variable }) => later?.has(variable) && !before?.has(variable))
    wanted.push(...captures.map(({ variable, expression }) => ({ variable, stepId: request.name, output: expression })))
    return { ...request, after: { status, captures } }
  })
  return { requests, wanted, ownAuthorities: security?.ownAuthorities === true }
}

/** The secrets of an answer, each with the place that holds it alone. */
function heldIn(body: string, text: (one: string) => string): After['captures'] {
  const found: { variable: string; expression: string }[] = []
  const look = (value: unknown, pointer: string) => {
    const variable = typeof value === 'string' ? /^\{\{(\w+)\}\}$/.exec(text(value.trim()))?.[1] : undefined
    if (variable !== undefined)
      found.push({ variable, expression: `$response.body${pointer === '' ? '' : `#${pointer}`}` })
    else if (typeof value === 'object' && value !== null)
      for (const [name, member] of Object.entries(value)) if (/^[\w.-]+$/.test(name)) look(member, `${pointer}/${name}`)
  }
  const json = readJson(body)
  look(json.ok ? json.value : body, '')
  return found
}

interface Written {
  readonly name: string
  readonly workflowId: string
  readonly identity: string
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | undefined
}

type FormFields = readonly (readonly [name: string, value: string])[]

/** `text` puts variables into a text; `fieldsOf` reads a form as it was written. */
function requestOf(
  { body, headers, url, ...more }: Written,
  text: (one: string) => string,
  fieldsOf: (body: string) => FormFields,
): ExportedRequest {
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  const isForm = type.startsWith('application/x-www-form-urlencoded')
  return {
    ...more,
    url: text(url),
    headers: headers.filter(([name]) => !LEFT_OUT.test(name)).map(([name, value]) => [name, text(value)] as const),
    form:
      isForm && body !== undefined ? fieldsOf(body).map(([name, value]) => [name, text(value)] as const) : undefined,
    body: isForm || body === undefined ? undefined : text(body),
  }
}

/** A dry run has a form as lines of name=value. */
function fieldsOfPreview(text: string): FormFields {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const)
}

/** The record has a form as JSON. */
function fieldsOfRecord(text: string): FormFields {
  const json = readJson(text)
  if (!json.ok || typeof json.value !== 'object' || json.value === null) return []
  return Object.entries(json.value).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, String(one)] as const),
  )
}

/** A name that Postman and a shell both allow. */
function wordOf(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
}

/** The variables that nothing sets: a person does. */
export function variablesToSet({ requests, wanted }: Exported): readonly string[] {
  const all = requests.flatMap(variablesOf)
  return [...new Set(all)].filter((name) => !wanted.some(({ variable }) => variable === name)).toSorted()
}

function variablesOf({ url, headers, form, body }: ExportedRequest): readonly string[] {
  const texts = [url, ...headers.map(([, value]) => value), ...(form ?? []).map(([, value]) => value), body ?? '']
  return texts.flatMap((text) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name))
}
