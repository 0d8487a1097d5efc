/** What a person sees while a run goes on: each event of the run as lines of text, and a summary at its end. */
import type { RunEvent } from '../../execute/index.ts'
import { OF_ROLES, plainValue } from '../../plan/index.ts'
import { CODES } from '../../record/errors.ts'
import { type Command, commandsAbout, commandsFor } from '../../record/hints.ts'
import {
  type Exchange,
  MESSAGE_FILE,
  type RecordHead,
  type StepRecord,
  verdictInWords,
  type WorkflowRecord,
} from '../../record/index.ts'
import { notProven, RowCollector } from '../../report/accepted.ts'
import { differencesOf, type Finding, findingOfWorkflow, findingsOf, linesOf } from '../../report/findings.ts'
import { countsInWords, gateOf } from '../../report/gate.ts'
import { MutualTls, provenInWords } from '../../report/mutual-tls.ts'
import { noticeOf } from '../../report/notice.ts'
import type { JudgedRequirement } from '../../report/proofs.ts'
import { checkCountsOf, isComplete, wasInterrupted } from '../../report/standing.ts'
import { bodyLog, wireLog } from '../../report/wire.ts'
import { count, rowInWords, whoRan } from '../../report/words.ts'
import type { GivenEvent, PreparedEvent, Rehearsal, RowEvent } from '../../run/index.ts'
import type { Program } from './command.ts'
import { printGiven, printOrder, printPreview, printRows, printWaiting } from './preview.ts'
import { duration, indent, type Printable, Printer, type Screen } from './printer.ts'
import { printRequirements } from './requirements.ts'
import { REAL_TICKER, SignOfLife, type Ticker } from './sign-of-life.ts'
import { columnsOf } from './wrap.ts'

/** How much of each exchange is shown. */
export type Detail = 'none' | 'bodies' | 'wire'

interface ConsoleOptions extends Screen {
  /** default: none */
  readonly detail?: Detail
  /** what a step that takes long is timed with */
  readonly ticker?: Ticker
}

export function consoleOn(stream: NodeJS.WriteStream, { here }: Pick<Program, 'here'>, detail?: Detail): Console {
  return new Console({ stream, write: (text) => void stream.write(text), here, ...(detail && { detail }) })
}

/** How wide columns of the table of steps are, with the gap before them. */
const METHOD_AND_STATUS = 2 + 'DELETE 204'.length
const DURATION = 2 + '59.9 s'.length
const CHECKS = 2 + '10 checks'.length

const STYLES = { conformant: 'green', 'non-conformant': 'red', inconclusive: 'yellow' } as const
/** In the order in which their numbers are said. */
const ROW_VERDICTS: readonly string[] = ['conformant', 'waiting for Thredd', 'non-conformant', 'inconclusive']
/** Of so many rows that do not pass it is said why. */
const MOST_EXPLAINED = 10

const NO_COUNTS = { workflows: 0, steps: 0, checks: 0, fail: 0, warn: 0 } as const

export class Console {
  readonly #out: Printer
  readonly #detail: Detail
  #stepWidth = 0
  #hostWidth = 0
  /** columns of the table of steps that the screen has room for */
  #shows = { host: true, duration: true }
  /** the commands of hints, with the environment of the run */
  #flags: readonly string[] = []
  #command: Command = commandsFor([])
  #class: RecordHead['environment']['class'] = 'mock'
  /** printed below the step that it belongs to, which finishes after it */
  #kept: Extract<RunEvent, { type: 'registration-kept' }> | undefined
  /** how many of the run's warnings were printed before the first call */
  #warningsShown = 0
  /** of the workflows that have ended */
  #counts: Readonly<Record<keyof typeof NO_COUNTS, number>> = NO_COUNTS
  /** of rows, by their verdict in words */
  readonly #rowCounts = new Map<string, number>()
  /** of how many rows it was said why they did not pass */
  #explained = 0
  #mutualTls = new MutualTls()
  #rows = new RowCollector()
  #interrupted = false
  readonly #signOfLife: SignOfLife
  /** of the step that was skipped before */
  #waitsFor: string | undefined

  constructor({ detail = 'none', ticker = REAL_TICKER, ...screen }: ConsoleOptions) {
    const { write, stream } = screen
    const columns = columnsOf(stream)
    this.#signOfLife = new SignOfLife({ ...ticker, write, columns: Number.isFinite(columns) ? columns : undefined })
    this.#out = new Printer({
      ...screen,
      write: (text) => {
        this.#signOfLife.clear()
        write(text)
      },
    })
    this.#detail = detail
  }

  /** Nothing more is printed. */
  [Symbol.dispose](): void {
    this.#signOfLife.stop()
  }

  show(event: RunEvent | PreparedEvent | GivenEvent): void {
    if (event.type === 'prepared') this.#prepared(event)
    else if (event.type === 'given') this.#given(event.given)
    else if (event.type === 'workflow-started') this.#started(event)
    else if (event.type === 'registration-kept') this.#kept = event
    else if (event.type === 'step-started') this.#signOfLife.started(event.stepId)
    else if (event.type === 'step-finished') this.#step(event.step)
    else if (event.type === 'retry') this.#retry(event)
    else if (event.type === 'workflow-finished') this.#workflow(event.workflow)
  }

  /** `file` is the path of the record. With `unwritten` some report could not be written, and the record where it has no path. */
  summary(head: RecordHead, file: string | undefined, { unwritten = false } = {}): void {
    this.#signOfLife.stop()
    const { workflows, steps, checks, fail, warn } = this.#counts
    const late = head.warnings.slice(this.#warningsShown)
    if (late.length > 0) this.#out.line('')
    this.#out.warnings(late)
    const style = STYLES[head.verdict]
    this.#out.line(
      '',
      `${this.#out.paint(['bold', style], verdictInWords(head))}  ${[
        count(workflows, 'workflow'),
        count(steps, 'step'),
        count(checks, 'check'),
        ...(fail === 0 ? [] : [`${fail} failed`]),
        ...(warn === 0 ? [] : [count(warn, 'warning')]),
        duration(head.durationMs),
      ].join(' · ')}`,
      ...provenInWords(this.#mutualTls).map((sentence) => this.#out.plain(sentence)),
      ...this.#rowsLine(head),
      ...this.#scope(head),
      `record  ${file === undefined ? 'none: it could not be written' : this.#out.plain(file)}`,
    )
    const who = whoRan(head).map(([label, value]) => `${label} ${this.#out.plain(value)}`)
    if (who.length > 0) this.#out.line(`run by  ${who.join(' · ')}`)
    this.#messages(head, unwritten ? undefined : file)
  }

  /** The requirements that are not proven; with `all` every one of them. */
  requirements(rows: readonly JudgedRequirement[], all: boolean): void {
    printRequirements(rows, this.#out, all || this.#detail !== 'none')
  }

  /** How much the verdict is about. */
  #scope(head: RecordHead): string[] {
    const scope = isComplete(head, this.#interrupted) ? 'COMPLETE' : 'PARTIAL'
    return [`scope   ${scope} · requirements: ${countsInWords(gateOf(this.#rows.of(head)).all)}`]
  }

  preview(rehearsal: Rehearsal): void {
    printPreview(rehearsal, this.#out)
  }

  /** What was noticed before the first call. */
  warnings(warnings: readonly string[]): void {
    this.#out.warnings(warnings)
  }

  /** `sources` are the texts of the files that problems point into, by path. */
  problems(problems: readonly Printable[], sources: ReadonlyMap<string, string>): void {
    const texts = problems.map((problem) => this.#out.problem(problem, problem.at && sources.get(problem.at.file)))
    this.#out.line(...texts.flatMap((text, index) => (index === 0 ? [text] : ['', text])))
  }

  /** The messages to Thredd in full; of a run on the twin, where nothing is sent to Thredd, only the path of their file. */
  #messages({ messagesToThredd: messages = [], environment, rows }: RecordHead, file: string | undefined): void {
    if (messages.length === 0) return
    if (file !== undefined) this.#out.line(`message ${this.#out.plain(file.replace(/[^/\\]*$/, MESSAGE_FILE))}`)
    if (environment.class === 'mock' || (rows !== undefined && file !== undefined)) return
    for (const { text } of messages) {
      this.#out.line('', `${this.#out.paint('cyan', 'send this to Thredd')}`, '')
      this.#out.line(...indent(text.trimEnd(), 2).map((line) => this.#out.plain(line).trimEnd()))
    }
  }

  #prepared({ environment, counterparty, warnings, given, reordered, waiting, rows }: PreparedEvent): void {
    this.#counts = NO_COUNTS
    this.#rowCounts.clear()
    this.#explained = 0
    this.#mutualTls = new MutualTls()
    this.#rows = new RowCollector()
    this.#interrupted = false
    this.#flags = environment.flags
    this.#command = commandsFor(environment.flags)
    this.#class = environment.class
    const where = {
      network: 'the named servers, client certificate configured',
      twin: 'offline twin behind TLS on this machine, client certificate configured',
      'twin-in-process': 'offline twin in this process',
    }
    this.#out.line(`environment ${this.#out.paint('bold', this.#out.plain(environment.name))} · ${where[counterparty]}`)
    this.#out.line(this.#out.paint('dim', `project     ${this.#out.plain(environment.folder)}`))
    if (rows !== undefined) printRows(rows, this.#out)
    printOrder(reordered, this.#out)
    this.#out.warnings(warnings)
    this.#warningsShown = warnings.length
    const unchecked = given.filter(({ how }) => how === 'not checked')
    printGiven(unchecked, this.#out)
    printWaiting(waiting, this.#out)
  }

  #given({ means, how, setUp = [], problem }: GivenEvent['given']): void {
    const steps = setUp.flatMap((workflow) => workflow.steps)
    const flows = setUp.map(({ workflowId }) => `flow "${this.#out.plain(workflowId)}"`).join(', ')
    const by = steps.length === 0 ? '' : ` by ${flows}, ${count(steps.length, 'step')}`
    this.#out.line(this.#out.paint('dim', `  given  ${this.#out.plain(means)}: ${how}${by}`))
    if (problem !== undefined) for (const step of steps) this.#step(step)
  }

  #started({ planned }: Extract<RunEvent, { type: 'workflow-started' }>): void {
    const { workflow } = planned
    this.#waitsFor = undefined
    const rows = rowsOf(planned)
    this.#stepWidth = Math.max(0, ...rows.map(({ id }) => id.length))
    this.#hostWidth = Math.max(0, ...rows.map(({ host }) => host.length))
    const without = 4 + this.#stepWidth + METHOD_AND_STATUS + CHECKS
    this.#shows = {
      duration: without + DURATION <= this.#out.columns,
      host: without + DURATION + 2 + this.#hostWidth <= this.#out.columns,
    }
    this.#out.line(
      '',
      `${this.#out.paint('bold', this.#out.plain(workflow.workflowId))}  ${this.#out.plain(workflow.summary ?? '')}`,
    )
    for (const [name, input] of planned.inputs) {
      const value = plainValue(input)
      if (input.origin === OF_ROLES && Array.isArray(value))
        this.#out.line(
          this.#out.paint('dim', `  ${this.#out.plain(name)} of ROLES: ${this.#out.plain(value.join(' '))}`),
        )
    }
  }

  #step(step: StepRecord): void {
    this.#signOfLife.finished(step.stepId)
    this.#stepLine(step)
    this.#keptLines()
    this.#scopes(step.scopes)
    for (const text of differencesOf(step))
      this.#out.line(`      ${this.#out.paint('yellow', 'registered otherwise')} ${this.#out.plain(text)}`)
    for (const finding of findingsOf(step, this.#command)) this.#finding(finding, 6)
    if (this.#detail !== 'none' && step.exchanges.length > 0) {
      const logOf = { bodies: bodyLog, wire: wireLog }[this.#detail]
      for (const one of step.exchanges)
        this.#out.line('', ...logOf(one).map((line) => `      ${this.#out.plain(line)}`.trimEnd()))
      this.#out.line('')
    }
  }

  #stepLine(step: StepRecord): void {
    const mark = {
      passed: this.#out.paint('green', '✓'),
      failed: this.#out.paint('red', '✗'),
      errored: this.#out.paint('yellow', '!'),
      skipped: this.#out.paint('dim', '-'),
    }[step.status]
    const exchange = step.exchanges.at(-1)
    const facts =
      step.status === 'skipped'
        ? this.#out.paint('dim', this.#whySkipped(step.because ?? ''))
        : exchange === undefined
          ? ''
          : this.#callFacts(step, exchange)
    this.#out.line(`  ${mark} ${this.#out.plain(step.stepId).padEnd(this.#stepWidth)}  ${facts}`.trimEnd())
  }

  /** What the whole workflow waits for is a sentence that stands beside its first step. */
  #whySkipped(because: string): string {
    const isRepeated = because === this.#waitsFor
    this.#waitsFor = because.startsWith('waiting for ') ? because : undefined
    return isRepeated ? 'waiting for the same' : this.#out.plain(because)
  }

  #keptLines(): void {
    if (this.#kept === undefined) return
    const { news, clientId, problem } = this.#kept
    const what = { registered: 'registration', rotated: 'new registration access token' }[news]
    this.#out.line(this.#out.paint('dim', `      kept in the vault: ${what} of ${this.#out.plain(clientId)}`))
    if (problem !== undefined) this.#out.line(...indent(this.#out.problem(problem), 6))
    this.#kept = undefined
  }

  #scopes(scopes: StepRecord['scopes']): void {
    if (scopes === undefined || scopes.requested.length <= 1) return
    this.#out.line(`      scopes: ${scopes.requested.length} requested, ${scopes.granted.length} granted`)
  }

  #retry({ stepId, attempt, delayMs }: Extract<RunEvent, { type: 'retry' }>): void {
    this.#out.line(this.#out.paint('dim', `    ${this.#out.plain(stepId)}: retry ${attempt} in ${duration(delayMs)}`))
  }

  #callFacts({ checks }: StepRecord, { request, response, timing }: Exchange): string {
    const passed = checks.filter((check) => check.status === 'pass').length
    const all = count(checks.length, 'check')
    const shown = this.#shows
    const parts = [
      `${this.#out.plain(request.method).padEnd(6)} ${response?.status ?? '---'}`,
      shown.host ? this.#out.plain(URL.parse(request.url)?.host ?? '').padEnd(this.#hostWidth) : '',
      shown.duration ? duration(timing.totalMs) : '',
      checks.length === 0 ? '' : passed === checks.length ? all : `${passed} of ${all}`,
    ]
    return parts.filter((part) => part !== '').join('  ')
  }

  /** The first line with its verdict and its place in the flow, the others below it. */
  #finding(finding: Finding, indentation: number): void {
    const { standing, at, about } = finding
    const word = {
      fail: this.#out.paint('red', 'failed'),
      inconclusive: this.#out.paint('yellow', `${about}:`),
      warn: this.#out.paint('yellow', 'warning'),
    }[standing]
    const place = at === undefined ? '' : `  ${this.#out.paint('dim', `${this.#out.plain(at.file)}:${at.line}`)}`
    const margin = ' '.repeat(indentation)
    for (const [index, { label, text }] of linesOf(finding).entries()) {
      const line = this.#out.plain(text)
      if (index === 0) this.#out.line(`${margin}${word} ${line}${place}`)
      else this.#out.line(`${margin}  ${label === undefined ? '' : `${this.#out.paint('cyan', label)}: `}${line}`)
    }
  }

  /** A row that has ended, and of one that did not pass the steps that did not. One that waits for Thredd has done all it can. */
  row(event: RowFinished, workflows: readonly WorkflowRecord[], showsAll: boolean): void {
    for (const workflow of workflows) this.#count(workflow)
    const { row, verdict, exitCode, durationMs } = event
    const words = verdictInWords({ verdict, exitCode })
    this.#rowCounts.set(words, (this.#rowCounts.get(words) ?? 0) + 1)
    const isDone = didPass(event)
    if (isDone && !showsAll) return
    const style = isDone ? 'green' : STYLES[verdict]
    this.#out.line(`${this.#out.plain(rowInWords(row))}  ${this.#out.paint(style, words)}  ${duration(durationMs)}`)
    if (isDone || this.#explained === MOST_EXPLAINED) return
    for (const workflow of workflows) {
      this.#command = commandsAbout(workflow.row, { flags: this.#flags })
      const finding = findingOfWorkflow(workflow)
      if (finding !== undefined) this.#finding(finding, 2)
      const bad = workflow.steps.filter(({ status }) => status === 'failed' || status === 'errored')
      for (const step of bad) this.#step(step)
      if (bad.length > 0 || finding !== undefined || workflow.status === 'passed') continue
      // Where no step was begun, the first says why.
      const [first] = workflow.steps
      this.#waitsFor = undefined
      if (first?.status === 'skipped') this.#step(first)
    }
    if (++this.#explained === MOST_EXPLAINED)
      this.#out.line(this.#out.paint('dim', 'of further rows that do not pass, the report says why'))
  }

  /** How many rows came to which verdict, and which were not run. */
  #rowsLine({ rows }: RecordHead): string[] {
    if (rows === undefined) return []
    const unproven = notProven(rows).length
    const numbers = [
      ...[...this.#rowCounts].sort(([one], [other]) => ROW_VERDICTS.indexOf(one) - ROW_VERDICTS.indexOf(other)),
      ['left out, not proven here', unproven] as const,
      ['left out', rows.leftOut.length - unproven] as const,
      ['not started', rows.notStarted.length] as const,
    ]
    const said = numbers.filter(([, number]) => number > 0).map(([word, number]) => `${number} ${word}`)
    return [`rows    ${said.join(' · ')}`]
  }

  #count(workflow: WorkflowRecord): void {
    const { pass, warn, fail } = checkCountsOf(workflow.steps)
    this.#counts = {
      workflows: this.#counts.workflows + 1,
      steps: this.#counts.steps + workflow.steps.length,
      checks: this.#counts.checks + pass + warn + fail,
      fail: this.#counts.fail + fail,
      warn: this.#counts.warn + warn,
    }
    this.#mutualTls.add(workflow)
    this.#rows.add(workflow)
    this.#interrupted ||= wasInterrupted(workflow)
  }

  #workflow(workflow: WorkflowRecord): void {
    this.#signOfLife.stop()
    this.#count(workflow)
    const finding = findingOfWorkflow(workflow)
    if (finding !== undefined) this.#finding(finding, 2)
    const notice = noticeOf(workflow, { class: this.#class })
    if (notice !== undefined) this.#out.line('', `  ${this.#out.paint('cyan', 'next')} ${this.#out.plain(notice)}`)
  }
}

type RowFinished = Extract<RowEvent, { type: 'row-finished' }>

/** Whether a row needs nobody to look at it. */
export function didPass({ exitCode }: Pick<RowFinished, 'exitCode'>): boolean {
  return exitCode === 0 || exitCode === CODES.WAITING_FOR_THREDD.exit
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
