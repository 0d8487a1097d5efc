/** `thredd list` and `thredd show`: the flows there are, and all of one. As text of at most 100 columns, or as JSON. */
import { loadEnvironment } from '../../environment/index.ts'
import { EFFECT_WORDS } from '../../guard/confirmation.ts'
import { fail } from '../../record/errors.ts'
import { count } from '../../report/words.ts'
import {
  detailsOf,
  type InputDetails,
  type Overview,
  overviewOf,
  type StepDetails,
  type WorkflowDetails,
  type WorkflowOverview,
} from '../../run/overview.ts'
import type { Invocation, Program } from './command.ts'
import { harmless, Printer, type Screen } from './printer.ts'
import { environmentOptions, selectionOf, twinFolder } from './run-options.ts'

const COLUMNS = 100

export async function performList(invocation: Invocation, program: Program): Promise<number> {
  const overview = await overviewOf(await surveyOptions(invocation, program))
  if (invocation.has('json')) program.write(`${JSON.stringify(overview, null, 2)}\n`)
  else writeList(overview, screenOf(program))
  return 0
}

export async function performShow(invocation: Invocation, program: Program): Promise<number> {
  if (invocation.words.length === 0)
    fail({ code: 'USAGE', message: 'which flow? name it', hint: 'thredd list shows all of them' })
  const details = await detailsOf(await surveyOptions(invocation, program))
  if (invocation.has('json')) program.write(`${JSON.stringify(details, null, 2)}\n`)
  else writeDetails(details, screenOf(program))
  return 0
}

async function surveyOptions(invocation: Invocation, program: Program): Promise<Parameters<typeof overviewOf>[0]> {
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  new Printer({ write: program.warn, stream: program.stderr, here: program.here }).warnings(environment.warnings)
  return {
    environment,
    inputs: invocation.pairs('input'),
    twinFolder: twinFolder(program),
    selection: selectionOf(invocation, program),
  }
}

function screenOf({ write, stdout, here }: Program): Screen {
  return { write, stream: stdout, here }
}

/** One block a workflow: what it does, changes and needs, and what is missing here. */
export function writeList({ environment, workflows }: Overview, screen: Screen): void {
  const out = new Printer(screen)
  const ready = workflows.filter((one) => one.ready).length
  const width = Math.max(0, ...workflows.map((one) => nameOf(one).length))
  out.line(
    `environment ${out.paint('bold', environment)} · ${ready === workflows.length ? 'ready for all of' : `ready for ${ready} of`} ${count(workflows.length, 'workflow')}`,
  )
  for (const one of workflows) {
    const mark = one.ready ? out.paint('green', '✓') : out.paint('red', '✗')
    out.line('', `${mark} ${out.paint('bold', nameOf(one).padEnd(width))}  ${changesOf(one)}`)
    out.line(...wrapped(one.summary ?? one.title, '    '))
    if (one.tags.length > 0) out.line(...labelled('tags', one.tags.join(', '), 4, 9))
    for (const [label, text] of needsOf(one)) out.line(...labelled(label, text, 4, 9))
    for (const [label, text] of obstaclesOf(one))
      out.line(...labelled(label, out.relative(text), 4, 9).map((part) => out.paint('red', part)))
  }
  out.line('', 'thredd show <flow> tells all of one: its story, steps, inputs and criteria')
}

/** Everything the file says of each workflow, and the source of each value in this environment. */
function writeDetails(details: readonly WorkflowDetails[], screen: Screen): void {
  const out = new Printer(screen)
  for (const [index, one] of details.entries()) {
    if (index > 0) out.line('')
    out.line(`${out.paint('bold', nameOf(one))}  ${one.title}`, out.paint('dim', out.relative(one.file)))
    out.line('', ...wrapped(one.description ?? one.summary ?? '', '  '))
    out.line('')
    out.line(...labelled('changes', changesOf(one), 2, 9))
    if (one.tags.length > 0) out.line(...labelled('tags', one.tags.join(', '), 2, 9))
    for (const [label, text] of needsOf(one)) out.line(...labelled(label, text, 2, 9))
    if (one.clauses.length > 0) out.line(...labelled('clauses', one.clauses.join(', '), 2, 9))
    if (one.ready) out.line(...labelled('ready', 'yes', 2, 9))
    for (const { code, message, hint } of one.missing) {
      const label = isAbsent(code) ? 'missing' : 'because'
      out.line(...labelled(label, out.relative(message), 2, 9).map((text) => out.paint('red', text)))
      if (hint !== undefined) out.line(...wrapped(out.relative(hint), '           '))
    }
    writeSteps(one.steps, out)
    writeInputs(one.inputs, out)
    if (one.outputs.length > 0) out.line('', out.paint('bold', '  returns'), ...wrapped(one.outputs.join(', '), '    '))
    if (one.notice !== undefined) out.line('', out.paint('bold', '  afterwards'), ...wrapped(one.notice, '    '))
  }
}

function writeSteps(steps: readonly StepDetails[], out: Printer): void {
  out.line('', out.paint('bold', '  steps'))
  const digits = String(steps.length).length
  for (const [index, step] of steps.entries()) {
    const { stepId, method, url, identity, description, cases } = step
    const number = String(index + 1).padStart(digits)
    const about = [
      step.finally ? 'always runs' : undefined,
      identity && (identity === 'none' ? 'no certificate' : `certificate ${identity}`),
    ]
    out.line(
      `  ${number} ${out.paint('bold', stepId)}  ${out.paint('dim', about.filter(Boolean).join(' · '))}`.trimEnd(),
    )
    const indent = ' '.repeat(digits + 3)
    if (description !== undefined) out.line(...wrapped(description, indent))
    out.line(`${indent}${method} ${harmless(url)}`)
    if (cases.length > 0) out.line(...wrapped(`cases: ${cases.join(', ')}`, indent))
    if (step.clauses.length > 0)
      out.line(...wrapped(step.clauses.join(', '), indent).map((text) => out.paint('dim', text)))
    for (const { text, level, clauses } of step.criteria) {
      const note = [level === 'must' ? undefined : level, ...clauses].filter(Boolean).join(', ')
      out.line(...wrapped(text, `${indent}  `, `${indent}- `))
      if (note !== '') out.line(...wrapped(note, `${indent}  `).map((one) => out.paint('dim', one)))
    }
  }
}

function writeInputs(inputs: readonly InputDetails[], out: Printer): void {
  if (inputs.length === 0) return
  out.line('', out.paint('bold', '  inputs'))
  const width = Math.max(...inputs.map(({ name }) => name.length))
  const sources = Math.max(...inputs.map(({ source }) => source.length))
  for (const { name, source, value, required, description } of inputs) {
    const text = harmless(textOf(value))
    const head = `  ${required ? '*' : ' '} ${name.padEnd(width)}  ${out.paint('dim', source.padEnd(sources))}`
    const fits = width + sources + text.length + 8 <= COLUMNS
    out.line(`${head}${fits ? `  ${text}` : ''}`.trimEnd())
    if (!fits) out.line(...wrapped(text, '      '))
    if (description !== undefined) out.line(...wrapped(description, '      ').map((one) => out.paint('dim', one)))
  }
  out.line(out.paint('dim', '  * required; --input name=value sets any'))
}

function textOf(value: unknown): string {
  if (value === undefined || typeof value === 'string') return value ?? ''
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
  return isList ? value.join(' ') : JSON.stringify(value)
}

function changesOf({ effect, safety }: WorkflowOverview): string {
  return `${EFFECT_WORDS[effect]}${safety === undefined ? '' : ` · class ${safety}`}`
}

function needsOf(one: WorkflowOverview): readonly (readonly [string, string])[] {
  const needs = [
    ...one.settings,
    ...(one.signs ? ['signing key'] : []),
    ...one.identities.map((name) => `certificate ${name}`),
  ]
  return [
    ...(needs.length === 0 ? [] : [['needs', needs.join(', ')] as const]),
    ...one.given.map(({ means, how }) => ['given', `${means}${SEEN_TO[how]}`] as const),
    ...(one.confirm ? [['confirm', 'the client id is asked for, or given with --confirm'] as const] : []),
  ]
}

/** What is not there by its name; of what is there and cannot be used, why. */
function obstaclesOf({ missing }: WorkflowOverview): readonly (readonly [string, string])[] {
  const absent = missing.filter(({ code }) => isAbsent(code)).map(({ what }) => what)
  const unusable = missing.filter(({ code }) => !isAbsent(code))
  return [
    ...(absent.length === 0 ? [] : [['missing', absent.join(', ')] as const]),
    ...unusable.map(({ message }) => ['because', message] as const),
  ]
}

function isAbsent(code: string): boolean {
  return ['ENV_MISSING', 'IDENTITY_MISSING', 'INPUT_MISSING'].includes(code)
}

/** Who makes sure that the state holds before the workflow runs. */
const SEEN_TO: Readonly<Record<WorkflowOverview['given'][number]['how'], string>> = {
  'made on the twin': ' (made so on the twin)',
  'in the vault': '',
  'not checked': ' (yours to see to)',
}

/** The name of the flow, with that of the workflow where they differ, since a file may hold several. */
function nameOf({ flow, workflowId }: WorkflowOverview): string {
  return flow === workflowId ? flow : `${flow} --workflow ${workflowId}`
}

function labelled(label: string, text: string, indent: number, width: number): string[] {
  const rest = ' '.repeat(indent + width)
  return wrapped(text, rest, `${' '.repeat(indent)}${label.padEnd(width)}`)
}

/** Wraps each paragraph of a text anew. A word that is too long for a line, such as an address, stays whole. */
function wrapped(text: string, indent: string, first = indent): string[] {
  return text
    .trim()
    .split(/\n\s*\n/)
    .flatMap((paragraph, index) => {
      const lines: string[] = []
      let line = index === 0 ? first : indent
      let isEmpty = true
      for (const word of harmless(paragraph.replace(/\s+/g, ' ')).split(' ')) {
        if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
          lines.push(line)
          line = indent
          isEmpty = true
        }
        line += isEmpty ? word : ` ${word}`
        isEmpty = false
      }
      return [...(index === 0 ? [] : ['']), ...lines, line.trimEnd()]
    })
}
