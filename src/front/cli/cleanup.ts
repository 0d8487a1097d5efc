/**
 * `thredd cleanup`: deletes the clients that earlier runs were to delete and did not, as listed in the vault's ledger. Each
 * deletion is a run of a flow, with the guards and the record of any other run. A client that was registered to stay is left alone.
 */
import { relative } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { enumerated, fail, type Problem, render, ToolError, worstExit } from '../../record/errors.ts'
import { json, line, lines } from '../../record/foreign.ts'
import { commandsFor, shellWord } from '../../record/hints.ts'
import { count } from '../../report/words.ts'
import { resolve, run, Unwritten, usesTwin } from '../../run/index.ts'
import { identityWith, openReader } from '../../run/reader.ts'
import {
  askThredd,
  type LedgerEntry,
  type Probe,
  type Registration,
  recover,
  type Vault,
  vaultOf,
} from '../../vault/index.ts'
import { proxyOf } from '../provenance.ts'
import type { Invocation, Program } from './command.ts'
import { consoleOn } from './console.ts'
import { callerOf, environmentOptions, flowOfPackage, untilCut, whenUnwritten } from './run-options.ts'

interface CleanupIo {
  readonly write: (text: string) => void
  readonly environment: string
  /** on the embedded twin, whose clients end with the run */
  readonly isOnTwin: boolean
  readonly vault: Vault
  readonly openReader: () => Promise<AsyncDisposable & { readonly probe: Probe }>
  /** Deletes with the stored token and returns the exit code. Throws ToolError where a guard refuses it. */
  readonly remove: (client: LeftBehind, confirm: string | undefined) => Promise<number>
}

/** What the vault knows of a client: a row may have registered it with settings of its own. */
interface LeftBehind {
  readonly clientId: string
  readonly softwareId: string | undefined
  /** as it was when it was judged to be left behind */
  readonly registration: Registration
}

/** What came of a removal, beside the exit codes. */
interface Removal {
  /** why a client is still there, by its id; without a code where no error kept it */
  readonly reasons: Map<string, readonly (Omit<Problem, 'code'> & { readonly code?: Problem['code'] })[]>
  /** as they are now: clients that are not those any more that were left behind */
  readonly leftAlone: LedgerEntry[]
}

export async function performCleanup(invocation: Invocation, program: Program): Promise<number> {
  const { version, here, variables, write, stdout } = program
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  const out = invocation.has('json') ? undefined : consoleOn(stdout, program)
  return await untilCut(program, async (stops) => {
    const options = environmentOptions(invocation, program)
    const caller = callerOf(invocation, program, stops)
    const vault = vaultOf(environment, { now: () => new Date() })
    return await cleanUp(invocation, {
      write,
      environment: environment.name,
      isOnTwin: usesTwin(environment),
      vault,
      openReader: () => openReader(environment, { version, proxy: proxyOf(variables) }),
      remove: async (client, confirm) => {
        const own = await settingsOf(client, environment, vault)
        const request = await resolve({
          environment: { ...options, variables: { ...variables, ...own }, allowEnv: true },
          selection: flowOfPackage('delete-registration', program),
          permissions: { confirm, judged: client.registration },
        })
        const { head, file } = await run(request, {
          ...caller,
          onEvent: (event) => out?.show(event),
        }).catch(whenUnwritten(program, (...all) => out?.summary(...all)))
        out?.summary(head, relative(here, file))
        return head.exitCode
      },
    })
  })
}

/** The settings of a run that deletes this client. @throws IDENTITY_MISSING where no identity of the environment has its certificate */
async function settingsOf(
  { clientId, softwareId, registration: { thumbprint } }: LeftBehind,
  environment: Environment,
  vault: Vault,
): Promise<Readonly<Record<string, string>>> {
  const { usual, identity, unloaded } = await identityWith(environment, thumbprint)
  if (identity === undefined) {
    const why = [...unloaded].map(([name, { message }]) => `identity "${name}" could not be loaded: ${message}`)
    const mend = `name it with IDENTITY_<NAME>_CERT_FILE and IDENTITY_<NAME>_KEY_FILE${why.length === 0 ? '' : ', or mend those that could not be loaded'}`
    fail({
      code: 'IDENTITY_MISSING',
      message: `client "${clientId}" was registered with a certificate that no ${why.length === 0 ? 'identity' : 'identity that could be loaded'} of "${environment.name}" has; nothing was sent`,
      expected: `an identity whose certificate has x5t#S256 ${thumbprint}`,
      found: why.length === 0 ? undefined : enumerated(why),
      hint: `${mend}, then ${commandsFor(environment.flags)('cleanUp')}; where that certificate no longer exists, ${askThredd(clientId, vault.commandAbout(clientId), { refused: true })}`,
    })
  }
  return {
    THREDD_CLIENT_ID: clientId,
    ...(softwareId === undefined ? {} : { THREDD_SOFTWARE_ID: softwareId }),
    ...(identity === usual ? {} : { THREDD_IDENTITY_FOR_AUTHORIZATION: identity }),
  }
}

/** Exit code: 0 where nothing is left, else the worst of what went wrong; 3 where something is still left or open. */
export async function cleanUp(flags: Pick<Invocation, 'has' | 'texts'>, io: CleanupIo): Promise<number> {
  const asJson = flags.has('json')
  const write = (text: string) => (asJson ? undefined : io.write(lines(text)))
  const { vault, environment } = io
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => await vault.close())
  const isDry = flags.has('dry-run')
  const found = await leftIn(vault)
  if (found.length === 0) write(line`nothing was left behind on "${environment}"\n`)
  for (const entry of found) write(inWords(entry))

  const removal: Removal = { reasons: new Map(), leftAlone: [] }
  const exits: number[] = []
  if (!isDry && found.length > 0) {
    const problems = io.isOnTwin
      ? await markRemoved(vault, found)
      : await remove(vault, flags, { ...io, ...removal, write })
    exits.push(...problems)
  }
  const left = await leftIn(vault)
  if (!isDry && found.length > 0)
    write(left.length === 0 ? 'nothing is left behind\n' : `${count(left.length, 'client')} still left or unknown\n`)
  if (asJson) {
    const ledger = await vault.ledger()
    const removed = found.filter((entry) => ledger.some((now) => isSame(now, entry) && now.state === 'deleted'))
    const why = (clientId: string) => removal.reasons.get(clientId) ?? []
    const explained = left.map((entry) => ({ ...entry, problems: why(entry.clientId) }))
    io.write(
      `${json({ environment, dryRun: isDry, found, removed: removed.map(idOf), left: explained, leftAlone: removal.leftAlone })}\n`,
    )
  }
  return worstExit([...exits, left.length === 0 ? 0 : 3])
}

/** Whether both are about the same registration of a client. */
function isSame(a: LedgerEntry, b: LedgerEntry): boolean {
  return a.clientId === b.clientId && a.at === b.at && a.runId === b.runId
}

async function leftIn(vault: Vault): Promise<readonly LedgerEntry[]> {
  const states: readonly LedgerEntry['state'][] = ['left behind', 'unknown', 'announced', 'registered']
  return (await vault.ledger()).filter(({ state }) => states.includes(state))
}

/** The clients ended with the embedded twin, so there is nothing to send: the vault is brought up to date. */
async function markRemoved(vault: Vault, entries: readonly LedgerEntry[]): Promise<readonly number[]> {
  for (const { clientId, state } of entries) {
    if (state === 'announced' || state === 'registered') continue
    await vault.remove(clientId, { runId: 'cleanup', step: 'cleanup' })
  }
  return []
}

async function remove(
  vault: Vault,
  flags: Pick<Invocation, 'texts'>,
  io: CleanupIo & Removal,
): Promise<readonly number[]> {
  await settleOpen(vault, io)
  const exits: number[] = []
  for (const listed of await vault.ledger()) {
    if (listed.state !== 'left behind') continue
    const { clientId } = listed
    // Others work while one is removed, and while a person is asked. The run itself asks the vault for this registration again.
    const registration = await vault.current(clientId)
    const now = (await vault.ledger()).findLast((entry) => entry.clientId === clientId)
    if (registration === undefined || now?.state !== 'left behind' || !isSame(now, listed)) {
      if (now !== undefined) io.leftAlone.push(now)
      io.write(line`left alone   ${clientId}\n  ${now === undefined ? FORGOTTEN : changeInWords(now)}\n`)
      continue
    }
    exits.push(await removeOne({ clientId, softwareId: await vault.softwareOf(clientId), registration }, flags, io))
  }
  return exits
}

/** Calls without an answer come first: each may have registered a client that is to be deleted as well. */
async function settleOpen(vault: Vault, io: CleanupIo & Removal): Promise<void> {
  const open = (await vault.unsettled()).filter(({ way }) => way === 'read')
  if (open.length === 0) return
  await using reader = await io.openReader()
  for (const { id } of open) {
    const one = (await vault.unsettled()).find((other) => other.id === id)
    if (one === undefined) continue
    const { settled, words } = await recover(vault, one, { probe: reader.probe, runId: 'cleanup' })
    io.write(line`${one.effect} of ${one.clientId}\n  ${settled ? 'settled' : 'open'}: ${words}\n`)
    if (!settled) io.reasons.set(one.clientId, [{ message: words }])
  }
}

/** Returns the exit code. */
async function removeOne(
  client: LeftBehind,
  flags: Pick<Invocation, 'texts'>,
  io: CleanupIo & Removal,
): Promise<number> {
  const { clientId } = client
  const confirmations = flags.texts('confirm')
  try {
    const exit = await io.remove(client, confirmations.find((one) => one === clientId) ?? confirmations[0])
    if (exit !== 0)
      io.reasons.set(clientId, [{ message: `the run that was to delete it ended with exit code ${exit}` }])
    return exit
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    if (!(error instanceof Unwritten)) io.write(line`not deleted  ${clientId}\n`)
    const problems = error.problems.map((problem) => {
      const isConfirmation = problem.expected?.startsWith('--confirm ') === true
      return isConfirmation ? { ...problem, expected: `--confirm ${shellWord(clientId)}` } : problem
    })
    for (const problem of problems) io.write(`${render(problem)}\n`)
    io.reasons.set(clientId, problems)
    return error.exitCode
  }
}

const FORGOTTEN = 'the vault no longer holds it'

/** Of a client that is not the one any more that was left behind. */
function changeInWords({ state, at, step, runId, deletedAt, open }: LedgerEntry): string {
  const since = 'since it was listed as left behind'
  if (state === 'deleted') return `it was deleted ${since}, at ${deletedAt}`
  const [call] = open
  if (call !== undefined) return `it was called again ${since}: ${call.known}`
  if (state === 'kept') return `it was registered again ${since}, to stay`
  return `it was registered again ${since}, at ${at} by step "${step}" of run ${runId}`
}

function inWords({ clientId, state, at, step, runId, purpose, open }: LedgerEntry): string {
  const plan = purpose === 'temporary' ? ', which was to delete it' : ''
  const what = {
    announced: `a run is registering it now: step "${step}" of run ${runId}`,
    registered: `registered ${at} by step "${step}" of run ${runId}, which is still running and will delete it`,
    'left behind': `registered ${at} by step "${step}" of run ${runId}${plan}`,
    unknown: '',
    kept: '',
    deleted: '',
  }[state]
  const calls = open.flatMap(({ known, next }) => [known, `next: ${next}`])
  const lines = state === 'unknown' ? calls : [what]
  return `${state.padEnd(11)}  ${clientId}\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function idOf({ clientId }: LedgerEntry): string {
  return clientId
}
