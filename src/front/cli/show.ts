/** `thredd show`: all of one flow, told as a story. As text of at most 100 columns, or as JSON. */
import { fail } from '../../record/errors.ts'
import { json, oneLine } from '../../record/foreign.ts'
import { detailsOf, type InputDetails, type WorkflowDetails } from '../../run/overview.ts'
import type { StepDetails } from '../../run/story.ts'
import type { Invocation, Program } from './command.ts'
import { COLUMNS, changesOf, isAbsent, labelled, nameOf, needsOf, screenOf, surveyOptions, wrapped } from './list.ts'
import { Printer, type Screen } from './printer.ts'

export async function performShow(invocation: Invocation, program: Program): Promise<number> {
  if (invocation.words.length === 0)
    fail({ code: 'USAGE', message: 'which flow? name it', hint: 'thredd list shows all of them' })
  const details = await detailsOf(await surveyOptions(invocation, program))
  if (invocation.has('json')) program.write(`${json(details)}\n`)
  else writeDetails(details, screenOf(program))
  return 0
}

/** Everything the file says of each workflow, and the source of each value in this environment. */
export function writeDetails(details: readonly WorkflowDetails[], screen: Screen): void {
  const out = new Printer(screen)
  for (const [index, one] of details.entries()) {
    if (index > 0) out.line('')
    out.line(
      `${out.paint('bold', out.plain(nameOf(one)))}  ${out.plain(one.title)}`,
      out.paint('dim', out.plain(one.file)),
    )
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
    out.line('', out.paint('bold', '  steps'))
    for (const step of one.steps) writeStep(step, out, 2)
    writeInputs(one.inputs, out)
    if (one.outputs.length > 0) out.line('', out.paint('bold', '  returns'), ...wrapped(one.outputs.join(', '), '    '))
    if (one.notice !== undefined) out.line('', out.paint('bold', '  afterwards'), ...wrapped(one.notice, '    '))
  }
}

/** The steps of a part stand below the step that runs it. */
function writeStep(step: StepDetails, out: Printer, indentation: number): void {
  const { number, description, clauses, identity } = step
  const name = out.plain(step.stepId.split('/').at(-1) ?? '')
  const inner = indentation + number.length + 1
  const about = [
    step.finally ? 'always runs' : undefined,
    identity && (identity === 'none' ? 'no certificate' : `certificate ${out.plain(identity)}`),
  ]
  const note = about.filter(Boolean).join(' · ')
  out.line(`${' '.repeat(indentation)}${number} ${out.paint('bold', name)}  ${out.paint('dim', note)}`.trimEnd())
  if (description !== undefined) out.line(...wrapped(description, ' '.repeat(inner)))
  if (step.workflowId === undefined) out.line(`${' '.repeat(inner)}${oneLine(step.method)} ${oneLine(step.url)}`)
  else {
    const where = step.file === undefined ? '' : ` of ${out.relative(step.file)}`
    out.line(...wrapped(`runs workflow ${step.workflowId}${where}`, ' '.repeat(inner)))
  }
  const row = (label: string, text: string) => out.line(...labelled(label, text, inner, LABEL))
  if (clauses.length > 0)
    out.line(...wrapped(clauses.join(', '), ' '.repeat(inner)).map((text) => out.paint('dim', text)))
  for (const { as, rows } of step.sends) writeRows(as, rows, out, inner)
  for (const [index, text] of step.alterations.entries()) row(index === 0 ? 'changed' : '', text)
  if (step.cases.length > 0) row('cases', step.cases.join(', '))
  for (const one of step.steps) writeStep(one, out, inner)
  for (const [index, { words, level, waitsFor, clauses: proven }] of step.criteria.entries()) {
    const more = [level === 'must' ? undefined : level, waitsFor && 'until then waiting for Thredd', ...proven]
      .filter(Boolean)
      .join(', ')
    row(index === 0 ? 'tests' : '', more === '' ? words : `${words} (${more})`)
  }
  writeRows('sets', step.outputs, out, inner)
  if (step.vault !== undefined) row('vault', step.vault)
  for (const [index, text] of step.next.entries()) row(index === 0 ? 'then' : '', text)
}

/** Columns of the word before rows, such as `headers`. */
const LABEL = 9

function writeRows(label: string, rows: StepDetails['outputs'], out: Printer, indentation: number): void {
  const width = Math.max(0, ...rows.map(({ name }) => name.length))
  for (const [index, { name, value }] of rows.entries()) {
    const head = `${(index === 0 ? label : '').padEnd(LABEL)}${name === '' ? '' : `${out.plain(name).padEnd(width)}  `}`
    out.line(...labelled(head, value, indentation, head.length))
  }
}

function writeInputs(inputs: readonly InputDetails[], out: Printer): void {
  if (inputs.length === 0) return
  out.line('', out.paint('bold', '  inputs'))
  const width = Math.max(...inputs.map(({ name }) => name.length))
  const sources = Math.max(...inputs.map(({ source }) => source.length))
  for (const { name: written, source: from, value, required, description } of inputs) {
    const [name, source, text] = [written, from, textOf(value)].map(oneLine) as [string, string, string]
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
