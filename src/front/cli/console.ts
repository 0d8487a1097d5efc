/** What a person sees while a run goes on. Text only: events in, lines out; colour where the stream wants it. */
import { styleText } from 'node:util'
import type { RunEvent } from '../../execute/index.ts'
import { render } from '../../record/errors.ts'
import {
  type CheckRecord,
  type Exchange,
  errorBeyondSteps,
  MESSAGE_FILE,
  type RunRecord,
  type StepRecord,
  type WorkflowRecord,
} from '../../record/index.ts'
import { wayOut } from '../../report/way-out.ts'
import { wireLog } from '../../report/wire.ts'
import { count } from '../../report/words.ts'
import type { GivenEvent, PreparedEvent, Rehearsal } from '../../run/index.ts'

export interface Screen {
  readonly write: (text: string) => void
  /** the stream that decides about colour (NO_COLOR, FORCE_COLOR, no terminal) */
  readonly stream: NodeJS.WritableStream
  /** paths in a text as the person at this prompt would write them */
  readonly near?: (text: string) => string
  /** show each exchange */
  readonly verbose?: boolean
}

const NOTHING = { workflows: 0, steps: 0, checks: 0, fail: 0, warn: 0 } as const

type Printable = Parameters<typeof render>[0]
type Style = Parameters<typeof styleText>[0]

export class Console {
  readonly #screen: Screen
  #stepWidth = 0
  #hostWidth = 0
  /** told below the step it belongs to */
  #kept: Extract<RunEvent, { type: 'registration-kept' }> | undefined
  /** how many warnings were told before the first call */
  #told = 0
  /** of the workflows that have ended */
  #counts: Readonly<Record<keyof typeof NOTHING, number>> = NOTHING

  constructor(screen: Screen) {
    this.#screen = screen
  }

  show(event: RunEvent | PreparedEvent | GivenEvent): void {
    if (event.type === 'prepared') this.#prepared(event)
    else if (event.type === 'given') this.#given(event.given)
    else if (event.type === 'workflow-started') this.#started(event)
    else if (event.type === 'registration-kept') this.#kept = event
    else if (event.type === 'step-finished') this.#step(event.step)
    else if (event.type === 'retry') this.#retry(event)
    else if (event.type === 'workflow-finished') this.#workflow(event.workflow)
  }

  summary(record: RunRecord, file: string): void {
    const { workflows, steps, checks, fail, warn } = this.#counts
    const late = record.warnings.slice(this.#told)
    if (late.length > 0) this.#line('')
    this.#warnings(late)
    const style = ({ conformant: 'green', 'non-conformant': 'red', inconclusive: 'yellow' } as const)[record.verdict]
    this.#line(
      '',
      `${this.#paint(['bold', style], record.verdict)}  ${[
        count(workflows, 'workflow'),
        count(steps, 'step'),
        count(checks, 'check'),
        ...(fail === 0 ? [] : [`${fail} failed`]),
        ...(warn === 0 ? [] : [count(warn, 'warning')]),
        duration(record.durationMs),
      ].join(' · ')}`,
      `record  ${file}`,
    )
    this.#messages(record, file)
  }

  /** On the twin nobody is there to read it: where it lies is enough. */
  #messages({ messagesToThredd: messages = [], environment }: RunRecord, file: string): void {
    if (messages.length === 0) return
    this.#line(`message ${file.replace(/[^/\\]*$/, MESSAGE_FILE)}`)
    if (environment.class === 'mock') return
    for (const { text } of messages) {
      this.#line('', `${this.#paint('cyan', 'send this to Thredd')}`, '')
      this.#line(...indent(text.trimEnd(), 2).map((line) => this.#plain(line).trimEnd()))
    }
  }

  /** A dry run: every request, and where each input comes from. */
  preview({ environment, warnings, given, workflows }: Rehearsal): void {
    this.#line(`environment ${this.#paint('bold', environment)} · dry run, nothing is sent`)
    this.#warnings(warnings)
    this.#before(given)
    for (const { workflowId, summary, effect, inputs, steps } of workflows) {
      this.#line('', `${this.#paint('bold', workflowId)}  ${summary ?? ''} (effect: ${effect})`, '', '  inputs')
      const width = Math.max(0, ...inputs.map(({ name }) => name.length))
      for (const { name, value, source } of inputs) {
        const text = value === undefined ? '(none)' : typeof value === 'string' ? value : JSON.stringify(value)
        this.#line(`    ${name.padEnd(width)}  ${this.#plain(text)}  ${this.#paint('dim', source)}`)
      }
      for (const step of steps) {
        this.#line(
          '',
          `  ${this.#paint('bold', step.stepId)}  identity ${step.identity}`,
          `    ${step.method} ${this.#plain(step.url)}`,
        )
        for (const [name, value] of step.headers) this.#line(`    ${name}: ${this.#plain(value)}`)
        if (step.body !== undefined) this.#line(...indent(step.body, 4).map((line) => this.#plain(line)))
        if (step.unknown !== undefined) this.#line(`    ${this.#paint('dim', this.#plain(step.unknown))}`)
      }
    }
  }

  /** `sources` are the texts of the files that problems point into, by path. */
  problems(problems: readonly Printable[], sources: ReadonlyMap<string, string>): void {
    const texts = problems.map((problem) => this.#render(problem, problem.at && sources.get(problem.at.file)))
    this.#line(...texts.flatMap((text, index) => (index === 0 ? [text] : ['', text])))
  }

  #prepared({ environment, counterparty, warnings, given }: PreparedEvent): void {
    this.#counts = NOTHING
    const where = {
      network: 'mutual TLS',
      twin: 'offline twin over mutual TLS on this machine',
      'twin-in-process': 'offline twin in this process',
    }
    this.#line(`environment ${this.#paint('bold', environment.name)} · ${where[counterparty]}`)
    this.#warnings(warnings)
    this.#told = warnings.length
    this.#before(given.filter(({ how }) => how === 'not checked'))
  }

  /** What must be so before the run, as far as a person has to see to it. */
  #before(given: Rehearsal['given']): void {
    for (const { workflowId, means, remedy, how } of given) {
      const told = how === 'not checked' ? `${means}; if not: ${remedy}` : `${means} (${how})`
      this.#line(`${this.#paint('cyan', 'before this run')} ${this.#paint('bold', workflowId)}: ${told}`)
    }
  }

  #given({ means, how, setUp = [], problem }: GivenEvent['given']): void {
    const steps = setUp.flatMap((workflow) => workflow.steps)
    const flows = setUp.map(({ workflowId }) => `flow "${workflowId}"`).join(', ')
    const by = steps.length === 0 ? '' : ` by ${flows}, ${count(steps.length, 'step')}`
    this.#line(this.#paint('dim', `  given  ${this.#plain(means)}: ${how}${by}`))
    if (problem !== undefined) for (const step of steps) this.#step(step)
  }

  #warnings(warnings: readonly string[]): void {
    for (const warning of warnings) this.#line(`${this.#paint('yellow', 'warning')} ${this.#plain(warning)}`)
  }

  #started({ planned }: Extract<RunEvent, { type: 'workflow-started' }>): void {
    const { workflow } = planned
    const rows = rowsOf(planned)
    this.#stepWidth = Math.max(0, ...rows.map(({ id }) => id.length))
    this.#hostWidth = Math.max(0, ...rows.map(({ host }) => host.length))
    this.#line('', `${this.#paint('bold', workflow.workflowId)}  ${workflow.summary ?? ''}`)
  }

  #step(step: StepRecord): void {
    const mark = {
      passed: this.#paint('green', '✓'),
      failed: this.#paint('red', '✗'),
      errored: this.#paint('yellow', '!'),
      skipped: this.#paint('dim', '-'),
    }[step.status]
    const exchange = step.exchanges.at(-1)
    const facts =
      step.status === 'skipped' ? (step.because ?? '') : exchange === undefined ? '' : this.#callFacts(step, exchange)
    this.#line(
      `  ${mark} ${step.stepId.padEnd(this.#stepWidth)}  ${step.status === 'skipped' ? this.#paint('dim', facts) : facts}`.trimEnd(),
    )
    if (this.#kept !== undefined) {
      const what = { registered: 'registration', rotated: 'new registration access token' }[this.#kept.news]
      this.#line(this.#paint('dim', `      kept in the vault: ${what} of ${this.#plain(this.#kept.clientId)}`))
      if (this.#kept.problem !== undefined) this.#line(...indent(this.#render(this.#kept.problem), 6))
      this.#kept = undefined
    }
    if (step.scopes !== undefined && step.scopes.requested.length > 1) {
      const { requested, granted, missing, unrequested } = step.scopes
      this.#line(`      scopes: ${requested.length} requested, ${granted.length} granted`)
      if (missing.length > 0)
        this.#line(`        ${this.#paint('yellow', 'not granted')} ${this.#plain(missing.join(' '))}`)
      if (unrequested.length > 0)
        this.#line(
          `        ${this.#paint('yellow', 'granted without being asked for')} ${this.#plain(unrequested.join(' '))}`,
        )
    }
    for (const check of step.checks) {
      if (check.status !== 'pass' && check.id !== 'scopes') this.#check(check)
    }
    if (step.error !== undefined)
      this.#line(...indent(this.#render(step.error).replace(/^error\[(\w+)\]: /, '$1: '), 6))
    const way = wayOut(step)
    if (way !== undefined) this.#line(`      ${this.#paint('cyan', 'way out')} ${way}`)
    if (this.#screen.verbose) {
      for (const one of step.exchanges)
        this.#line('', ...wireLog(one).map((line) => `      ${this.#plain(line)}`.trimEnd()))
      this.#line('')
    }
  }

  #retry({ stepId, attempt, delayMs }: Extract<RunEvent, { type: 'retry' }>): void {
    this.#line(this.#paint('dim', `    ${stepId}: retry ${attempt} in ${duration(delayMs)}`))
  }

  #callFacts(step: StepRecord, { request, response, timing }: Exchange): string {
    const passed = step.checks.filter((check) => check.status === 'pass').length
    const checks =
      step.checks.length === 0
        ? ''
        : passed === step.checks.length
          ? `${count(passed, 'check')}`
          : `${passed} of ${count(step.checks.length, 'check')}`
    const parts = [
      `${request.method.padEnd(6)} ${response?.status ?? '---'}`,
      new URL(request.url).host.padEnd(this.#hostWidth),
      duration(timing.totalMs),
      checks,
    ]
    return parts.filter((part) => part !== '').join('  ')
  }

  #check(check: CheckRecord): void {
    const word = check.status === 'fail' ? this.#paint('red', 'failed') : this.#paint('yellow', 'warning')
    const place =
      check.at === undefined ? '' : `  ${this.#paint('dim', `${this.#near(check.at.file)}:${check.at.line}`)}`
    this.#line(
      `      ${word} ${this.#plain(check.title)}${place}`,
      `        expected ${this.#plain(check.expected)}`,
      `        found    ${this.#plain(check.actual)}`,
    )
  }

  #workflow(workflow: WorkflowRecord): void {
    const checks = workflow.steps.flatMap((step) => step.checks)
    const number = (status: CheckRecord['status']) => checks.filter((check) => check.status === status).length
    this.#counts = {
      workflows: this.#counts.workflows + 1,
      steps: this.#counts.steps + workflow.steps.length,
      checks: this.#counts.checks + checks.length,
      fail: this.#counts.fail + number('fail'),
      warn: this.#counts.warn + number('warn'),
    }
    const error = errorBeyondSteps(workflow)
    if (error !== undefined) this.#line(...indent(this.#render(error).replace(/^error\[(\w+)\]: /, '$1: '), 2))
    if (workflow.status === 'passed' && workflow.notice !== undefined)
      this.#line('', `  ${this.#paint('cyan', 'next')} ${workflow.notice}`)
  }

  #render(problem: Printable, source?: string): string {
    const { at, ...texts } = problem
    const plain = Object.entries(texts).map(([member, text]) => [member, text && this.#plain(text)])
    return render(
      { ...problem, ...Object.fromEntries(plain), at: at && { ...at, file: this.#near(at.file) } },
      source?.split('\n').map(harmless).join('\n'),
    )
  }

  #near(text: string): string {
    return this.#screen.near?.(text) ?? text
  }

  #plain(text: string): string {
    return harmless(this.#near(text))
  }

  #line(...lines: string[]): void {
    if (lines.length > 0) this.#screen.write(`${lines.join('\n')}\n`)
  }

  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#screen.stream as NodeJS.WriteStream })
  }
}

type Planned = Extract<RunEvent, { type: 'workflow-started' }>['planned']

/** The ids under which steps will be shown, with those of cases and of workflows within the workflow. */
function rowsOf(planned: Planned, within: readonly Planned[] = []): { readonly id: string; readonly host: string }[] {
  if (within.includes(planned)) return []
  return planned.steps.flatMap((one) => {
    const { step } = one
    if (one.kind === 'call') {
      const { host } = new URL(one.server)
      return [step.stepId, ...one.step.cases.map((each) => each.step.stepId)].map((id) => ({ id, host }))
    }
    const called = planned.invoked.get(one.step.invocation)
    const inside = (other: Planned, prefix: string) =>
      rowsOf(other, [...within, planned]).map(({ id, host }) => ({ id: `${step.stepId}/${prefix}${id}`, host }))
    const before = called?.dependencies.flatMap((other) => inside(other, `dependsOn/${other.workflow.workflowId}/`))
    return [{ id: step.stepId, host: '' }, ...(before ?? []), ...(called === undefined ? [] : inside(called, ''))]
  })
}

function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}

function indent(text: string, by: number): string[] {
  return text.split('\n').map((line) => ' '.repeat(by) + line)
}

/** What comes from files and servers is shown, never obeyed: no control character of theirs reaches the terminal. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\t' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
