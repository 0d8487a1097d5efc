/** Which workflows run: from names to files and workflows, and which of them may run without being named. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { namesOfStep, nestedSteps, onlyStep, withDependencies } from '../flow/arazzo/needs.ts'
import { type Flow, readFlow, type Workflow } from '../flow/index.ts'
import { effectOf, inWords, type Selected } from '../guard/confirmation.ts'
import { workflowEffect } from '../plan/effect.ts'
import { isStronger } from '../record/effect.ts'
import { fail, isNonEmpty, nearest, type Problem, ToolError } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'

export interface SelectionOptions {
  /** names (`register`) or paths; none: all flows */
  readonly flows: readonly string[]
  /** false: only what may run without being named (default: whether there are names) */
  readonly isNamed?: boolean | undefined
  /** run only these workflows of the flows */
  readonly workflow?: string | readonly string[] | undefined
  /** run only this step, with the steps it needs */
  readonly step?: string | undefined
  /** only workflows with one of these words */
  readonly tags?: readonly string[] | undefined
  /** only workflows of these classes of the requirement catalogue */
  readonly safety?: readonly string[] | undefined
  /** only workflows that do this to the client */
  readonly effects?: readonly string[] | undefined
  /** where no flow is named: also the flows in `flows/conformance` */
  readonly conformance?: boolean | undefined
  /** folders that hold `flows/`, first match wins */
  readonly folders: readonly string[]
  /** where no flow is named: what a name may mean, so the flows of all folders, and not only those of the first that has any */
  readonly everywhere?: boolean | undefined
}

export interface Selection {
  /** in their order, with those that must have passed before */
  readonly selection: readonly Selected[]
  /** what would change a client and was not named, so that it does not run */
  readonly mustBeNamed: readonly Selected[]
}

export async function select(options: SelectionOptions, environment: Environment): Promise<Selection> {
  const { flows: names, isNamed = names.length > 0, step } = options
  const chosen = await choose(options)
  const wanted = step === undefined ? chosen : withStep(chosen, step)
  if (isNamed) return { selection: completed(wanted), mustBeNamed: [] }
  const [harmless = [], mustBeNamed = []] = [true, false].map((may) =>
    wanted.filter((one) => (mayRunUnnamed(one, environment) && isSafe(one, options, environment)) === may),
  )
  if (harmless.length > 0 || names.length > 0) return { selection: completed(harmless), mustBeNamed }
  return fail({
    code: 'USAGE',
    message: `nothing may run unnamed on "${environment.name}": ${inWords(chosen)} would change a client`,
    hint: `name what is to run: ${commandsFor(environment.flags)('runNamed', { flow: basename(chosen[0]?.flow.file ?? '', ENDING) })}`,
  })
}

/** Outside the class mock only a workflow that changes no client runs without being named. */
export function mayRunUnnamed(one: Selected, environment: Environment): boolean {
  return environment.class === 'mock' || completed([one]).every((other) => effectOf(other) === 'read')
}

/** Outside the class mock, what proves refusals runs unnamed only where it is always safe. */
function isSafe({ workflow }: Selected, { conformance }: SelectionOptions, environment: Environment): boolean {
  return !conformance || environment.class === 'mock' || (workflow.safety ?? 'A') === 'A'
}

/** The workflows that the options name, without those that they depend on. */
export async function choose({
  flows: names,
  workflow,
  conformance = false,
  everywhere = false,
  folders,
  tags = [],
  safety = [],
  effects = [],
}: SelectionOptions): Promise<readonly Selected[]> {
  const files =
    names.length > 0
      ? await together(...names.map((name) => locate(name, folders)))
      : [...(await allFlows(folders, everywhere)), ...(conformance ? await flowsIn(folders, CONFORMANCE) : [])]
  const flows = (await together(...files.map((file) => readFlow(file)))) as Flow[]
  const all = flows.flatMap((flow) => flow.workflows.map((one) => ({ flow, workflow: one })))
  const filters: readonly Filter[] = [
    { what: 'workflow', wanted: [workflow ?? []].flat(), of: (one) => [one.workflow.workflowId] },
    { what: 'workflow with the tag', wanted: tags, of: (one) => one.workflow.tags },
    { what: 'workflow of safety class', wanted: safety, of: (one) => [one.workflow.safety ?? ''] },
    { what: 'workflow with the effect', wanted: effects, of: (one) => [effectOf(one)] },
  ]
  return filters.reduce(filtered, all)
}

interface Filter {
  readonly what: string
  /** a workflow with any of these; empty: every workflow */
  readonly wanted: readonly string[]
  readonly of: (one: Selected) => readonly string[]
}

function filtered(all: readonly Selected[], { what, wanted, of }: Filter): readonly Selected[] {
  if (wanted.length === 0) return all
  const found = all.filter((one) => of(one).some((word) => wanted.includes(word)))
  if (found.length > 0) return found
  const known = [...new Set(all.flatMap(of))].filter((word) => word !== '')
  const meant = nearest(wanted[0] ?? '', known)
  return fail({
    code: 'USAGE',
    message: `no ${what} "${wanted.join('" or "')}" in the selected flows`,
    hint:
      meant !== undefined
        ? `did you mean "${meant}"?`
        : known.length === 0
          ? 'there is none'
          : `there are ${known.join(', ')}`,
  })
}

/** The workflows that have the step, reduced to it and what it needs. */
function withStep(chosen: readonly Selected[], step: string): readonly Selected[] {
  const found = chosen.flatMap(({ flow, workflow }) => {
    const reduced = onlyStep(workflow, step)
    return reduced === undefined ? [] : [{ flow, workflow: partOf(flow, reduced) }]
  })
  if (found.length > 0) return found
  for (const { flow, workflow } of chosen) {
    const nested = nestedSteps(flow, workflow).find(({ id }) => id === step || id.endsWith(`/${step}`))
    if (nested === undefined) continue
    const { stepId } = nested.outermost
    fail({
      code: 'USAGE',
      message: `step "${nested.id}" is part of what step "${stepId}" of workflow "${workflow.workflowId}" runs, and that is run whole`,
      hint: `run it with all its steps: --step ${stepId}`,
    })
  }
  const ids = chosen.flatMap(({ workflow }) => workflow.steps.flatMap(namesOfStep))
  const meant = nearest(step, ids)
  return fail({
    code: 'USAGE',
    message: `no step "${step}" in the selected workflows`,
    hint: meant === undefined ? `there are ${[...new Set(ids)].join(', ')}` : `did you mean "${meant}"?`,
  })
}

/** A part is judged by what it sends, and never says more of itself than the whole does. */
function partOf(flow: Flow, workflow: Workflow): Workflow {
  const sent = workflowEffect(flow, { ...workflow, effect: 'read' })
  const effect = sent === 'other' ? 'read' : sent
  // What must be done afterwards follows from what is left out.
  return isStronger(workflow.effect, effect) ? { ...workflow, effect, notice: undefined } : workflow
}

/** With the workflows that must have passed before; each once, before those that depend on it. */
function completed(chosen: readonly Selected[]): Selected[] {
  const all: Selected[] = []
  for (const { flow, workflow } of chosen) {
    for (const one of withDependencies(flow, workflow)) {
      const isSame = (other: Selected) =>
        other.flow.file === one.flow.file && other.workflow.workflowId === one.workflow.workflowId
      if (!all.some(isSame)) all.push(chosen.find(isSame) ?? one)
    }
  }
  return all
}

/** Flows, workflows and steps beside the selected ones that were not chosen. With any of them, a run is partial. */
export async function leftOut(
  selection: readonly Selected[],
  { folders }: Pick<SelectionOptions, 'folders'>,
): Promise<string[]> {
  const flows = [...new Set(selection.map(({ flow }) => flow))]
  const files = (await allFlows(folders).catch(() => [])).filter((file) => flows.every((flow) => flow.file !== file))
  const parts = flows.flatMap((flow) =>
    flow.workflows.flatMap(({ workflowId, steps }) => {
      const chosen = selection.find((one) => one.flow === flow && one.workflow.workflowId === workflowId)
      const name = `${basename(flow.file, ENDING)} / ${workflowId}`
      if (chosen === undefined) return [name]
      const kept = new Set(chosen.workflow.steps.flatMap(namesOfStep))
      const parts = steps.flatMap((step) => (kept.has(step.stepId) ? namesOfStep(step) : [step.stepId]))
      return parts.filter((part) => !kept.has(part)).map((part) => `${name} / ${part}`)
    }),
  )
  return [...files.map((file) => basename(file, ENDING)), ...parts]
}

const ENDING = '.arazzo.yaml'

async function locate(name: string, folders: readonly string[]): Promise<string> {
  const direct = resolve(folders[0] ?? '.', name)
  if (/[\\/]|\.(?:ya?ml|json)$/.test(name))
    return isSharedPart(direct) ? await refuseSharedPart(direct, folders) : direct
  for (const folder of folders) {
    const places = [join(folder, 'flows'), join(folder, CONFORMANCE)]
    const file = places.map((place) => join(place, `${name}${ENDING}`)).find((one) => existsSync(one))
    if (file !== undefined) return file
  }
  const known = [...(await allFlows(folders, true)), ...(await flowsIn(folders, CONFORMANCE))].map((file) =>
    basename(file, ENDING),
  )
  const meant = nearest(name, known)
  return fail({
    code: 'FLOW_FILE',
    message: `there is no flow "${name}"`,
    hint: meant === undefined ? `flows: ${known.join(', ')}; or give the path of a file` : `did you mean "${meant}"?`,
  })
}

/** What lies in a folder of that name is shared by flows, and never listed or run alone. */
const PARTS = 'parts'

function isSharedPart(file: string): boolean {
  return basename(dirname(file)) === PARTS
}

async function refuseSharedPart(file: string, folders: readonly string[]): Promise<never> {
  const flows = await allFlows(folders).catch(() => [])
  const users = (await Promise.allSettled(flows.map((one) => readFlow(one)))).flatMap((one) =>
    one.status === 'fulfilled' && one.value.apis.includes(file) ? [basename(one.value.file, ENDING)] : [],
  )
  return fail({
    code: 'USAGE',
    message: `"${file}" is a part that flows share, and is not run alone`,
    hint: users.length === 0 ? 'no flow uses it' : `run a flow that uses it: ${users.join(', ')}`,
  })
}

/** Flows that prove refusals: run only by name, or together by `--conformance`. */
const CONFORMANCE = join('flows', 'conformance')

/** The flow files in the first of the folders that has any there, or in all of them: of one name the first. */
async function flowsIn(folders: readonly string[], place: string, everywhere = false): Promise<string[]> {
  const found = new Map<string, string>()
  for (const folder of folders) {
    const flows = join(folder, place)
    if (!existsSync(flows)) continue
    const names = (await readdir(flows)).filter((name) => name.endsWith(ENDING) && !found.has(name)).sort()
    for (const name of names) found.set(name, join(flows, name))
    if (found.size > 0 && !everywhere) break
  }
  return [...found.values()]
}

async function allFlows(folders: readonly string[], everywhere = false): Promise<string[]> {
  const found = await flowsIn(folders, 'flows', everywhere)
  if (found.length > 0) return found
  return fail({
    code: 'FLOW_FILE',
    message: 'there is no folder "flows" here',
    hint: 'run in a clone of the repository, or name a flow file',
  })
}

export function folderName(selection: readonly Selected[]): string {
  const ids = [...new Set(selection.map(({ workflow }) => workflow.workflowId.replace(/[^A-Za-z0-9_-]/g, '_')))]
  const joined = ids.join('+')
  return joined.length <= 60
    ? joined
    : `${ids.length}-workflows-${createHash('sha256').update(joined).digest('hex').slice(0, 6)}`
}

/** Waits for all of the work, and throws the problems of all of it at once. */
export async function together<T extends readonly unknown[]>(
  ...work: { readonly [K in keyof T]: Promise<T[K]> }
): Promise<T> {
  const results = await Promise.allSettled(work)
  const problems: Problem[] = []
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    if (!(result.reason instanceof ToolError)) throw result.reason
    problems.push(...result.reason.problems)
  }
  if (isNonEmpty(problems)) throw new ToolError(problems)
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T
}
