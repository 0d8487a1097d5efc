/**
 * Reads one step: what it calls, what it sends and whether the operation takes that, how its answer is judged, and its x-dcr
 * members. Earlier steps are reached only through the scope.
 */

import type { Fields } from '../document/fields.ts'
import type { Path } from '../document/model.ts'
import type { Operation } from '../openapi/description.ts'
import { parseActions, parseInvocation, retriedThrough } from './actions.ts'
import { alterationsAt, casesAt } from './alteration.ts'
import { parseRequestBody } from './body.ts'
import type { CallStep, Dependency, Step } from './model.ts'
import { checkFit, parametersOf, type Shared } from './parameters.ts'
import { PROBES, type ProbeName } from './probes.ts'
import { type Scope, type Shape, type Stage, textOf, texts } from './scope.ts'
import { ARAZZO } from './structure.ts'
import { findCall, TARGETS } from './target.ts'

export function parseStep(scope: Scope, path: Path, shared: Shared): Step | undefined {
  const { reader } = scope
  const what = reader.nameOf(path, 'step', 'stepId')
  const fields = reader.object(path, what, ARAZZO.step)
  if (fields === undefined) return undefined
  const stepId = String(fields.stepId)
  if (!/^[A-Za-z0-9_-]+$/.test(stepId)) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `stepId "${stepId}" is not usable`,
        expected: 'letters, digits, "_" and "-"',
      },
      [...path, 'stepId'],
    )
  }
  const targets = TARGETS.filter((name) => fields[name] !== undefined)
  if (targets.length > 1) {
    const message = `${what} says twice what to call`
    reader.add({ code: 'FLOW_STRUCTURE', message, expected: targets.join(' or ') }, path)
  }
  const extension = reader.extension(path, what, 'step')
  const place: Place = { path, what, fields, extension, stepId }
  return fields.workflowId === undefined ? parseCall(scope, place, shared) : parseWorkflowStep(scope, place, shared)
}

interface Place {
  readonly path: Path
  readonly what: string
  readonly fields: Fields
  readonly extension: Fields | undefined
  readonly stepId: string
}

function parseCall(scope: Scope, place: Place, shared: Shared): CallStep | undefined {
  const { reader } = scope
  const { path, what, fields, extension } = place
  const found = findCall(scope, fields, what, path)
  const parameters = parametersOf(scope, path, what, shared)
  const own = textOf(extension?.url)
  const url = own === undefined ? undefined : scope.template(own, [...path, 'x-dcr', 'url'], 'request')
  const requestBody = parseRequestBody(scope, found?.operation, what, [...path, 'requestBody'])
  const base = common(scope, place, 'response')
  const request = { payload: requestBody?.payload, parameters }
  const alterations = alterationsAt(scope, [...path, 'x-dcr', 'alter'], { what, request })
  if (found === undefined) return undefined
  // By another method, or for a probe, it need not carry what the operation requires.
  const isBare = alterations.some(({ place }) => place === 'method') || extension?.probe !== undefined
  const hasBody = fields.requestBody !== undefined || isBare
  checkFit(reader, found.operation, { parameters, url, hasBody }, what, path)
  const step: CallStep = {
    ...base,
    kind: 'call',
    source: found.source,
    operation: found.operation,
    parameters: parameters.map(({ path: _, ...parameter }) => parameter),
    requestBody,
    identity: typeof extension?.identity === 'string' ? extension.identity : 'transport',
    identityAt: reader.document.at(extension?.identity === undefined ? path : [...path, 'x-dcr', 'identity']),
    url: url ?? found.url,
    expectRefused: extension?.expect === 'refused',
    alterations,
    probe: probeOf(scope, place, found.operation),
    cases: [],
  }
  return { ...step, cases: casesAt(scope, path, { what, step, control: extension?.control }) }
}

/** What a probe judges by itself, so that a step cannot say it. */
const NOT_WITH_PROBE = ['expect', 'alter', 'cases', 'control']

function probeOf(scope: Scope, { path, what, fields, extension }: Place, operation: Operation): ProbeName | undefined {
  const { reader } = scope
  const probe = textOf(extension?.probe)
  if (probe === undefined || !Object.hasOwn(PROBES, probe)) return undefined
  const name = probe as ProbeName
  const wrong = (message: string, own: Path, expected?: string) =>
    reader.add({ code: 'FLOW_STRUCTURE', message, ...(expected === undefined ? {} : { expected }) }, own)
  for (const member of NOT_WITH_PROBE.filter((one) => extension?.[one] !== undefined))
    wrong(`"${member}" of ${what} has no meaning, since it makes a probe`, [...path, 'x-dcr', member])
  for (const member of ['successCriteria', 'outputs', 'onSuccess', 'onFailure'].filter(
    (one) => fields[one] !== undefined,
  ))
    wrong(`"${member}" of ${what} has no meaning, since a probe has no answer of its own`, [...path, member])
  const isSafe = operation.method === 'GET' || operation.mark === 'safe'
  if (PROBES[name].sends && !isSafe)
    wrong(`${what} repeats a call that changes something`, path, 'a GET, or an operation with x-dcr: { safe: true }')
  if (name === 'resumed-session' && extension?.identity !== 'none')
    wrong(`${what} looks at a session without a certificate`, path, 'identity: none')
  return name
}

/** Members of x-dcr that concern a request, which a step that runs a workflow does not send. */
const OF_REQUESTS = ['identity', 'url', 'expect', 'alter', 'cases', 'control', 'probe']

function parseWorkflowStep(scope: Scope, place: Place, shared: Shared): Step | undefined {
  const { reader } = scope
  const { path, what, fields, extension } = place
  const misplaced = (member: string, own: Path) =>
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `"${member}" of ${what} has no meaning, since it runs a workflow`,
        hint: 'put it on a step of that workflow',
      },
      own,
    )
  if (fields.requestBody !== undefined) {
    const message = `"requestBody" of ${what} is not supported, since it runs a workflow`
    reader.add({ code: 'FLOW_UNSUPPORTED', message, hint: 'pass parameters' }, [...path, 'requestBody'])
  }
  for (const member of OF_REQUESTS.filter((name) => extension?.[name] !== undefined))
    misplaced(member, [...path, 'x-dcr', member])
  const invocation = parseInvocation(scope, String(fields.workflowId), {
    path,
    named: what,
    stage: 'request',
    shared: shared.toWorkflows,
  })
  if (invocation?.source === undefined && invocation !== undefined) scope.run.add(invocation.workflowId)
  const base = common(scope, place, { called: invocation?.shape ?? NOTHING })
  if (invocation === undefined) return undefined
  const { shape, ...told } = invocation
  return { ...base, kind: 'workflow', invocation: told }
}

/** Used for a workflow that does not exist, so that its absence is reported once and not again by what depends on it. */
const NOTHING: Shape = { workflowId: '', inputs: new Set(), outputs: new Set(), stepIds: new Set(), dependsOn: [] }

/** What all steps have. The step's outputs are known to the scope from here on. */
function common(scope: Scope, { path, what, fields, extension, stepId }: Place, stage: Stage) {
  const { reader } = scope
  for (const workflowId of retriedThrough(reader, [...path, 'onFailure'])) scope.run.add(workflowId)
  const criteria = scope.criteria([...path, 'successCriteria'], what, stage)
  if (Array.isArray(fields.successCriteria) && fields.successCriteria.length === 0) {
    reader.add({ code: 'FLOW_STRUCTURE', message: `"successCriteria" of ${what} is empty`, expected: 'at least one' }, [
      ...path,
      'successCriteria',
    ])
  }
  const outputs = scope.outputs(fields.outputs, [...path, 'outputs'], stage)
  scope.outputsOf.set(stepId, new Set(outputs.keys()))
  const isFinal = extension?.finally === true
  const onSuccess = parseActions(scope, [...path, 'onSuccess'], { kind: 'success', what, stage })
  const onFailure = parseActions(scope, [...path, 'onFailure'], { kind: 'failure', what, stage })
  if (isFinal && [...onSuccess, ...onFailure].some(({ type }) => type !== 'retry')) {
    reader.add(
      {
        code: 'FLOW_STRUCTURE',
        message: `${what} always runs, so it leads nowhere`,
        expected: 'actions of type retry',
      },
      path,
    )
  }
  return {
    stepId,
    description: textOf(fields.description),
    at: reader.document.at(path),
    criteria,
    outputs,
    clauses: texts(extension?.clauses),
    timeoutMs: fields.timeout as number | undefined,
    dependsOn: dependencies(scope, texts(fields.dependsOn), { path: [...path, 'dependsOn'], what, stepId }),
    finally: isFinal,
    retrySafe: extension?.retrySafe === true,
    onSuccess,
    onFailure,
  }
}

/** A step of another workflow, in the same document or in another one. */
const OF_WORKFLOW =
  /^(\$workflows\.[A-Za-z0-9_-]+|\$sourceDescriptions\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\.steps\.([A-Za-z0-9_-]+)$/

function dependencies(
  scope: Scope,
  names: readonly string[],
  { path, what, stepId }: { readonly path: Path; readonly what: string; readonly stepId: string },
): Dependency[] {
  return names.flatMap((name, index): Dependency[] => {
    const own: Path = [...path, index]
    const [, workflow, foreign] = OF_WORKFLOW.exec(name) ?? []
    if (workflow !== undefined && foreign !== undefined) {
      const found = scope.workflowNamed(workflow.replace(/^\$workflows\./, ''), own)
      if (found === undefined) return []
      const { source, workflowId, shape } = found
      if (!shape.stepIds.has(foreign)) {
        scope.unknownName('step', foreign, shape.stepIds, own, 0, ` of workflow "${workflowId}"`)
      } else if (scope.hasEnded(shape)) return [{ workflow: { source, workflowId }, stepId: foreign }]
      else {
        scope.reader.add(
          {
            code: 'FLOW_REFERENCE',
            message: `${what} depends on workflow "${workflowId}", which this workflow does not wait for`,
            hint: 'add it to dependsOn of this workflow',
          },
          own,
        )
      }
    } else if (name.startsWith('$')) {
      scope.reader.add(
        {
          code: 'FLOW_REFERENCE',
          message: `"${name}" does not name a step`,
          expected:
            'a stepId, $workflows.<workflowId>.steps.<stepId> or $sourceDescriptions.<name>.<workflowId>.steps.<stepId>',
        },
        own,
      )
    } else if (name === stepId) {
      scope.reader.add({ code: 'FLOW_STRUCTURE', message: `${what} depends on itself` }, own)
    } else if (!scope.stepIds.has(name)) {
      scope.unknownName('step', name, scope.stepIds, own)
    } else return [{ stepId: name }]
    return []
  })
}
