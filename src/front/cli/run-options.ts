/** The options of a run, and of the environment it uses, from the flags, the process variables and the current folder. */
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Environment, EnvironmentOptions } from '../../environment/index.ts'
import { placeToWrite } from '../../environment/project.ts'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import type { RecordHead } from '../../record/index.ts'
import { type Caller, MOST_PARALLEL, type Question, rowCount, shardOf, type Typed, Unwritten } from '../../run/index.ts'
import { accountName, machineOf, provenanceOf, proxyOf } from '../provenance.ts'
import type { Invocation, Program } from './command.ts'

export function environmentOptions(
  invocation: Pick<Invocation, 'text' | 'pairs' | 'has'>,
  { root, here, project, variables }: Pick<Program, 'root' | 'here' | 'project' | 'variables'>,
): EnvironmentOptions {
  return {
    env: invocation.text('env') ?? (variables.THREDD_ENV || 'mock'),
    here,
    folder: project,
    // Used for the environments that the project does not have.
    fallback: root,
    variables,
    servers: invocation.pairs('server'),
    allowEnv: invocation.has('allow-env'),
  }
}

/** What a run is to do. */
export function typed(invocation: Invocation, program: Program): Typed {
  return {
    environment: environmentOptions(invocation, program),
    selection: selectionOf(invocation, program),
    inputs: invocation.pairs('input'),
    permissions: { confirm: invocation.text('confirm'), registerAgain: invocation.has('register-again') },
    rows: rowOptions(invocation, program),
  }
}

/** Whether it is a run of rows. */
export function hasRows(invocation: Pick<Invocation, 'has' | 'text'>): boolean {
  return [invocation.text('data'), invocation.text('repeat')].some((text) => text !== undefined)
}

function rowOptions(invocation: Invocation, { here, variables }: Program): Typed['rows'] {
  const [data, repeat, parallel, shard] = (['data', 'repeat', 'parallel', 'shard'] as const).map((flag) =>
    invocation.text(flag),
  )
  if (data !== undefined && repeat !== undefined)
    fail({ code: 'USAGE', message: '--data and --repeat exclude each other', hint: 'each row of the file is run once' })
  if (!hasRows(invocation)) {
    if ((parallel ?? shard) === undefined) return undefined
    return fail({
      code: 'USAGE',
      message: '--parallel and --shard are about rows',
      hint: 'add --data <file> or --repeat <number>',
    })
  }
  return {
    data: data && resolve(here, data),
    repeat: repeat === undefined ? undefined : rowCount(repeat, '--repeat'),
    parallel: parallel === undefined ? 1 : rowCount(parallel, '--parallel', MOST_PARALLEL),
    shard: shard === undefined ? undefined : shardOf(shard, variables),
  }
}

export function selectionOf(invocation: Invocation, program: Program): Typed['selection'] {
  return {
    flows: invocation.words,
    workflow: invocation.text('workflow'),
    step: invocation.text('step'),
    tags: listed(invocation, 'tag'),
    safety: listed(invocation, 'safety'),
    effects: listed(invocation, 'effect'),
    conformance: invocation.has('conformance'),
    folders: foldersOf(program),
  }
}

/** Folders that hold `flows/` and `fixtures/`; the first match wins. */
export function foldersOf({ here, project, root }: Pick<Program, 'here' | 'project' | 'root'>): readonly string[] {
  return [...new Set([here, project, root])]
}

/** A flow of the package, even where the current folder has one of the same name. */
export function flowOfPackage(name: string, program: Program): Typed['selection'] {
  return { flows: [join(program.root, 'flows', `${name}.arazzo.yaml`)], folders: foldersOf(program) }
}

/** What this process brings along for a run. */
export function callerOf(invocation: Invocation, program: Program, stops: Stops): Caller {
  const { root, version, here, project, variables, stdin, stderr } = program
  const out = invocation.text('out')
  const canAsk = stdin.isTTY && stderr.isTTY && !invocation.has('json')
  return {
    version,
    provenance: provenanceOf(root, variables, { ticket: invocation.text('ticket'), account: accountName() }),
    out: out === undefined ? resolve(project, 'reports') : resolve(here, out),
    codeQuality: variables.GITLAB_CI === 'true',
    variables,
    machine: machineOf(variables),
    proxy: proxyOf(variables),
    twin: async (_, ofRow) =>
      (await import('../twin.ts')).embeddedTwin(twinFolder(program), undefined, undefined, ofRow),
    ask: canAsk ? (question) => askClientId(question, program, stops.signal) : undefined,
    ...stops,
  }
}

/** Where runs are stored: `--reports`, else the folder of the project. */
export function reportsFolder(
  invocation: Pick<Invocation, 'text'>,
  { here, project }: Pick<Program, 'here' | 'project'>,
): string {
  const named = invocation.text('reports')
  return named === undefined ? resolve(project, 'reports') : resolve(here, named)
}

/** A run as it was typed: a path is one from here; a bare name is looked for among the reports. */
export function runNamed<T extends string | undefined>(run: T, { here }: Pick<Program, 'here'>): T | string {
  return run !== undefined && existsSync(resolve(here, run)) ? resolve(here, run) : run
}

/** Where the embedded twin makes its certificates. */
export function twinFolder({ root, project }: Pick<Program, 'root' | 'project'>): string {
  return join(placeToWrite(root, project), 'fixtures', 'pki')
}

/** The values of a flag that may be repeated and may hold several values with commas. */
function listed(invocation: Invocation, flag: string): readonly string[] {
  return invocation.texts(flag).flatMap((text) => text.split(',').filter((word) => word !== ''))
}

/** CLIENT_ID of the environment. */
export function clientIdOf(environment: Environment): string | undefined {
  const value = environment.setting('client_id')?.value
  return typeof value === 'string' ? value : undefined
}

/** The first Ctrl-C (or SIGTERM) aborts the signal, so that the work ends in good order; the second ends the process. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  return await untilEnded([stop], async () => await work(stop.signal))
}

interface Stops {
  readonly signal: AbortSignal
  readonly cut?: AbortSignal | undefined
}

/** The same for work that changes clients: the second Ctrl-C aborts `cut`, and the third ends the process. */
export async function untilCut<T>({ warn }: Program, work: (stops: Stops) => Promise<T>): Promise<T> {
  const [stop, cut] = [new AbortController(), new AbortController()]
  stop.signal.addEventListener('abort', () => warn(STOPPING))
  cut.signal.addEventListener('abort', () => warn(CUTTING))
  return await untilEnded([stop, cut], async () => await work({ signal: stop.signal, cut: cut.signal }))
}

/** For `catch`: shows what a run came to whose reports could not be written, before that is thrown. */
export function whenUnwritten(
  { here }: Pick<Program, 'here'>,
  show: (head: RecordHead, file: string | undefined, how: { readonly unwritten: true }) => void,
): (error: unknown) => never {
  return (error) => {
    if (error instanceof Unwritten) show(error.head, error.file && relative(here, error.file), { unwritten: true })
    throw error
  }
}

/** Each signal to the process aborts the next of them; one after the last ends the process. */
async function untilEnded<T>(controllers: readonly AbortController[], work: () => Promise<T>): Promise<T> {
  const left = [...controllers]
  const signals = ['SIGINT', 'SIGTERM'] as const
  const end = () => {
    for (const signal of signals) process.off(signal, next)
  }
  const next = () => {
    left.shift()?.abort()
    if (left.length === 0) end()
  }
  for (const signal of signals) process.on(signal, next)
  try {
    return await work()
  } finally {
    end()
  }
}

const STOPPING =
  'stopping: calls under way that change or read a client are waited for, then the steps marked finally run; Ctrl-C again cuts them off\n'
const CUTTING = 'cutting off: calls whose end nobody knows are named in the record and below\n'

/** Asks at the terminal for what a script says with --confirm. Ctrl-C and Ctrl-D give undefined. */
async function askClientId(
  { environment, clientId, changes, rows }: Question,
  program: Program,
  signal: AbortSignal,
): Promise<string | undefined> {
  const what = changes.map(({ workflowId, effect }) => `"${workflowId}" (${effect})`).join(', ')
  if (rows !== undefined) {
    program.warn(line`${what} would run for ${rows} rows on "${environment}":\n  ${clientId}\n`)
    return await typedWord('Type the number and the hash of the list to go on: ', program, signal)
  }
  program.warn(line`${what} would change a live client on "${environment}":\n  ${clientId}\n`)
  return await typedClientId(program, signal)
}

/** What a person types; undefined for Ctrl-C and Ctrl-D. */
export async function typedClientId(program: Program, signal?: AbortSignal): Promise<string | undefined> {
  return await typedWord('Type its client id to go on: ', program, signal)
}

export async function typedWord(
  question: string,
  { stdin, stderr }: Program,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { createInterface } = await import('node:readline/promises')
  const lines = createInterface({ input: stdin, output: stderr, terminal: false })
  const closed = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)))
  try {
    const typed = (signal === undefined ? lines.question(question) : lines.question(question, { signal })).catch(
      () => undefined,
    )
    return (await Promise.race([typed, closed]))?.trim()
  } finally {
    lines.close()
  }
}
