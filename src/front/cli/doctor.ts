/**
 * `thredd doctor`: everything that a run on an environment depends on, a line each with its remedy; with --online its servers
 * too. Exit code: 0 nothing in the way, 1 something has to be mended, 3 something could not be found out.
 */
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail, ToolError } from '../../record/errors.ts'
import { json } from '../../record/foreign.ts'
import { readJson } from '../../record/json.ts'
import { examine } from '../../run/examine.ts'
import { clockRow, driftRows, examineByFlow, examineHosts, examineKeystore } from '../../run/examine-servers.ts'
import { AREAS, type Examined, problemRow, rowsOfRefusal } from '../../run/examined.ts'
import { type Caller, resolve } from '../../run/index.ts'
import { calledHere } from './called-here.ts'
import type { Invocation, Program } from './command.ts'
import { labelled, screenOf } from './list.ts'
import { Printer, type Screen } from './printer.ts'
import { callerOf, environmentOptions, flowOfPackage, selectionOf, twinFolder, untilStopped } from './run-options.ts'

export async function performDoctor(invocation: Invocation, program: Program): Promise<number> {
  const options = environmentOptions(invocation, program)
  const environment = await loadEnvironment(options).catch((error) => {
    if (error instanceof ToolError) return error
    throw error
  })
  if (environment instanceof ToolError)
    return show(rowsOfRefusal(environment), { name: options.env, class: 'unknown' }, invocation, program)
  const selection = selectionOf(invocation, program)
  const offline = await examine({
    environment,
    inputs: new Map(),
    twinFolder: twinFolder(program),
    selection,
    minDays: minDaysOf(invocation),
  })
  const online = invocation.has('online')
    ? await untilStopped((signal) =>
        examineOnline(
          { invocation, program, environment, isRegistered: isRegistered(offline) },
          callerOf(invocation, program, { signal }),
        ),
      )
    : []
  return show([...offline, ...online], environment, invocation, program)
}

/** Where its files cannot be used, the class of an environment is not known. Returns the exit code. */
function show(
  rows: readonly Examined[],
  environment: { readonly name: string; readonly class: Environment['class'] | 'unknown' },
  invocation: Invocation,
  program: Program,
): number {
  const online = invocation.has('online')
  if (invocation.has('json'))
    program.write(`${json({ environment: environment.name, class: environment.class, online, rows })}\n`)
  else {
    const shown = rows.map((row) => ({ ...row, remedy: row.remedy && calledHere(row.remedy, program) }))
    writeRows(shown, environment, { screen: screenOf(program), online })
  }
  if (rows.some(({ state }) => state === 'wrong')) return 1
  return rows.some(({ state }) => state === 'unknown') ? 3 : 0
}

function minDaysOf(invocation: Invocation): number | undefined {
  const text = invocation.text('min-days')
  if (text === undefined || /^\d{1,4}$/.test(text)) return text === undefined ? undefined : Number(text)
  return fail({ code: 'USAGE', message: '--min-days is a number of days', expected: '0 to 9999', found: text })
}

/** Hosts first; then what the two reading flows see. */
async function examineOnline(
  {
    invocation,
    program,
    environment,
    isRegistered,
  }: {
    readonly invocation: Invocation
    readonly program: Program
    readonly environment: Environment
    readonly isRegistered: boolean
  },
  caller: Caller,
): Promise<readonly Examined[]> {
  const options = environmentOptions(invocation, program)
  // Such as a proxy that cannot be used.
  const refused = (area: Examined['area'], what: string, error: unknown, state: Examined['state']) => {
    if (!(error instanceof ToolError)) throw error
    return error.problems.map((one) => ({ ...problemRow(area, what, one), state }))
  }
  const hosts = await examineHosts(environment, caller).catch((error) => refused('hosts', 'all', error, 'wrong'))
  const flow = async (name: string, area: 'servers' | 'registration', withAnswer: Partial<Caller> = {}) => {
    try {
      const request = await resolve({ environment: options, selection: flowOfPackage(name, program) })
      return await examineByFlow(request, { ...caller, ...withAnswer }, { area, environment })
    } catch (error) {
      return { rows: refused(area, name, error, 'unknown'), exchanges: [] }
    }
  }
  const discovered = await flow('discover', 'servers')
  const keystore = await examineKeystore(environment, caller).catch((error) =>
    refused('servers', 'keystore', error, 'unknown'),
  )
  let client: Readonly<Record<string, unknown>> | undefined
  const reading = {
    onAnswer: ({ step, body }: Parameters<NonNullable<Caller['onAnswer']>>[0]) => {
      const answer = step === 'read' ? readJson(new TextDecoder().decode(body)) : undefined
      if (answer?.ok === true && isObject(answer.value)) client = answer.value
    },
  }
  const read = isRegistered ? await flow('read-registration', 'registration', reading) : { rows: [], exchanges: [] }
  const drift =
    client === undefined ? [] : await driftRows(client, environment, selectionOf(invocation, program).folders)
  return [
    ...hosts,
    clockRow([...discovered.exchanges, ...read.exchanges]),
    ...discovered.rows,
    ...keystore,
    ...read.rows,
    ...drift,
  ]
}

/** Where the vault holds no registration, the row that says so is enough. */
function isRegistered(rows: readonly Examined[]): boolean {
  return rows.some(({ area, what, state }) => area === 'vault' && what === 'registration' && state === 'good')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

const MARKS = { good: ['✓', 'green'], remark: ['!', 'yellow'], wrong: ['✗', 'red'], unknown: ['?', 'yellow'] } as const

export function writeRows(
  rows: readonly Examined[],
  { name, class: environmentClass }: { readonly name: string; readonly class: string },
  { screen, online }: { readonly screen: Screen; readonly online: boolean },
): void {
  const out = new Printer(screen)
  out.line(`environment ${out.paint('bold', out.plain(name))} · class ${environmentClass}`)
  const width = Math.max(...rows.map(({ what }) => what.length)) + 2
  for (const area of AREAS) {
    const own = rows.filter((row) => row.area === area)
    if (own.length > 0) out.line('', out.paint('bold', area))
    for (const { what, state, sentence, remedy } of own) {
      const [mark, colour] = MARKS[state]
      const [first = '', ...rest] = labelled(what, out.plain(sentence), 4, width)
      out.line(`  ${out.paint(colour, mark)} ${first.slice(4)}`, ...rest)
      if (remedy !== undefined && remedy !== '') out.line(`${' '.repeat(4 + width)}→ ${out.plain(remedy)}`)
    }
  }
  const number = (state: Examined['state']) => rows.filter((row) => row.state === state).length
  const asked = online ? '' : '; no server was asked: --online asks them'
  out.line('', `${number('wrong')} to mend, ${number('remark')} to know, ${number('unknown')} not found out${asked}`)
}
