/** `thredd run`: a run on this terminal, or as one JSON object a line. */
import { readlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { RunEvent } from '../../execute/index.ts'
import { ToolError } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import type { RecordHead } from '../../record/index.ts'
import { USUAL_FORMATS } from '../../report/index.ts'
import type { JudgedRequirement } from '../../report/proofs.ts'
import { jsonLine, type StreamEvent } from '../../report/stream.ts'
import { summarise } from '../../report/summary.ts'
import { type Caller, type GivenEvent, type PreparedEvent, rehearse, resolve, run, Unwritten } from '../../run/index.ts'
import type { Invocation, Program } from './command.ts'
import { consoleOn, type Detail } from './console.ts'
import { formatsOf } from './formats.ts'
import { inNumbers } from './requirements.ts'
import { RowScreen } from './row-screen.ts'
import { callerOf, hasRows, typed, untilCut, whenUnwritten } from './run-options.ts'

export async function performRun(invocation: Invocation, program: Program): Promise<number> {
  keepMemoryFlat()
  return await untilCut(program, async (stops) => {
    const caller = { ...callerOf(invocation, program, stops), formats: [...USUAL_FORMATS, ...formatsOf(invocation)] }
    const latest = await latestIn(caller)
    try {
      return invocation.has('json')
        ? await runAsJson(invocation, caller, program)
        : await runOnScreen(invocation, caller, program)
    } catch (error) {
      // Whoever reads reports/latest next would take the older run for this one.
      if (latest !== undefined && !invocation.has('dry-run') && (await latestIn(caller)) === latest)
        program.warn(line`note: this run wrote no record; "latest" of the reports is still ${latest}\n`)
      throw error
    }
  })
}

/** A shard of a list with fewer clients than shards. It makes no record; a merge of the others needs none. */
function hasNothingToRun({ rows }: Awaited<ReturnType<typeof resolve>>, { warn }: Program): boolean {
  if (rows === undefined || rows.rows.length > 0) return false
  const { index, of } = rows.record.shard ?? {}
  warn(line`shard ${index} of ${of} has none of the ${rows.total} rows: nothing is sent, and no record is made\n`)
  return true
}

/** The name of the run that "latest" points at. */
async function latestIn({ out = '' }: Pick<Caller, 'out'>): Promise<string | undefined> {
  return await readlink(join(out, 'latest')).catch(() => undefined)
}

function detailOf(invocation: Invocation): Detail {
  return invocation.has('wire') ? 'wire' : invocation.has('verbose') ? 'bodies' : 'none'
}

async function runOnScreen(invocation: Invocation, caller: Caller, program: Program): Promise<number> {
  const { stdout, here, variables, write } = program
  using rows = hasRows(invocation) ? new RowScreen(stdout, program, detailOf(invocation)) : undefined
  using out = rows?.console ?? consoleOn(stdout, program, detailOf(invocation))
  const request = await resolve(typed(invocation, program))
  if (hasNothingToRun(request, program)) return 0
  if (invocation.has('dry-run')) {
    out.preview(await rehearse(request, caller))
    return 0
  }
  const onGithub = variables.GITHUB_ACTIONS === 'true'
  const annotate = onGithub ? (await import('../../report/annotations.ts')).githubAnnotations : () => []
  let annotations: readonly string[] = []
  let requirements: readonly JudgedRequirement[] = []
  const { head, file } = await run(request, {
    ...caller,
    onEvent: (event, row) => (rows === undefined ? out.show(event) : rows.event(event, row)),
    onRow: (event) => rows?.row(event),
    onFinished: (head, workflows) => {
      annotations = annotate(head, workflows)
      if (wantsRequirements(invocation)) requirements = summarise(head, workflows).requirements
    },
  }).catch(
    whenUnwritten(program, (...all) => {
      rows?.end()
      out.summary(...all)
    }),
  )
  rows?.end()
  if (requirements.length > 0) out.requirements(requirements, invocation.has('requirements'))
  out.summary(head, relative(here, file))
  for (const line of annotations) write(`${line}\n`)
  return head.exitCode
}

async function runAsJson(invocation: Invocation, caller: Caller, program: Program): Promise<number> {
  const { here, write } = program
  const stream = (event: StreamEvent, rowNumber?: number) => write(jsonLine(event, rowNumber))
  try {
    const request = await resolve(typed(invocation, program))
    if (hasNothingToRun(request, program)) return 0
    if (invocation.has('dry-run')) {
      stream({ type: 'dry-run', ...(await rehearse(request, caller)) })
      return 0
    }
    const { head, file } = await run(request, {
      ...caller,
      onEvent: (event, row) => stream(streamed(event), row?.number),
      onRow: (event) => stream(event),
      onFinished: (head, workflows) => {
        if (wantsRequirements(invocation)) stream(requirementsOf(summarise(head, workflows).requirements))
      },
    })
    stream(finished(head, { exitCode: head.exitCode, record: relative(here, file) }))
    return head.exitCode
  } catch (error) {
    if (error instanceof Unwritten) {
      const { head, file, exitCode, problems } = error
      stream(finished(head, { exitCode, problems, record: file && relative(here, file) }))
    } else if (error instanceof ToolError) {
      const { exitCode, problems, warnings } = error
      stream({ type: 'refused', exitCode, problems, warnings })
    }
    throw error
  }
}

function finished(
  { verdict, decisions, messagesToThredd = [] }: RecordHead,
  rest: Pick<Extract<StreamEvent, { type: 'run-finished' }>, 'exitCode' | 'record' | 'problems'>,
): StreamEvent {
  return { type: 'run-finished', verdict, accepted: decisions?.rows ?? [], messagesToThredd, ...rest }
}

function wantsRequirements(invocation: Invocation): boolean {
  return invocation.has('conformance') || invocation.has('requirements')
}

function requirementsOf(requirements: readonly JudgedRequirement[]): StreamEvent {
  const rows = requirements.map(({ requirement: { id }, standing, because }) => ({ id, standing, because }))
  return { type: 'requirements', inNumbers: inNumbers(requirements), rows }
}

/** Garbage is collected before hundreds of megabytes of it lie about: docs/decisions/0005-v8-flags.md has the figures. */
function keepMemoryFlat(): void {
  for (const flag of ['--semi-space-growth-factor=1', '--heap-growing-percent=25']) setFlagsFromString(flag)
}

/** An event as it is printed for other programs, without the plan that it carries within this one. */
function streamed(event: RunEvent | PreparedEvent | GivenEvent): StreamEvent {
  switch (event.type) {
    case 'prepared': {
      const { environment, counterparty, warnings, given, waiting, rows } = event
      const { name, class: kind } = environment
      return { type: 'run-started', environment: name, class: kind, counterparty, warnings, given, waiting, rows }
    }
    case 'given': {
      const { setUp, ...given } = event.given
      return { type: event.type, given: { ...given, setUp: setUp?.map(({ workflowId }) => workflowId) } }
    }
    case 'workflow-started': {
      const { workflow, steps } = event.planned
      return { type: event.type, workflowId: workflow.workflowId, steps: steps.map(({ step }) => step.stepId) }
    }
    case 'workflow-finished': {
      const { steps: _, ...workflow } = event.workflow
      return { type: event.type, workflow }
    }
    default:
      return event
  }
}
