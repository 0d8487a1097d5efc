/**
 * `thredd vault import`: takes in registrations that lie outside the vault. What it would do is shown first, without a secret;
 * where the client may be live, a person repeats its id before it is done.
 */
import { resolve } from 'node:path'
import { variablesOf } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { readTextFile, whyUnread } from '../../record/regular-file.ts'
import { type Found, fingerprint, isExport, openExport, registrationsIn } from '../../vault/index.ts'
import type { VaultCall } from './vault-call.ts'
import { importFolder, isFolder } from './vault-merge.ts'

/** What is to be put into the vault of one client. */
interface Parcel {
  readonly clientId: string
  readonly entries: readonly unknown[]
}

/** A file of a Postman backup with all its collections is smaller. */
const LARGEST_BYTES = 64 * 1024 * 1024

export async function importClients(call: VaultCall): Promise<number> {
  const { vault, write, environment } = call
  const [name = fail({ code: 'USAGE', message: 'the import needs a file', expected: vault.command('import') })] =
    call.words
  const { openFolder } = call
  if (call.given === undefined && openFolder !== undefined && isFolder(resolve(call.folder, name)))
    return await importFolder(name, { ...call, openFolder })
  const text = call.given ?? readText(resolve(call.folder, name), name)
  const parcels = isExport(text) ? await exported(text, name, call) : await kept(text, name, call)
  const wanted: Parcel[] = []
  for (const parcel of parcels) {
    const { added, words } = await effectOf(parcel, call)
    write([line`${parcel.clientId}\n`, ...words.map((one) => line`  ${one}\n`)].join(''))
    if (added > 0) wanted.push(parcel)
  }
  if (wanted.length === 0) {
    write('nothing new\n')
    return 0
  }
  for (const { clientId } of wanted) await confirm(clientId, call)
  for (const warning of await vault.prepare()) call.warn(line`warning ${warning}\n`)
  for (const { clientId, entries } of wanted) await vault.import(clientId, entries)
  write(line`imported into the vault of "${environment}"; prove that it works: ${vault.command('checkTokens')}\n`)
  return 0
}

/** The client's id, as for any change of a live client: what the vault holds decides which client is meant and reached. */
async function confirm(clientId: string, call: VaultCall): Promise<void> {
  if (call.class === 'mock' || call.flags.texts('confirm').includes(clientId)) return
  if ((await call.ask?.(clientId)) === clientId) return
  fail({
    code: 'USAGE',
    message: `the import would change what the vault of "${call.environment}" holds of client "${clientId}"; nothing was written`,
    expected: '--confirm <client_id> with the whole client id',
    hint: 'read above what would be done, then repeat the command with --confirm',
  })
}

async function exported(text: string, name: string, call: VaultCall): Promise<readonly Parcel[]> {
  const { environment, clients } = await openExport(text, name, await call.passphrase('passphrase of the export: '))
  if (environment !== call.environment && !call.has('from-other-environment')) {
    fail({
      code: 'USAGE',
      message: `"${name}" was exported from environment "${environment}", not "${call.environment}"`,
      hint: 'name the environment with --env, or say --from-other-environment',
    })
  }
  return clients
}

/** What people keep of one client, where it is clear which one is meant and which of its tokens. */
async function kept(text: string, name: string, call: VaultCall): Promise<readonly Parcel[]> {
  const found = registrationsIn(text, { name, dotenv: variablesOf })
  if (found.length === 0) {
    fail({
      code: 'VAULT_UNREADABLE',
      message: `import "${name}" holds neither registration_access_token nor registration_client_uri`,
      hint: 'give an export of this tool, a file of Postman, a saved answer of the registration, or lines such as REGISTRATION_ACCESS_TOKEN=…; disabled variables do not count',
    })
  }
  const clientId = clientIn(found, name, call)
  const own = found.filter((one) => one.clientId === undefined || one.clientId === clientId)
  for (const one of own) demandUsable(one, name)
  const { token, uri, answer, place } = await theOne(own, clientId, name, call)
  const members = { client_id: clientId, registration_access_token: token, registration_client_uri: uri }
  const entry = {
    kind: 'answer',
    at: call.now().toISOString(),
    runId: 'import',
    step: place === '' ? name : `${name}: ${place}`,
    status: 200,
    body: JSON.stringify(answer ?? members),
    clientId,
    imported: true,
  }
  return [{ clientId, entries: [entry] }]
}

function clientIn(found: readonly Found[], name: string, { words, clientId: configured, vault }: VaultCall): string {
  const ids = [...new Set(found.flatMap(({ clientId }) => clientId ?? []))]
  const [, meant = ids.length === 1 ? ids[0] : configured] = words
  if (meant !== undefined && (ids.length === 0 || ids.includes(meant))) return meant
  return fail({
    code: 'USAGE',
    message:
      ids.length === 0
        ? `import "${name}" does not say which client it is of`
        : `import "${name}" holds ${ids.length} client(s), ${meant === undefined ? 'and none is named' : `but not "${meant}"`}`,
    found: ids.length === 0 ? undefined : ids.map((id) => `"${id}"`).join(', '),
    hint: `name the client: ${vault.command('importOne', { file: name })}`,
  })
}

/** Of several tokens the one that the vault has not seen; a person decides where there is more than one. */
async function theOne(found: readonly Found[], clientId: string, name: string, call: VaultCall): Promise<Found> {
  const known = new Map((await call.vault.tokens(clientId)).map((one) => [one.fingerprint, one.state]))
  const byToken = [...Map.groupBy(found, ({ token, uri }) => token ?? uri).values()].map(fullest)
  const isNew = ({ token }: Found) => token !== undefined && !known.has(fingerprint(token))
  const unknown = byToken.filter(isNew)
  if (unknown.length > 1) {
    fail({
      code: 'USAGE',
      message: `import "${name}" holds ${unknown.length} registration access tokens of client "${clientId}", and does not say which is the newest`,
      found: unknown.map(({ token = '', place }) => `#${fingerprint(token)} in ${place || 'the file'}`).join(', '),
      hint: 'remove or disable the older ones, and import again',
    })
  }
  return unknown[0] ?? byToken.find(({ token }) => token !== undefined) ?? (byToken[0] as Found)
}

/** The place that tells most. */
function fullest(same: readonly Found[]): Found {
  const weight = ({ answer, uri }: Found) => (answer === undefined ? 0 : 2) + (uri === undefined ? 0 : 1)
  return same.reduce((best, one) => (weight(one) > weight(best) ? one : best))
}

/** A value that no server would take, or that was copied by half. Never shown. */
function demandUsable({ token, uri, place }: Found, name: string): void {
  const where = place === '' ? '' : ` in ${place}`
  const refuse = (member: string, expected: string) =>
    fail({ code: 'VAULT_UNREADABLE', message: `the ${member}${where} of import "${name}" cannot be used`, expected })
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    refuse('registration_access_token', 'visible ASCII characters without a blank')
  if (uri !== undefined && (!URL.canParse(uri) || new URL(uri).protocol !== 'https:'))
    refuse('registration_client_uri', 'an https:// address')
}

/** What would become of the tokens, and whether anything would change. */
async function effectOf(
  { clientId, entries }: Parcel,
  { vault }: VaultCall,
): Promise<{ readonly added: number; readonly words: readonly string[] }> {
  const { added, before, after } = await vault.preview(clientId, entries)
  const earlier = new Map(before.tokens().map((one) => [one.fingerprint, one.state]))
  const current = after.tokens().find(({ state }) => state === 'current')?.fingerprint
  const words = after.tokens().flatMap(({ fingerprint: print, state }) => {
    const was = earlier.get(print)
    if (was === state) return []
    const becomes = state === 'fallback' ? `is tried where #${current} is refused` : WORDS[state]
    return [`token #${print} ${was === undefined ? 'is new to the vault' : `was ${was}`}: ${becomes}`]
  })
  const [uri, newUri] = [before, after].map((client) => client.registration()?.registrationClientUri)
  if (newUri !== undefined && newUri !== uri) words.push(`registration_client_uri becomes ${newUri}`)
  if (words.length > 0) return { added, words }
  return { added: 0, words: [`nothing new${current === undefined ? '' : `: token #${current} stays current`}`] }
}

const WORDS = {
  current: 'becomes the current one',
  superseded: 'is superseded: kept for the history alone',
} as const

function readText(file: string, name: string): string {
  try {
    return readTextFile(file, LARGEST_BYTES)
  } catch (cause) {
    return fail({ code: 'USAGE', message: `file "${name}" cannot be read: ${whyUnread(cause)}` }, cause)
  }
}
