/**
 * The tests of one flow file, in a worker of vitest: its workflows run once, as `thredd run` runs them, and each step and each
 * case becomes the outcome of a test. The record is handed to the reporter as the file's meta data.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { RunnerTestFile, RunnerTestSuite, TestContext } from 'vitest'
import type { Environment } from '../../environment/index.ts'
import { placeToWrite } from '../../environment/project.ts'
import type { RunEvent } from '../../execute/index.ts'
import { effectOf, type Selected } from '../../guard/confirmation.ts'
import { CODES, type ErrorCode, type Problem, render, type SourceLocation, ToolError } from '../../record/errors.ts'
import { lines, oneLine } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { errorBeyondSteps, type RunRecord, type StepRecord } from '../../record/index.ts'
import { type Finding, findingsOf, headlineOf, textOf } from '../../report/findings.ts'
import {
  type Counterparty,
  type GivenEvent,
  type PreparedEvent,
  type Provenance,
  resolve as resolveRequest,
  run,
  type Typed,
} from '../../run/index.ts'
import { machineOf, proxyOf } from '../provenance.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** of a flow file: the record of its run, redacted and searched for secrets */
    thredd?: RunRecord
  }
}

export interface Settings {
  readonly file: string
  /** the folder of the vitest project, where environment files are looked for first */
  readonly folder: string
  /** the folder of this package */
  readonly root: string
  readonly environment: string
  /** whether the embedded twin answers in this process or over TLS; absent: the environment is a real one */
  readonly twin?: Counterparty['kind'] | undefined
  /** whether the command line names the flow, so that it may change a client */
  readonly isNamed: boolean
  readonly version: string
  readonly provenance: Provenance | undefined
  readonly runId?: string | undefined
}

/** The tests of one flow file and the run behind them. */
export class FlowTests {
  readonly #settings: Settings
  /** by workflow and step id; resolved when the step finishes, with undefined where the run ended before */
  readonly #steps = new Map<string, PromiseWithResolvers<StepRecord | undefined>>()
  /** the reason by workflow id */
  readonly #notRun = new Map<string, string>()
  /** the reason of all others, where none is ready */
  #notRunByDefault: string | undefined
  readonly #stop = new AbortController()
  readonly #interrupt = () => this.#stop.abort()
  #running: Promise<RunRecord | undefined> | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Before all tests: starts the run of the workflows of which a test was chosen. */
  async begin(file: Readonly<RunnerTestSuite>): Promise<void> {
    const chosen = file.tasks.filter((task) => task.mode !== 'skip').map(({ name }) => name)
    const { promise: prepared, resolve } = Promise.withResolvers<void>()
    try {
      this.#running = this.#run(chosen, resolve)
      await Promise.race([prepared, this.#running])
    } catch (error) {
      this.#running = undefined
      if (this.#isNotReady(error)) return
      throw error instanceof ToolError ? errorOf(error.problems, this.#settings, undefined, error.warnings) : error
    }
  }

  /** Whether a flow that was not named lacks only what it is given, as in a run without names: its tests are skipped. */
  #isNotReady(error: unknown): boolean {
    if (this.#settings.isNamed || !(error instanceof ToolError)) return false
    const [{ code, message }] = error.problems
    if (error.problems.some((one) => one.code !== code) || code !== 'PRECONDITION') return false
    this.#notRunByDefault = message
    return true
  }

  /** The test of one step or case. */
  step(workflowId: string, stepId: string): (context: TestContext) => Promise<void> {
    return async (context) => {
      const because = this.#notRun.get(workflowId) ?? this.#notRunByDefault
      if (because !== undefined) context.skip(oneLine(because))
      context.signal.addEventListener('abort', this.#interrupt)
      const finished = this.#finished(workflowId, stepId).promise
      const early = await Promise.race([finished, this.#running?.then(() => undefined)])
      if (early?.status === 'skipped') context.skip(oneLine(early.because ?? ''))
      if (early?.status === 'passed') return await annotate(early, this.#settings, context)
      // Waits for the end of the run: until then a later answer may show that a text of this step is secret.
      const step = stepsOf(await this.#running, workflowId).find((one) => one.stepId === stepId)
      if (step === undefined) return context.skip('the run did not reach this step')
      throw failureOf(step, this.#settings)
    }
  }

  /** After the tests of a workflow: throws an error of the workflow that belongs to no step. */
  async workflow(workflowId: string): Promise<void> {
    const record = await this.#running
    const workflow = record?.workflows.findLast((one) => one.workflowId === workflowId)
    const error = workflow && errorBeyondSteps(workflow)
    // Its tests say themselves that they were skipped.
    if (error !== undefined && error.code !== 'NOT_TESTED') throw errorOf([error], this.#settings, workflowId)
  }

  /** After all tests: waits for the last steps and passes the record to the reporter. */
  async end(file: Readonly<RunnerTestSuite>): Promise<void> {
    const record = await this.#running
    if (record !== undefined) (file as RunnerTestFile).meta.thredd = record
  }

  #finished(workflowId: string, stepId: string): PromiseWithResolvers<StepRecord | undefined> {
    const key = JSON.stringify([workflowId, stepId])
    const promise = this.#steps.get(key) ?? Promise.withResolvers<StepRecord | undefined>()
    this.#steps.set(key, promise)
    return promise
  }

  async #run(workflows: readonly string[], prepared: () => void): Promise<RunRecord | undefined> {
    const { file, isNamed, folder, root, twin, version, provenance, runId } = this.#settings
    // Each flow has a twin and a vault of its own, since flows may run at the same time.
    const own = twin && (await mkdtemp(join(tmpdir(), 'thredd-vitest-')))
    process.on('SIGINT', this.#interrupt)
    process.on('SIGTERM', this.#interrupt)
    try {
      const request = await resolveRequest({
        environment: environmentOf(this.#settings, own && join(own, 'vault')),
        selection: { flows: [file], isNamed, workflow: workflows, folders: [folder, root] },
        permissions: {
          confirm: process.env.THREDD_CONFIRM,
          registerAgain: process.env.THREDD_REGISTER_AGAIN === 'true',
        },
      })
      for (const one of request.mustBeNamed) this.#notRun.set(one.workflow.workflowId, nameIt(one, request.environment))
      if (request.selection.length === 0) return undefined
      let record: RunRecord | undefined
      await run(request, {
        version,
        provenance: provenance && Promise.resolve(provenance),
        runId,
        variables: process.env,
        machine: machineOf(process.env),
        proxy: proxyOf(process.env),
        twin: async () =>
          (await import('../twin.ts')).embeddedTwin(join(placeToWrite(root, folder), 'fixtures', 'pki'), twin),
        signal: this.#stop.signal,
        onEvent: this.#follower(prepared),
        onFinished: (head, workflows) => {
          record = { ...head, workflows: [...workflows] }
        },
      })
      return record
    } finally {
      process.off('SIGINT', this.#interrupt)
      process.off('SIGTERM', this.#interrupt)
      for (const { resolve } of this.#steps.values()) resolve(undefined)
      if (own !== undefined) await rm(own, { recursive: true, force: true })
    }
  }

  /** Resolves the promises of the steps as they finish. */
  #follower(prepared: () => void): (event: RunEvent | PreparedEvent | GivenEvent) => void {
    let current = ''
    return (event) => {
      if (event.type === 'prepared') {
        for (const { workflowId, because } of event.waiting) this.#notRun.set(workflowId, because)
        prepared()
      }
      if (event.type === 'workflow-started') current = event.planned.workflow.workflowId
      if (event.type === 'step-finished') this.#finished(current, event.step.stepId).resolve(event.step)
    }
  }
}

/** Why a workflow that would change a client does not run. */
function nameIt(one: Selected, environment: Environment): string {
  const name = basename(one.flow.file).replace(/\.arazzo\.yaml$/, '')
  return `would ${effectOf(one)} a client on "${environment.name}": name it, as in vitest run ${name}`
}

function environmentOf({ environment, folder, root }: Settings, vault?: string): Typed['environment'] {
  const key = () => ({ THREDD_VAULT_DIR: vault, THREDD_VAULT_KEY: randomBytes(32).toString('base64url') })
  const variables = vault === undefined ? process.env : { ...process.env, ...key() }
  return { env: environment, folder, fallback: root, variables }
}

function stepsOf(record: RunRecord | undefined, workflowId: string): readonly StepRecord[] {
  return (record?.workflows ?? []).filter((one) => one.workflowId === workflowId).flatMap(({ steps }) => steps)
}

/** Annotates a test that passes with the rules of level "should" that do not hold. */
async function annotate(step: StepRecord, settings: Settings, context: TestContext): Promise<void> {
  for (const finding of findingsIn(step, settings))
    if (finding.standing === 'warn') await context.annotate(oneLine(headlineOf(finding)), 'warning')
}

/** One error for each finding, at its place in the flow file. */
function failureOf(step: StepRecord, settings: Settings): Error {
  const found = findingsIn(step, settings).filter(({ standing }) => standing !== 'warn')
  return new AggregateError(
    found.map((finding) => {
      const begin = finding.standing === 'inconclusive' && isInconclusive(finding.about) ? 'inconclusive: ' : ''
      return located(`${begin}${textOf(finding)}`, finding.at ?? step.at, settings, step.stepId)
    }),
  )
}

function findingsIn(step: StepRecord, { environment }: Settings): readonly Finding[] {
  return findingsOf(step, commandsFor(environment === 'mock' ? [] : ['--env', environment]))
}

/** Problems as an error; those of the network or the server begin with "inconclusive". */
export function errorOf(
  problems: readonly AnyProblem[],
  settings: Settings,
  where?: string,
  warnings: readonly string[] = [],
): Error {
  return new AggregateError([
    ...warnings.map((warning) => located(`warning: ${warning}`, undefined, settings, where)),
    ...problems.map(({ at, ...problem }) => {
      return located(`${isInconclusive(problem.code) ? 'inconclusive: ' : ''}${render(problem)}`, at, settings, where)
    }),
  ])
}

function isInconclusive(code: string): boolean {
  return !(code in CODES) || CODES[code as ErrorCode].exit === 3
}

type AnyProblem = Omit<Problem, 'code'> & { readonly code: string }

/** An error whose stack is the line in the flow file, so that editors and vitest show it. */
function located(message: string, at: SourceLocation | undefined, { folder, root }: Settings, where = 'flow'): Error {
  const error = new Error(lines(message))
  error.name = 'FlowError'
  error.stack = `${error.name}: ${error.message}`
  if (at === undefined) return error
  const file = [folder, root].map((one) => resolve(one, at.file)).find(existsSync) ?? at.file
  error.stack += `\n    at ${where} (${file}:${at.line}:${at.column})`
  return error
}
