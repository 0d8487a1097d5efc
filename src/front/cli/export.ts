/** `thredd export`: the requests of a flow, a step or a stored run for curl, Postman or a browser's tools. Sends nothing; no secret is in it. */
import { existsSync } from 'node:fs'
import { join, relative, resolve as resolvePath } from 'node:path'
import { fail } from '../../record/errors.ts'
import { line, lines } from '../../record/foreign.ts'
import { whyUnread } from '../../record/regular-file.ts'
import { replaceFile } from '../../record/replace-file.ts'
import { locateRun, readRecord } from '../../record/stored.ts'
import { rehearse, resolve } from '../../run/index.ts'
import { curlScript, harArchive, postmanCollection } from '../export/formats.ts'
import { type Outline, originOf, outlineOf, statusOf } from '../export/outputs.ts'
import { type After, type Exported, requestsOfPreview, requestsOfRun, variablesToSet } from '../export/requests.ts'
import type { Invocation, Program } from './command.ts'
import { callerOf, runNamed, typed, untilStopped } from './run-options.ts'

const FORMATS = ['curl', 'postman', 'har'] as const

export async function performExport(invocation: Invocation, program: Program): Promise<number> {
  const [word, ...names] = invocation.words
  const format = FORMATS.find((one) => one === word)
  if (format === undefined)
    return fail({ code: 'USAGE', message: `"thredd export ${word ?? ''}" is no format`, expected: FORMATS.join(', ') })
  const { exported, title, outline } = await requestsFor(names, invocation, program)
  const toSet = variablesToSet(exported)
  const text = {
    curl: () => curlScript(exported, { title, toSet }, (request) => afterOf(request, exported, outline)),
    har: () => `${harArchive(exported, program.version)}\n`,
    postman: () =>
      `${postmanCollection(exported, { title, toSet }, (request) => afterOf(request, exported, outline))}\n`,
  }[format]()
  await put(text, invocation, program)
  if (toSet.length > 0) program.warn(line`variables to set before it is sent: ${toSet.join(', ')}\n`)
  return 0
}

interface Found {
  readonly exported: Exported
  readonly title: string
  /** of the flows that the requests are of, by workflow */
  readonly outline: ReadonlyMap<string, Outline>
}

async function requestsFor(names: readonly string[], invocation: Invocation, program: Program): Promise<Found> {
  const run = invocation.text('run')
  if (run !== undefined) {
    const path = runNamed(run, program)
    const reports = join(program.project, 'reports')
    const record = await readRecord(await locateRun(path === 'latest' ? undefined : path, reports))
    const workflows = record.workflows.filter(({ workflowId }) => names.length === 0 || names.includes(workflowId))
    return {
      exported: requestsOfRun({ ...record, workflows }),
      title: `thredd run ${record.runId}`,
      outline: new Map(),
    }
  }
  if (names.length === 0)
    fail({ code: 'USAGE', message: 'the export needs a flow or a run', expected: 'thredd export postman register' })
  return await untilStopped(async (signal) => {
    const options = typed(invocation, program)
    const request = await resolve({ ...options, selection: { ...options.selection, flows: names } })
    const { workflows } = await rehearse(request, callerOf(invocation, program, { signal }))
    const outlines = await Promise.all(
      request.selection.map(async ({ flow, workflow }) => [workflow.workflowId, await outlineOf(flow.file)] as const),
    )
    return {
      exported: requestsOfPreview(workflows, request.environment.ca !== undefined),
      title: `thredd ${names.join(', ')}`,
      outline: new Map(outlines),
    }
  })
}

function afterOf(
  { workflowId, name, after }: Exported['requests'][number],
  { wanted }: Exported,
  outlines: Found['outline'],
): After {
  const outline = outlines.get(workflowId)
  if (outline === undefined) return after ?? { status: undefined, captures: [] }
  const captures = wanted.flatMap(({ variable, stepId, output }) => {
    const origin = originOf(outline, workflowId, stepId, output)
    return origin?.stepId === name ? [{ variable, expression: origin.expression }] : []
  })
  return { status: statusOf(outline, workflowId, name), captures }
}

async function put(text: string, invocation: Invocation, { here, write, warn }: Program): Promise<void> {
  const out = invocation.text('out')
  // Control characters are escaped on a terminal; a file gets the text unchanged.
  if (out === undefined) return write(lines(text))
  const file = resolvePath(here, out)
  if (existsSync(file) && !invocation.has('yes'))
    fail({ code: 'USAGE', message: `"${out}" is there; nothing was written`, hint: 'name another file, or add --yes' })
  await replaceFile(file, text, 0o644).catch((cause) =>
    fail(
      { code: 'USAGE', message: `"${out}" cannot be written: ${whyUnread(cause)}`, hint: 'name another file' },
      cause,
    ),
  )
  warn(line`${relative(here, file)}\n`)
}
