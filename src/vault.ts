/**
 * The vault: every client information response, encrypted and on disk before anything else looks at it. Owns the record
 * files and their key. Knows nothing of flows or of the network, and judges no answer.
 *
 * A record is an append-only list of answers; what is current is worked out when it is read. Nothing that cannot be
 * read is ever overwritten. On Windows file modes and the fsync of folders do not exist: there both are left out.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, readFile, realpath, rename, stat, unlink } from 'node:fs/promises'
import { platform } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fail, type Problem, ToolError } from './errors.ts'
import { decryptDirect, encryptDirect, type Undecryptable } from './jwt.ts'
import { Secret } from './secret.ts'
import { shapeOf, z } from './shape.ts'

/** What is known of one client, from the newest answer that said it. */
export interface Registration {
  readonly clientId: string
  /** undefined only where no answer ever held a usable one */
  readonly registrationAccessToken: Secret | undefined
  /** byte for byte as the server gave it (RFC 7592 appendix B) */
  readonly registrationClientUri: string | undefined
  /** the newest answer without its secrets and without the two members above */
  readonly metadata: Readonly<Record<string, unknown>>
  /** UTC, RFC 3339; when the newest answer was kept, and by which run and step */
  readonly keptAt: string
  readonly runId: string
  readonly step: string
  readonly deletedAt: string | undefined
}

/** A response as it came, before it is parsed or judged. */
interface ReceivedAnswer {
  /** the raw text */
  readonly body: string
  readonly status: number
  readonly step: string
  readonly runId: string
  /** the client the request was about; used where the body names none */
  readonly clientId?: string | undefined
}

interface Kept {
  readonly registration: Registration
  /** an earlier token was replaced by a different one */
  readonly rotated: boolean
  /** why the answer had to go to a file of its own beside the record; it is safe all the same */
  readonly problem: Problem | undefined
}

export interface Vault {
  /**
   * Proves, before anything is sent, that an answer can be kept: the folder is made and written to, and the record of
   * `clientId`, if there is one, can be read. Returns warnings in words.
   *
   * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE
   */
  prepare(clientId?: string): Promise<readonly string[]>
  /**
   * Keeps any 2xx answer that carries registration_access_token or registration_client_uri, whatever else is odd about
   * it. The answer is durable (file and folder synchronised) when this resolves. Undefined: it carries neither.
   *
   * @throws VAULT_UNWRITABLE
   */
  keep(answer: ReceivedAnswer): Promise<Kept | undefined>
  /** Undefined for a client that is unknown or marked deleted. @throws VAULT_UNREADABLE */
  current(clientId: string): Promise<Registration | undefined>
  /** All clients of this environment, deleted ones too, and each file that cannot be read. */
  list(): Promise<{ readonly registrations: readonly Registration[]; readonly unreadable: readonly Problem[] }>
  /** Marks the client deleted after a proven DELETE; its history stays. @throws VAULT_UNREADABLE, VAULT_UNWRITABLE */
  remove(clientId: string, by?: { readonly runId: string; readonly step: string }): Promise<void>
}

interface VaultOptions {
  readonly folder: string
  /** 32 bytes */
  readonly key: Uint8Array
  readonly environment: string
  now(): Date
  /** how long a lock may show no sign of life before it counts as left behind; default 3000 */
  readonly staleLockMs?: number
}

export async function openVault(options: VaultOptions): Promise<Vault> {
  const { key, environment, now, staleLockMs = 3000 } = options
  const folder = resolve(options.folder)
  if (key.byteLength !== KEY_BYTES) {
    fail({
      code: 'VAULT_KEY',
      message: 'vault key has the wrong length',
      expected: `${KEY_BYTES} bytes`,
      found: `${key.byteLength} bytes`,
    })
  }
  /** the last task of each record; saves tasks of one process from waiting for each other's lock file */
  const queues = new Map<string, Promise<unknown>>()

  const pathOf = (file: string) => join(folder, file)

  async function read(file: string): Promise<VaultRecord | undefined> {
    const record = await readRecord(pathOf(file), key)
    if (record !== undefined && !file.startsWith(`${recordName(record.environment, record.clientId)}.`)) {
      fail({
        code: 'VAULT_UNREADABLE',
        message: `vault record "${pathOf(file)}" has the name of another record`,
        found: `the record of client "${record.clientId}" in environment "${record.environment}"`,
        hint: 'it was renamed or copied; put it back where it came from',
      })
    }
    return record
  }

  async function load(clientId: string): Promise<{ entries: readonly Entry[]; asides: readonly string[] }> {
    const name = recordName(environment, clientId)
    const asides = (await recordFiles(folder)).filter((file) => file.startsWith(`${name}.`) && isAside(file))
    const records: NamedRecord[] = []
    // The record last: what vanishes from beside it in the meantime has moved into it.
    for (const file of [...asides, `${name}${EXTENSION}`]) {
      const record = await read(file)
      if (record !== undefined) records.push({ file, record })
    }
    return { entries: merged(records), asides }
  }

  function sealed(clientId: string, entries: readonly Entry[]): Promise<string> {
    const record: VaultRecord = { vaultVersion: VAULT_VERSION, environment, clientId, entries: [...entries] }
    return encryptDirect(Buffer.from(JSON.stringify(record)), key)
  }

  /** Adds what `next` makes of the present entries, or nothing; returns the entries as they are then on disk. */
  async function append(
    clientId: string,
    next: (entries: readonly Entry[]) => Entry | undefined,
  ): Promise<readonly Entry[]> {
    const name = recordName(environment, clientId)
    // Queued before the first await: of two answers, the one that came later must end up as the newer.
    const task = (queues.get(name) ?? Promise.resolve()).then(async () => {
      await makeFolder(folder)
      return locked(pathOf(`${name}.lock`), staleLockMs, async (isMine) => {
        const { entries, asides } = await load(clientId)
        const entry = next(entries)
        if (entry === undefined) return entries
        const all = [...entries, entry]
        const written = await writeDurably(pathOf(`${name}${EXTENSION}`), await sealed(clientId, all), isMine)
        if (!written) return undefined
        for (const aside of asides) await discard(pathOf(aside))
        return all
      })
    })
    const settled: Promise<unknown> = task
      .catch(() => undefined)
      .then(() => queues.get(name) === settled && queues.delete(name))
    queues.set(name, settled)
    return task
  }

  return {
    async prepare(clientId) {
      const probe = pathOf(`probe-${randomUUID()}`)
      try {
        await makeFolder(folder)
        await writeNew(probe, Buffer.alloc(PROBE_BYTES))
        await syncFolder(folder)
        await unlink(probe)
      } catch (error) {
        await discard(probe)
        throw unwritable(folder, error)
      }
      if (clientId !== undefined) await load(clientId)
      return openPermissions(folder)
    },

    async keep(answer) {
      const { body, status, runId, step } = answer
      if (!isRegistrationAnswer(status, body)) return undefined
      const clientId = text(jsonObject(body)?.client_id) ?? answer.clientId ?? `unknown (run ${runId}, step ${step})`
      const entry: Entry = { kind: 'answer', keptAt: now().toISOString(), runId, step, status, body }
      let earlier: readonly Entry[] = []
      try {
        const entries = await append(clientId, (present) => {
          earlier = present
          const newest = present.at(-1)
          // A server that is only read says the same each time; the record need not grow by it.
          return newest?.kind === 'answer' && newest.body === body ? undefined : entry
        })
        return kept(clientId, earlier, entries)
      } catch (error) {
        if (!(error instanceof ToolError)) throw unwritable(folder, error)
        // The record cannot be extended now, and the answer exists nowhere else: it gets a file of its own.
        const aside = `${recordName(environment, clientId)}.${randomBytes(8).toString('hex')}${EXTENSION}`
        try {
          await writeDurably(pathOf(aside), await sealed(clientId, [entry]))
        } catch (cause) {
          throw unwritable(folder, cause)
        }
        return kept(clientId, earlier, [...earlier, entry], error.problems[0])
      }
    },

    async current(clientId) {
      const registration = registrationOf(clientId, (await load(clientId)).entries)
      return registration?.deletedAt === undefined ? registration : undefined
    },

    async list() {
      const clients = new Map<string, NamedRecord[]>()
      const unreadable: Problem[] = []
      for (const file of await recordFiles(folder)) {
        try {
          const record = await read(file)
          if (record?.environment !== environment) continue
          clients.set(record.clientId, [...(clients.get(record.clientId) ?? []), { file, record }])
        } catch (error) {
          if (!(error instanceof ToolError)) throw error
          unreadable.push(...error.problems)
        }
      }
      const registrations = [...clients]
        .map(([clientId, records]) => registrationOf(clientId, merged(records)))
        .filter((registration) => registration !== undefined)
        .sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
      return { registrations, unreadable }
    },

    async remove(clientId, by) {
      try {
        await append(clientId, (entries) => {
          const registration = registrationOf(clientId, entries)
          if (registration === undefined || registration.deletedAt !== undefined) return undefined
          return { kind: 'deleted', keptAt: now().toISOString(), ...by }
        })
      } catch (error) {
        throw unwritable(folder, error)
      }
    },
  }
}

/**
 * The vault key, from its text, else its file, else a file made on first use (`made` is its path: say so to the user,
 * for without it the vault is lost).
 *
 * @throws VAULT_KEY
 */
export async function resolveVaultKey(options: {
  /** 32 bytes in base64url */
  readonly key?: Secret | undefined
  readonly keyFile?: string | undefined
  readonly defaultKeyFile: string
  readonly vaultDir: string
}): Promise<{ readonly key: Uint8Array; readonly made?: string }> {
  if (options.key !== undefined) return { key: parseKey(options.key.reveal(), `"${options.key.name}"`) }
  const file = resolve(options.keyFile ?? options.defaultKeyFile)
  const folder = resolve(options.vaultDir)
  if (await isWithin(file, folder)) {
    fail({
      code: 'VAULT_KEY',
      message: `vault key file "${file}" lies in the vault folder "${folder}"`,
      hint: 'keep the key elsewhere: whoever copies the folder would have both',
    })
  }
  const present = await readKeyFile(file)
  if (present !== undefined) return { key: present }
  if (options.keyFile !== undefined) {
    fail({ code: 'VAULT_KEY', message: `vault key file "${file}" does not exist`, hint: MAKE_KEY })
  }
  const records = (await recordFiles(folder)).length
  if (records > 0) {
    fail({
      code: 'VAULT_KEY',
      message: `vault key file "${file}" is missing`,
      found: `${records} record(s) in "${folder}" that a new key could not open`,
      hint: 'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another VAULT_DIR',
    })
  }
  return makeKeyFile(file)
}

const VAULT_VERSION = 1
const KEY_BYTES = 32
const EXTENSION = '.jwe'
/** A registration answer with its software statement is about 8 KiB; the probe leaves room for a grown record. */
const PROBE_BYTES = 64 * 1024
const LOCK_POLL_MS = 10
const IS_WINDOWS = platform() === 'win32'
/** every right of anyone but the owner */
const OTHERS = 0o077
const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

/** Left out of the metadata: credentials, and what a registration holds as members of its own. */
const WITHHELD = new Set([
  'registration_access_token',
  'registration_client_uri',
  'client_secret',
  'hashed_secret',
  'rotated_secrets',
  'hashed_rotated_secrets',
  'software_statement',
])

const UNDECRYPTABLE: Record<Undecryptable, readonly [is: string, hint: string]> = {
  foreign: ['is not a vault record', 'move it out of the vault folder'],
  cut: ['is cut short', 'put the file back from a backup'],
  'other-key': ['was made with another key', 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with'],
  damaged: ['was changed after it was written', 'put the file back from a backup'],
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something else with the name of the folder',
  EFBIG: 'a limit on the size of files',
  EIO: 'an error of the disk',
  EISDIR: 'a folder where a file should be',
  ENOSPC: 'a full disk',
  ENOTDIR: 'a file where a folder should be',
  EPERM: 'no permission',
  EROFS: 'a read-only file system',
}

// Loose objects: a later release may add members, and an older one must not drop them when it rewrites the record.
const answerEntry = z.looseObject({
  kind: z.literal('answer'),
  keptAt: z.string(),
  runId: z.string(),
  step: z.string(),
  status: z.int(),
  /** raw and unparsed: whatever else is stored can be worked out of it */
  body: z.string(),
})
const deletedEntry = z.looseObject({
  kind: z.literal('deleted'),
  keptAt: z.string(),
  runId: z.optional(z.string()),
  step: z.optional(z.string()),
})
const entrySchema = z.discriminatedUnion('kind', [answerEntry, deletedEntry])
const recordSchema = z.looseObject({
  vaultVersion: z.literal(VAULT_VERSION),
  environment: z.string(),
  clientId: z.string(),
  entries: z.array(entrySchema),
})
type Entry = z.infer<typeof entrySchema>
type VaultRecord = z.infer<typeof recordSchema>
interface NamedRecord {
  readonly file: string
  readonly record: VaultRecord
}

/** Client ids are URLs, and no name in the folder should say who the clients are. */
function recordName(environment: string, clientId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([environment, clientId]))
    .digest('hex')
    .slice(0, 32)
}

function isAside(file: string): boolean {
  return file.slice(0, -EXTENSION.length).includes('.')
}

/** The record first, then what was set aside; a crash may have left entries in both. */
function merged(records: readonly NamedRecord[]): readonly Entry[] {
  const entries = records.filter(({ file }) => !isAside(file)).flatMap(({ record }) => record.entries)
  const seen = new Set(entries.map((entry) => JSON.stringify(entry)))
  const late = records
    .filter(({ file }) => isAside(file))
    .flatMap(({ record }) => record.entries)
    .filter((entry) => !seen.has(JSON.stringify(entry)))
    .sort((a, b) => (a.keptAt < b.keptAt ? -1 : a.keptAt > b.keptAt ? 1 : 0))
  return [...entries, ...late]
}

/** Generous: an answer that is cut or wrapped may still hold the only copy of the token. */
function isRegistrationAnswer(status: number, body: string): boolean {
  if (status < 200 || status > 299) return false
  const members = jsonObject(body)
  return ['registration_access_token', 'registration_client_uri'].some(
    (name) => (members !== undefined && Object.hasOwn(members, name)) || body.includes(`"${name}"`),
  )
}

function kept(clientId: string, earlier: readonly Entry[], entries: readonly Entry[], problem?: Problem): Kept {
  const registration = registrationOf(clientId, entries)
  if (registration === undefined) throw new TypeError('an answer was kept, but no registration follows from it')
  const before = registrationOf(clientId, earlier)
  const oldToken = before?.deletedAt === undefined ? before?.registrationAccessToken?.reveal() : undefined
  const rotated = oldToken !== undefined && oldToken !== registration.registrationAccessToken?.reveal()
  return { registration, rotated, problem }
}

function registrationOf(clientId: string, entries: readonly Entry[]): Registration | undefined {
  let registration: Registration | undefined
  for (const entry of entries) {
    if (entry.kind === 'deleted') {
      registration &&= { ...registration, deletedAt: entry.keptAt }
      continue
    }
    const members = jsonObject(entry.body) ?? {}
    const token = text(members.registration_access_token)
    const uri = text(members.registration_client_uri)
    if (token === undefined && uri === undefined && registration !== undefined) continue
    // An answer with one of the two leaves the other as it was, but never takes it from a deleted client.
    const live = registration?.deletedAt === undefined ? registration : undefined
    registration = {
      clientId,
      registrationAccessToken:
        token === undefined ? live?.registrationAccessToken : new Secret(token, 'registration_access_token'),
      registrationClientUri: uri ?? live?.registrationClientUri,
      metadata: Object.fromEntries(Object.entries(members).filter(([name]) => !WITHHELD.has(name))),
      keptAt: entry.keptAt,
      runId: entry.runId,
      step: entry.step,
      deletedAt: undefined,
    }
  }
  return registration
}

function jsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.replace(/^\uFEFF/, ''))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

async function recordFiles(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((file) => file.endsWith(EXTENSION)).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    return fail(
      { code: 'VAULT_UNREADABLE', message: `vault folder "${folder}" cannot be read`, ...found(error) },
      error,
    )
  }
}

/** Undefined where there is no such file. */
async function readRecord(path: string, key: Uint8Array): Promise<VaultRecord | undefined> {
  const refuse = (is: string, rest: Partial<Problem>, cause?: unknown): never =>
    fail({ code: 'VAULT_UNREADABLE', message: `vault record "${path}" ${is}`, ...rest }, cause)

  let jwe: string
  try {
    // latin1 keeps every byte apart; UTF-8 would turn many different ones into U+FFFD.
    jwe = await readFile(path, 'latin1')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    return refuse('cannot be read', found(error), error)
  }
  if (jwe === '') return refuse('is empty', { hint: UNDECRYPTABLE.cut[1] })
  const decrypted = await decryptDirect(jwe, key)
  if (!decrypted.ok) {
    const [is, hint] = UNDECRYPTABLE[decrypted.because]
    return refuse(is, { hint })
  }
  const content = jsonObject(Buffer.from(decrypted.plaintext).toString('utf8'))
  const version = content?.vaultVersion
  if (typeof version === 'number' && version > VAULT_VERSION) {
    return refuse('was written by a newer version of this tool', {
      expected: `format ${VAULT_VERSION}`,
      found: `format ${version}`,
      hint: 'update the tool; the record is left as it is',
    })
  }
  const shaped = shapeOf(recordSchema, content)
  if (shaped.ok) return shaped.value
  const faults = shaped.faults.map(({ path: member, message }) => `${member}: ${message}`).join('; ')
  return refuse('opens with this key but is no record of this tool', { found: faults, hint: UNDECRYPTABLE.foreign[1] })
}

/**
 * Runs `task` while the lock file is ours; again from the start when it returns undefined, which means that the lock was
 * lost. A holder adds to its file from time to time; a file that does not change for `staleMs`, by the clock of whoever
 * waits, was left behind by a process that died.
 */
async function locked<T>(
  path: string,
  staleMs: number,
  task: (isMine: () => Promise<boolean>) => Promise<T | undefined>,
): Promise<T> {
  for (;;) {
    const mark = randomUUID()
    const handle = await acquire(path, mark, staleMs)
    const isMine = async () => (await readLock(path))?.startsWith(mark) === true
    const sign = setInterval(() => void handle.write('.').catch(() => undefined), staleMs / 5)
    try {
      const result = await task(isMine)
      if (result !== undefined) return result
    } finally {
      clearInterval(sign)
      await handle.close()
      if (await isMine()) await discard(path)
    }
  }
}

async function acquire(path: string, mark: string, staleMs: number): Promise<FileHandle> {
  let seen: string | undefined
  let unchangedMs = 0
  let sameHolderMs = 0
  for (;;) {
    try {
      const handle = await open(path, 'wx', 0o600)
      await handle.write(mark)
      return handle
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    const present = await readLock(path)
    if (present === undefined) continue
    if (present.slice(0, mark.length) !== seen?.slice(0, mark.length)) sameHolderMs = 0
    if (present !== seen) unchangedMs = 0
    seen = present
    if (unchangedMs >= staleMs) {
      await discard(path)
      continue
    }
    if (sameHolderMs >= staleMs * 10) {
      fail({
        code: 'VAULT_UNWRITABLE',
        message: 'vault record has been locked by another process for too long',
        found: `lock file "${path}", still in use`,
        hint: 'let the other run end, or stop it',
      })
    }
    await sleep(LOCK_POLL_MS)
    unchangedMs += LOCK_POLL_MS
    sameHolderMs += LOCK_POLL_MS
  }
}

async function readLock(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Nobody sees half a file, and the new one survives a crash when this resolves. False: `mayReplace` said no. */
async function writeDurably(path: string, content: string, mayReplace?: () => Promise<boolean>): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    await writeNew(temporary, content)
    if (mayReplace !== undefined && !(await mayReplace())) {
      await discard(temporary)
      return false
    }
    await rename(temporary, path)
  } catch (error) {
    await discard(temporary)
    throw error
  }
  await syncFolder(dirname(path))
  return true
}

async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  // A new folder survives a crash only when its name is on disk too.
  for (let path = folder; ; path = dirname(path)) {
    await syncFolder(dirname(path))
    if (path === first) return
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (IS_WINDOWS) return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => undefined)
}

async function openPermissions(folder: string): Promise<readonly string[]> {
  if (IS_WINDOWS) return []
  const warnings: string[] = []
  const { mode } = await stat(folder)
  if ((mode & OTHERS) !== 0) {
    warnings.push(`vault folder "${folder}" is open to other users (mode ${octal(mode)}); close it with chmod 700`)
  }
  for (const file of await recordFiles(folder)) {
    const record = await stat(join(folder, file))
    if ((record.mode & OTHERS) === 0) continue
    const path = join(folder, file)
    warnings.push(`vault record "${path}" is open to other users (mode ${octal(record.mode)}); close it with chmod 600`)
  }
  return warnings
}

function parseKey(value: string, name: string): Uint8Array {
  const trimmed = value.trim().replace(/=+$/, '')
  const bytes = Buffer.from(trimmed, 'base64url')
  const wrong = (what: string) =>
    fail({
      code: 'VAULT_KEY',
      message: `vault key ${name} cannot be used`,
      expected: `${KEY_BYTES} bytes as base64url (43 characters)`,
      found: what,
      hint: MAKE_KEY,
    })
  if (trimmed === '') return wrong('nothing')
  // Decoders skip what they do not know, and a key that is not quite the one written down helps nobody.
  if (bytes.toString('base64url') !== trimmed) return wrong('text that is not base64url')
  if (bytes.byteLength !== KEY_BYTES) return wrong(`${bytes.byteLength} bytes`)
  return new Uint8Array(bytes)
}

async function readKeyFile(file: string): Promise<Uint8Array | undefined> {
  let content: string
  try {
    const { mode } = await stat(file)
    if (!IS_WINDOWS && (mode & OTHERS) !== 0) {
      fail({
        code: 'VAULT_KEY',
        message: `vault key file "${file}" is open to other users`,
        expected: 'mode 600',
        found: `mode ${octal(mode)}`,
        hint: `close it with: chmod 600 ${file}`,
      })
    }
    content = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (error instanceof ToolError) throw error
    return fail({ code: 'VAULT_KEY', message: `vault key file "${file}" cannot be read`, ...found(error) }, error)
  }
  return parseKey(content, `file "${file}"`)
}

async function makeKeyFile(file: string): Promise<{ readonly key: Uint8Array; readonly made?: string }> {
  const key = randomBytes(KEY_BYTES)
  const temporary = `${file}.${randomUUID()}.tmp`
  try {
    await makeFolder(dirname(file))
    await writeNew(temporary, `${key.toString('base64url')}\n`)
    // A link, not a rename: of two first runs at once one wins, and both then use its key.
    await link(temporary, file)
    await syncFolder(dirname(file))
  } catch (error) {
    const present = errnoOf(error) === 'EEXIST' ? await readKeyFile(file) : undefined
    if (present !== undefined) return { key: present }
    fail(
      { code: 'VAULT_KEY', message: `vault key file "${file}" cannot be made`, ...found(error), hint: MAKE_KEY },
      error,
    )
  } finally {
    await discard(temporary)
  }
  return { key: new Uint8Array(key), made: file }
}

/** True also where a link leads into the folder. */
async function isWithin(path: string, folder: string): Promise<boolean> {
  const way = relative(await realPathOf(folder), await realPathOf(path))
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** The real path of what exists, with the rest as written. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    return path === dirname(path) ? path : join(await realPathOf(dirname(path)), basename(path))
  }
}

/** Passes on what is no file error: that is a problem of its own, or a bug. */
function unwritable(folder: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error
  return new ToolError(
    [
      {
        code: 'VAULT_UNWRITABLE',
        message: `vault folder "${folder}" cannot be written`,
        ...found(error),
        hint: 'make room or give access, or name another folder with VAULT_DIR',
      },
    ],
    error,
  )
}

function found(error: unknown): { readonly found: string } {
  const errno = errnoOf(error) ?? 'an unknown error'
  const words = FILE_ERRORS[errno]
  return { found: words === undefined ? errno : `${words} (${errno})` }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8)
}
