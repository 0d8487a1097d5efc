/**
 * `thredd cleanup`: deletes the clients that earlier runs were to delete and did not, as listed in the vault's ledger. Each
 * deletion is a run of a flow, with the guards and the record of any other run. A client that was registered to stay is left alone.
 */
import { relative } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail, render, ToolError, worstExit } from '../../record/errors.ts'
import { json, line, lines } from '../../record/foreign.ts'
import { commandsFor, shellWord } from '../../record/hints.ts'
import { count } from '../../report/words.ts'
import { resolve, run, Unwritten, usesTwin } from '../../run/index.ts'
import { identityWith, openReader } from '../../run/reader.ts'
import { type LedgerEntry, type Probe, recover, type Vault, vaultOf } from '../../vault/index.ts'
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
  /** x5t#S256 of the certificate that its token is for; undefined where it is not known */
  readonly thumbprint: string | undefined
}

export async function performCleanup(invocation: Invocation, program: Program): Promise<number> {
  const { version, here, variables, write, stdout } = program
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  const out = invocation.has('json') ? undefined : consoleOn(stdout, program)
  return await untilCut(program, async (stops) => {
    const options = environmentOptions(invocation, program)
    const caller = callerOf(invocation, program, stops)
    return await cleanUp(invocation, {
      write,
      environment: environment.name,
      isOnTwin: usesTwin(environment),
      vault: vaultOf(environment, { now: () => new Date() }),
      openReader: () => openReader(environment, { version, proxy: proxyOf(variables) }),
      remove: async (client, confirm) => {
        const own = await settingsOf(client, environment)
        const request = await resolve({
          environment: { ...options, variables: { ...variables, ...own }, allowEnv: true },
          selection: flowOfPackage('delete-registration', program),
          permissions: { confirm },
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

/** The variables that make a run one about this client. @throws IDENTITY_MISSING where nobody here has its certificate */
async function settingsOf(
  { clientId, softwareId, thumbprint }: LeftBehind,
  environment: Environment,
): Promise<Readonly<Record<string, string>>> {
  const usual = environment.identityFor.get('AUTHORIZATION') ?? 'transport'
  const identity = thumbprint === undefined ? usual : await identityWith(environment, thumbprint)
  if (identity === undefined)
    fail({
      code: 'IDENTITY_MISSING',
      message: `client "${clientId}" was registered with a certificate that "${environment.name}" does not name; nothing was sent`,
      expected: `an identity whose certificate has x5t#S256 ${thumbprint}`,
      hint: `name it with IDENTITY_<NAME>_CERT_FILE and IDENTITY_<NAME>_KEY_FILE, then ${commandsFor(environment.flags)('cleanUp')}`,
    })
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
  const { vault } = io
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => await vault.close())
  const isDry = flags.has('dry-run')
  const found = await leftIn(vault)
  if (found.length === 0) write(line`nothing was left behind on "${io.environment}"\n`)
  for (const entry of found) write(inWords(entry))

  const exits: number[] = []
  if (!isDry && found.length > 0) {
    const problems = io.isOnTwin ? await markRemoved(vault, found) : await remove(vault, flags, { ...io, write })
    exits.push(...problems)
  }
  const left = await leftIn(vault)
  if (!isDry && found.length > 0)
    write(left.length === 0 ? 'nothing is left behind\n' : `${count(left.length, 'client')} still left or unknown\n`)
  if (asJson) {
    const removed = found.filter((entry) => !left.some(({ clientId }) => clientId === entry.clientId))
    const { environment } = io
    io.write(`${json({ environment, dryRun: isDry, found, removed: removed.map(idOf), left })}\n`)
  }
  return worstExit([...exits, left.length === 0 ? 0 : 3])
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

async function remove(vault: Vault, flags: Pick<Invocation, 'texts'>, io: CleanupIo): Promise<readonly number[]> {
  const exits: number[] = []
  // Calls without an answer come first: each may have registered a client that is to be deleted as well.
  const open = (await vault.unsettled()).filter(({ way }) => way === 'read')
  if (open.length > 0) {
    await using reader = await io.openReader()
    for (const { id } of open) {
      const one = (await vault.unsettled()).find((other) => other.id === id)
      if (one === undefined) continue
      const { settled, words } = await recover(vault, one, { probe: reader.probe, runId: 'cleanup' })
      io.write(line`${one.effect} of ${one.clientId}\n  ${settled ? 'settled' : 'open'}: ${words}\n`)
    }
  }
  for (const { clientId, state } of await vault.ledger()) {
    if (state !== 'left behind') continue
    const confirmations = flags.texts('confirm')
    try {
      const { thumbprint } = (await vault.current(clientId)) ?? {}
      const client = { clientId, softwareId: await vault.softwareOf(clientId), thumbprint }
      exits.push(await io.remove(client, confirmations.find((one) => one === clientId) ?? confirmations[0]))
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      if (error instanceof Unwritten) {
        for (const problem of error.problems) io.write(`${render(problem)}\n`)
        exits.push(error.exitCode)
        continue
      }
      io.write(line`not deleted  ${clientId}\n`)
      for (const problem of error.problems) {
        const isConfirmation = problem.expected?.startsWith('--confirm ') === true
        const expected = isConfirmation ? `--confirm ${shellWord(clientId)}` : problem.expected
        io.write(`${render({ ...problem, expected })}\n`)
      }
      exits.push(2)
    }
  }
  return exits
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
