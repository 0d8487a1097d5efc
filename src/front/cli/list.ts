/** `thredd list` and `thredd show`: flows as a person chooses and reads them. Text only, at most 100 columns. */
import { styleText } from 'node:util'
import { EFFECT_WORDS } from '../../guard/confirmation.ts'
import { count } from '../../report/words.ts'
import type { InputDetails, Overview, StepDetails, WorkflowDetails, WorkflowOverview } from '../../run/survey.ts'
import { harmless } from './console.ts'

const COLUMNS = 100

type Style = Parameters<typeof styleText>[0]

export interface Page {
  readonly write: (text: string) => void
  /** the stream that decides about colour */
  readonly stream: NodeJS.WritableStream
  /** paths as the person at this prompt would write them */
  readonly near: (text: string) => string
}

/** One block a workflow: what it does, changes and needs, and what is missing here. */
export function writeList({ environment, workflows }: Overview, page: Page): void {
  const { line, paint } = printer(page)
  const ready = workflows.filter((one) => one.ready).length
  const width = Math.max(0, ...workflows.map((one) => nameOf(one).length))
  line(
    `environment ${paint('bold', environment)} · ${ready === workflows.length ? 'ready for all of' : `ready for ${ready} of`} ${count(workflows.length, 'workflow')}`,
  )
  for (const one of workflows) {
    const mark = one.ready ? paint('green', '✓') : paint('red', '✗')
    line('', `${mark} ${paint('bold', nameOf(one).padEnd(width))}  ${changesOf(one)}`)
    line(...wrapped(one.summary ?? one.title, '    '))
    if (one.tags.length > 0) line(...labelled('tags', one.tags.join(', '), 4, 9))
    for (const [label, text] of needsOf(one)) line(...labelled(label, text, 4, 9))
    if (!one.ready) {
      const [first = '', ...rest] = labelled('missing', one.missing.map(({ what }) => what).join(', '), 4, 9)
      line(paint('red', first), ...rest.map((text) => paint('red', text)))
    }
  }
  line('', 'thredd show <flow> tells all of one: its story, steps, inputs and criteria')
}

/** Everything that stands in the file of each workflow, and where its values come from here. */
export function writeDetails(details: readonly WorkflowDetails[], page: Page): void {
  const { line, paint } = printer(page)
  for (const [index, one] of details.entries()) {
    if (index > 0) line('')
    line(`${paint('bold', nameOf(one))}  ${one.title}`, paint('dim', page.near(one.file)))
    line('', ...wrapped(one.description ?? one.summary ?? '', '  '))
    line('')
    line(...labelled('changes', changesOf(one), 2, 9))
    if (one.tags.length > 0) line(...labelled('tags', one.tags.join(', '), 2, 9))
    for (const [label, text] of needsOf(one)) line(...labelled(label, text, 2, 9))
    if (one.clauses.length > 0) line(...labelled('clauses', one.clauses.join(', '), 2, 9))
    if (one.ready) line(...labelled('ready', 'yes', 2, 9))
    for (const { message, hint } of one.missing) {
      line(...labelled('missing', page.near(message), 2, 9).map((text) => paint('red', text)))
      if (hint !== undefined) line(...wrapped(page.near(hint), '           '))
    }
    writeSteps(one.steps, { line, paint })
    writeInputs(one.inputs, { line, paint })
    if (one.outputs.length > 0) line('', paint('bold', '  returns'), ...wrapped(one.outputs.join(', '), '    '))
    if (one.notice !== undefined) line('', paint('bold', '  afterwards'), ...wrapped(one.notice, '    '))
  }
}

type Printer = ReturnType<typeof printer>

function writeSteps(steps: readonly StepDetails[], { line, paint }: Printer): void {
  line('', paint('bold', '  steps'))
  const digits = String(steps.length).length
  for (const [index, step] of steps.entries()) {
    const { stepId, method, url, identity, description, cases } = step
    const number = String(index + 1).padStart(digits)
    const about = [
      step.finally ? 'always runs' : undefined,
      identity && (identity === 'none' ? 'no certificate' : `certificate ${identity}`),
    ]
    line(`  ${number} ${paint('bold', stepId)}  ${paint('dim', about.filter(Boolean).join(' · '))}`.trimEnd())
    const indent = ' '.repeat(digits + 3)
    if (description !== undefined) line(...wrapped(description, indent))
    line(`${indent}${method} ${harmless(url)}`)
    if (cases.length > 0) line(...wrapped(`cases: ${cases.join(', ')}`, indent))
    if (step.clauses.length > 0) line(...wrapped(step.clauses.join(', '), indent).map((text) => paint('dim', text)))
    for (const { text, level, clauses } of step.criteria) {
      const note = [level === 'must' ? undefined : level, ...clauses].filter(Boolean).join(', ')
      line(...wrapped(text, `${indent}  `, `${indent}- `))
      if (note !== '') line(...wrapped(note, `${indent}  `).map((one) => paint('dim', one)))
    }
  }
}

function writeInputs(inputs: readonly InputDetails[], { line, paint }: Printer): void {
  if (inputs.length === 0) return
  line('', paint('bold', '  inputs'))
  const width = Math.max(...inputs.map(({ name }) => name.length))
  const sources = Math.max(...inputs.map(({ source }) => source.length))
  for (const { name, source, value, required, description } of inputs) {
    const text = harmless(textOf(value))
    const head = `  ${required ? '*' : ' '} ${name.padEnd(width)}  ${paint('dim', source.padEnd(sources))}`
    const fits = width + sources + text.length + 8 <= COLUMNS
    line(`${head}${fits ? `  ${text}` : ''}`.trimEnd())
    if (!fits) line(...wrapped(text, '      '))
    if (description !== undefined) line(...wrapped(description, '      ').map((one) => paint('dim', one)))
  }
  line(paint('dim', '  * required; --input name=value sets any'))
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

/** Who sees to it that a word holds. */
const SEEN_TO: Readonly<Record<WorkflowOverview['given'][number]['how'], string>> = {
  'made on the twin': ' (made so on the twin)',
  'in the vault': '',
  'not checked': ' (yours to see to)',
}

/** The name of the file where it says all: a file may hold several workflows. */
function nameOf({ flow, workflowId }: WorkflowOverview): string {
  return flow === workflowId ? flow : `${flow} --workflow ${workflowId}`
}

function printer({ write, stream }: Page) {
  return {
    line: (...lines: readonly string[]) => {
      for (const text of lines) write(`${text}\n`)
    },
    paint: (style: Style, text: string) => styleText(style, text, { stream: stream as NodeJS.WriteStream }),
  }
}

function labelled(label: string, text: string, indent: number, width: number): string[] {
  const rest = ' '.repeat(indent + width)
  return wrapped(text, rest, `${' '.repeat(indent)}${label.padEnd(width)}`)
}

/** Paragraphs stay; what stands on several lines of one is one. What is too long, such as an address, stays whole. */
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
