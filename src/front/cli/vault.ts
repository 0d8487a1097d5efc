/** `thredd vault …`: what is asked of the vault, in words. */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CODES, fail, nearest, render, worstExit } from '../../record/errors.ts'
import { json, line, lines } from '../../record/foreign.ts'
import type { Secret } from '../../secret/index.ts'
import {
  fingerprint,
  type OpenCall,
  type Proof,
  proveToken,
  type Registration,
  recover,
  sealExport,
  toVariables,
} from '../../vault/index.ts'
import type { VaultCall, VaultFlags, VaultIo } from './vault-call.ts'
import { importClients } from './vault-import.ts'

/** Exit code: 0, 1 where a token is refused, 2 where a file cannot be read, 3 where something is still open or unknown. */
export async function performVault(words: readonly string[], flags: VaultFlags, io: VaultIo): Promise<number> {
  const [name = 'list', ...rest] = words
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name as keyof typeof ACTIONS] : undefined
  if (action === undefined) {
    const meant = nearest(name, Object.keys(ACTIONS))
    return fail({
      code: 'USAGE',
      message: `there is no "thredd vault ${name}"`,
      hint: meant === undefined ? `there is ${Object.keys(ACTIONS).join(', ')}` : `did you mean "${meant}"?`,
    })
  }
  const has = (flag: string) => flags.has(flag)
  if (has('json') && !WITH_JSON.includes(name)) {
    fail({
      code: 'USAGE',
      message: `"thredd vault ${name}" has no JSON form`,
      expected: `--json with ${WITH_JSON.join(', ')}`,
    })
  }
  const opened = await io.open()
  const plain = (write: (text: string) => void) => (text: string) => write(lines(text))
  const [write, warn] = [plain(io.write), plain(io.warn)]
  try {
    if (WRITING.includes(name)) for (const warning of await opened.vault.prepare()) warn(line`warning ${warning}\n`)
    return await action({ ...io, ...opened, write, warn, flags, words: rest, has })
  } finally {
    await opened.vault.close()
  }
}

const ACTIONS = {
  list,
  show,
  history,
  export: exportClients,
  import: importClients,
  'rotate-key': rotateKey,
  forget,
  recover: recoverClients,
  check,
} as const satisfies Record<string, (call: VaultCall) => Promise<number>>

const WITH_JSON: readonly string[] = ['list', 'show', 'history', 'check'] satisfies (keyof typeof ACTIONS)[]
/** What writes into a vault also where there is none yet; the others find it empty and leave no key behind. */
const WRITING: readonly string[] = ['rotate-key'] satisfies (keyof typeof ACTIONS)[]

async function list(call: VaultCall): Promise<number> {
  const { vault, write, environment } = call
  const { registrations, unreadable } = await vault.list()
  const open = await vault.unsettled()
  const ledger = await vault.ledger()
  const exit = worstExit([...unreadable.map(({ code }) => CODES[code].exit), open.length > 0 ? 3 : 0])
  if (call.has('json')) {
    const clients = registrations.map(({ clientId, keptAt, deletedAt, ...one }) => ({
      clientId,
      keptAt,
      deletedAt,
      complete: one.registrationAccessToken !== undefined && one.registrationClientUri !== undefined,
    }))
    writeJson(call, { environment, clients, ledger, open, unreadable })
    return exit
  }
  if (registrations.length === 0) write(line`the vault of "${environment}" holds no client\n`)
  for (const registration of registrations) {
    const { clientId, keptAt, deletedAt, registrationAccessToken: token, registrationClientUri } = registration
    const state = deletedAt !== undefined ? `deleted ${deletedAt}` : `registered, answer of ${keptAt}`
    const missing = deletedAt === undefined && (token === undefined || registrationClientUri === undefined)
    write(line`${clientId}\n  ${state}${missing ? '; token or URI missing' : ''}\n`)
    const left = ledger.find((entry) => entry.clientId === clientId && entry.state === 'left behind')
    if (left !== undefined)
      write(line`  left behind by run ${left.runId}, which was to delete it: ${vault.command('cleanUp')}\n`)
  }
  for (const one of open) write(inWords(one))
  for (const problem of unreadable) call.warn(`${render(problem)}\n`)
  return exit
}

async function show(call: VaultCall): Promise<number> {
  const { write } = call
  const registration = await chosen(call)
  const { clientId, registrationClientUri, scopes, softwareStatementSha256, keptAt, runId, step } = registration
  if (call.has('json')) {
    const { registrationAccessToken, fallbacks } = registration
    const token = (one: Secret | undefined) =>
      one && { fingerprint: fingerprint(one.reveal()), ...(isRevealed(call) ? { value: one.reveal() } : {}) }
    const tokens = { registrationAccessToken: token(registrationAccessToken), fallbacks: fallbacks.map(token) }
    writeJson(call, { environment: call.environment, ...registration, ...tokens })
    return 0
  }
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['client_id', clientId],
    ['registration_client_uri', registrationClientUri],
    ['registration_access_token', shown(call, registration.registrationAccessToken)],
    ...registration.fallbacks.map((token) => ['token before it', shown(call, token)] as const),
    ['token last proven', registration.workedAt ?? 'not yet'],
    ['scopes', scopes.join(' ')],
    ['software statement', softwareStatementSha256 && `sha256 ${softwareStatementSha256}`],
    ['answer', `${keptAt}, step "${step}" of run ${runId}`],
    ['deleted', registration.deletedAt],
  ]
  for (const [name, value] of rows) if (value !== undefined) write(line`${name.padEnd(26)}${value}\n`)
  write(`metadata\n${json(registration.metadata)}\n`)
  return 0
}

async function history(call: VaultCall): Promise<number> {
  const { clientId } = await chosen(call)
  const events = await call.vault.history(clientId)
  const open = (await call.vault.unsettled()).filter((one) => one.clientId === clientId)
  if (call.has('json')) {
    writeJson(call, { environment: call.environment, clientId, events, open })
    return 0
  }
  for (const { at, what, step, runId, status, token, note } of events) {
    const facts = [
      status === undefined ? undefined : `status ${status}`,
      token === undefined ? undefined : `token #${token}`,
      step === undefined ? undefined : `step "${step}" of run ${runId}`,
      note,
    ]
    call.write(line`${at}  ${what.padEnd(10)}  ${facts.filter((fact) => fact !== undefined).join('  ')}\n`)
  }
  for (const one of open) call.write(inWords(one))
  return 0
}

async function exportClients(call: VaultCall): Promise<number> {
  const { vault, flags, environment, now } = call
  const format = flags.text('format') ?? 'encrypted'
  if (format === 'dotenv' || format === 'postman') {
    const registration = await chosen(call)
    const out = flags.text('out')
    if (!call.has('reveal') || (out === undefined && !call.isTerminal)) {
      fail({
        code: 'USAGE',
        message: `format "${format}" holds the registration access token in clear`,
        expected: '--reveal, and --out <file> or a terminal',
        hint: 'the default format is encrypted',
      })
    }
    const text = toVariables(registration, format, environment)
    if (out === undefined) call.write(text)
    else await writeNew(call, out, text)
    return 0
  }
  if (format !== 'encrypted') {
    fail({ code: 'USAGE', message: `there is no export format "${format}"`, expected: 'encrypted, dotenv or postman' })
  }
  const out = flags.text('out')
  if (out === undefined) fail({ code: 'USAGE', message: 'the export needs a file', expected: '--out <file>' })
  const clientIds = call.words.length === 0 ? undefined : [(await chosen(call)).clientId]
  const clients = await vault.export(clientIds)
  const passphrase = await call.passphrase('passphrase of the export: ', true)
  await writeNew(call, out, await sealExport({ environment, exportedAt: now().toISOString(), clients }, passphrase))
  call.write(line`${clients.length} client(s) exported to ${out}\n`)
  return 0
}

async function rotateKey(call: VaultCall): Promise<number> {
  const dropEarlier = call.has('drop-earlier')
  if (dropEarlier && call.flags.text('confirm') !== call.environment) {
    fail({
      code: 'USAGE',
      message:
        'the earlier keys would be dropped: whatever else was encrypted with them, such as a backup, is then lost',
      expected: `--confirm ${call.environment}`,
      hint: dropping(call),
    })
  }
  const { lines, made } = await call.vault.rotateKey({ dropEarlier })
  const { keys = [], source } = call.vault.ring ?? {}
  call.write(`${lines} line(s) encrypted with ${made ? 'a new key' : 'the first key'} of ${source}\n`)
  if (keys.length > 1) call.write(line`earlier keys are kept for copies of the vault; remove them: ${dropping(call)}\n`)
  return 0
}

function dropping({ environment, vault }: VaultCall): string {
  return vault.command('dropKeys', { environment })
}

async function forget(call: VaultCall): Promise<number> {
  const { clientId, deletedAt } = await chosen(call)
  if (call.flags.text('confirm') !== clientId) {
    fail({
      code: 'USAGE',
      message:
        deletedAt === undefined
          ? `client "${clientId}" is registered: without its record only Thredd can delete it`
          : `the record of client "${clientId}" and its history would be destroyed`,
      expected: '--confirm <client_id> with the whole client id',
    })
  }
  await call.vault.forget(clientId)
  call.write(line`forgotten: ${clientId}\n`)
  return 0
}

async function recoverClients(call: VaultCall): Promise<number> {
  const { vault, write, probe, runId } = call
  const [named] = call.words
  const all = await vault.unsettled()
  const open = named === undefined ? all : all.filter(({ clientId }) => clientId === matching(named, all))
  if (call.has('deleted-by-thredd')) {
    if (named === undefined) fail({ code: 'USAGE', message: 'which client has Thredd deleted? name it' })
    const { registrations } = await vault.list()
    const known = [...registrations, ...all]
    const clientId = matching(named, known)
    if (known.every((one) => one.clientId !== clientId)) unknownClient(named, known)
    const settled = open.filter(({ way }) => way !== 'wait')
    await vault.remove(clientId, { runId, step: 'recover' })
    write(line`${clientId}\n  marked deleted by Thredd; ${settled.length} open call(s) settled\n`)
    return 0
  }
  if (open.length === 0) write('nothing is open: every call that changed a registration is settled\n')
  let left = 0
  for (const { id } of open) {
    // Settling one may have settled the next.
    const one = (await vault.unsettled()).find((other) => other.id === id)
    if (one === undefined) continue
    write(inWords(one, false))
    const { settled, words } = await recover(vault, one, { probe, runId })
    write(line`  ${settled ? 'settled' : 'open'}: ${words}\n`)
    if (!settled) left += 1
  }
  return left === 0 ? 0 : 3
}

async function check(call: VaultCall): Promise<number> {
  const { vault, write, probe, runId, environment } = call
  const { lines, problems, warnings } = await vault.check()
  const tokens: ({ readonly clientId: string } & Proof)[] = []
  for (const registration of probe === undefined ? [] : (await vault.list()).registrations) {
    if (probe === undefined || registration.deletedAt !== undefined) continue
    const { clientId } = registration
    tokens.push({ clientId, ...(await proveToken(vault, registration, probe, { runId })) })
  }
  // After the reading, which may have settled some.
  const open = await vault.unsettled()
  if (call.has('json')) {
    const online = probe === undefined ? {} : { tokens }
    writeJson(call, { environment, lines, problems, warnings, open, ...online })
  } else {
    if (problems.length === 0)
      write(line`all ${lines} line(s) decrypt, and follow each other; whether newer ones were cut off cannot be seen\n`)
    for (const problem of problems) write(`${render(problem)}\n`)
    for (const warning of warnings) write(line`warning ${warning}\n`)
    for (const one of open) write(inWords(one))
    for (const { clientId, words, next } of tokens)
      write(line`${clientId}\n  ${next === undefined ? words : `${words}; ${next}`}\n`)
  }
  return worstExit([
    ...problems.map(({ code }) => CODES[code].exit),
    open.length > 0 ? 3 : 0,
    ...tokens.map(({ token }) => ({ works: 0, refused: 1, unknown: 3 })[token]),
  ])
}

/** The client that is named, by its whole id or the end of it; else that of the environment, else the only one. */
async function chosen({ vault, words, clientId }: VaultCall): Promise<Registration> {
  const { registrations, unreadable } = await vault.list()
  const [named = clientId] = words
  const found =
    named === undefined
      ? registrations.length === 1
        ? registrations[0]
        : undefined
      : registrations.find((one) => one.clientId === matching(named, registrations))
  if (found !== undefined) return found
  const unread = unreadable.length === 0 ? undefined : `${unreadable.length} file(s) that cannot be read`
  return unknownClient(named, registrations, unread)
}

/** A sentence, and the clients there are to choose from. */
function unknownClient(
  named: string | undefined,
  known: readonly { readonly clientId: string }[],
  found?: string,
): never {
  const ids = [...new Set(known.map(({ clientId }) => `"${clientId}"`))].join(', ')
  fail({
    code: 'USAGE',
    message: named === undefined ? 'which client? name it' : `the vault holds no client "${named}"`,
    found,
    hint: ids === '' ? 'the vault is empty' : `there is ${ids}`,
  })
}

function matching(named: string, candidates: readonly { readonly clientId: string }[]): string {
  const ids = [...new Set(candidates.map(({ clientId }) => clientId))]
  const ending = ids.filter((id) => id === named || id.endsWith(`/${named}`))
  return ending.length === 1 ? (ending[0] ?? named) : named
}

function shown(call: VaultCall, token: Secret | undefined): string {
  if (token === undefined) return 'missing'
  if (isRevealed(call)) return token.reveal()
  return `#${fingerprint(token.reveal())} (${call.has('reveal') ? 'shown on a terminal only' : 'hidden; --reveal shows it'})`
}

/** A secret is for the eyes of the person who asked for it. */
function isRevealed({ has, isTerminal }: VaultCall): boolean {
  return has('reveal') && isTerminal
}

function writeJson({ write }: VaultCall, value: unknown): void {
  write(`${json(value)}\n`)
}

function inWords({ clientId, effect, known, next }: OpenCall, withNext = true): string {
  return line`open ${effect} of ${clientId}\n  ${known}\n` + (withNext ? line`  next: ${next}\n` : '')
}

/** For the owner only; a file that exists is never overwritten. */
async function writeNew({ folder }: VaultCall, name: string, text: string): Promise<void> {
  try {
    const handle = await open(resolve(folder, name), 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    fail(
      {
        code: 'USAGE',
        message: `file "${name}" cannot be written: ${code === 'EEXIST' ? 'it exists' : code}`,
        hint: 'name a new file',
      },
      cause,
    )
  }
}
