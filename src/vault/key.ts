/**
 * The vault's keys: where they come from, the file made on first use, and the change of keys. The first key encrypts, all
 * of them decrypt: so every record can be read at each moment of a change. Knows nothing of records.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { decryptDirect, encryptDirect, type Undecryptable } from '../identity/jwt.ts'
import { fail, ToolError } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { Disk, errnoOf, found, TEMPORARY } from './disk.ts'

type Keys = readonly Uint8Array[]

export interface KeyRing {
  /** the first encrypts; 32 bytes each; none where there is no key yet */
  readonly keys: Keys
  /** what the keys were read from, for messages */
  readonly source: string
  /** Reads them again: another process may have put a new one before them. */
  reload(): Promise<void>
  /**
   * Puts a new key before the others, durably.
   *
   * @throws VAULT_KEY where the keys come from a variable, which only the user can change
   */
  add(): Promise<void>
  /** Forgets all but the first, durably. Whatever is still encrypted with another can then not be read. */
  dropEarlier(): Promise<void>
}

interface KeyPlace {
  /** 32 bytes in base64url; a comma and earlier keys may follow */
  readonly key?: Secret | undefined
  readonly keyFile?: string | undefined
  readonly defaultKeyFile: string
  readonly vaultDir: string
  readonly disk?: Disk
  /** false: without a key file there is no key; nothing can then be written */
  readonly make?: boolean
}

/**
 * The vault key, from its text, else its file, else a file made on first use (`made` is its path: say so to the user,
 * for without it the vault is lost).
 *
 * @throws VAULT_KEY
 */
export async function resolveVaultKey(place: KeyPlace): Promise<{ readonly ring: KeyRing; readonly made?: string }> {
  const { disk = new Disk(), make = true } = place
  if (place.key !== undefined) return { ring: ringOfText(place.key) }
  const file = resolve(place.keyFile ?? place.defaultKeyFile)
  const folder = resolve(place.vaultDir)
  if (await isWithin(file, folder, disk)) {
    fail({
      code: 'VAULT_KEY',
      message: `vault key file "${file}" lies in the vault folder "${folder}"`,
      hint: 'keep the key elsewhere: whoever copies the folder would have both',
    })
  }
  const present = await readKeyFile(file, disk)
  if (present !== undefined) return { ring: ringOfFile(file, present, disk) }
  if (place.keyFile !== undefined) {
    fail({ code: 'VAULT_KEY', message: `vault key file "${file}" does not exist`, hint: MAKE_KEY })
  }
  const records = (await disk.names(folder)).filter((name) => /\.(?:jwe|journal)$/.test(name)).length
  if (records > 0) {
    fail({
      code: 'VAULT_KEY',
      message: `vault key file "${file}" is missing`,
      found: `${records} record(s) in "${folder}" that a new key could not open`,
      hint: 'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another VAULT_DIR',
    })
  }
  if (!make) return { ring: ringOfFile(file, [], disk) }
  const { keys, made } = await makeKeyFile(file, disk)
  return { ring: ringOfFile(file, keys, disk), ...(made ? { made: file } : {}) }
}

/** A single key that is simply there. @throws VAULT_KEY */
export function ringOf(key: Uint8Array): KeyRing {
  if (key.byteLength !== KEY_BYTES) {
    fail({
      code: 'VAULT_KEY',
      message: 'vault key has the wrong length',
      expected: `${KEY_BYTES} bytes`,
      found: `${key.byteLength} bytes`,
    })
  }
  return fixed([key], 'a fixed key')
}

/** @throws VAULT_KEY where there is no key yet */
export async function encrypted(plaintext: Uint8Array, ring: KeyRing): Promise<string> {
  const [first] = ring.keys
  if (first === undefined) fail({ code: 'VAULT_KEY', message: 'there is no vault key yet', found: ring.source })
  return encryptDirect(plaintext, first)
}

type Decrypted =
  | { readonly ok: true; readonly plaintext: Uint8Array; readonly withFirst: boolean }
  | { readonly ok: false; readonly because: Undecryptable }

/** Tries every key, and what a change of keys by another process has put in the file meanwhile. */
export async function decrypted(jwe: string, ring: KeyRing): Promise<Decrypted> {
  const first = await withAny(jwe, ring)
  if (first.ok || first.because !== 'other-key') return first
  await ring.reload()
  return withAny(jwe, ring)
}

const KEY_BYTES = 32
const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

async function withAny(jwe: string, ring: KeyRing): Promise<Decrypted> {
  let reason: Undecryptable = 'other-key'
  for (const [index, key] of ring.keys.entries()) {
    const result = await decryptDirect(jwe, key)
    if (result.ok) return { ok: true, plaintext: result.plaintext, withFirst: index === 0 }
    // The key that a file was made with knows best what is wrong with it; the others see a stranger's.
    if (reason === 'other-key' || result.because === 'damaged') reason = result.because
  }
  return { ok: false, because: reason }
}

function fixed(keys: Keys, source: string): KeyRing {
  const refuse = () =>
    fail({
      code: 'VAULT_KEY',
      message: `the vault key comes from ${source}, which this tool cannot change`,
      hint: 'set VAULT_KEY to the new key, a comma and the old one, run this again, then leave the old one away',
    })
  return { keys, source, reload: async () => {}, add: async () => refuse(), dropEarlier: async () => refuse() }
}

function ringOfText(secret: Secret): KeyRing {
  return fixed(parseKeys(secret.reveal(), `"${secret.name}"`), secret.name)
}

function ringOfFile(file: string, initial: Keys, disk: Disk): KeyRing {
  let keys = initial
  const write = async (next: Keys) => {
    try {
      await disk.write(file, textOf(next), 'key file')
    } catch (error) {
      fail({ code: 'VAULT_KEY', message: `vault key file "${file}" cannot be written`, ...found(error) }, error)
    }
    keys = next
  }
  return {
    get keys() {
      return keys
    },
    source: `file "${file}"`,
    async reload() {
      keys = (await readKeyFile(file, disk)) ?? keys
    },
    add: () => write([new Uint8Array(randomBytes(KEY_BYTES)), ...keys]),
    dropEarlier: () => write(keys.slice(0, 1)),
  }
}

function textOf(keys: Keys): string {
  return keys.map((key) => `${Buffer.from(key).toString('base64url')}\n`).join('')
}

function parseKeys(value: string, name: string): Keys {
  const texts = value.split(/[\s,]+/).filter((text) => text !== '')
  // A pass phrase has blanks too: it is one text that is no key, not several.
  return texts.length > 1 && texts.every(isKey) ? texts.map((text) => parseKey(text, name)) : [parseKey(value, name)]
}

function isKey(text: string): boolean {
  return /^[\w-]{43}=?$/.test(text)
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

async function readKeyFile(file: string, disk: Disk): Promise<Keys | undefined> {
  let content: string | undefined
  try {
    content = await disk.read(file)
    const mode = content === undefined ? undefined : await disk.openMode(file)
    if (mode !== undefined) {
      fail({
        code: 'VAULT_KEY',
        message: `vault key file "${file}" is open to other users`,
        expected: 'mode 600',
        found: `mode ${mode}`,
        hint: `close it with: chmod 600 ${file}`,
      })
    }
  } catch (error) {
    if (error instanceof ToolError) throw error
    return fail({ code: 'VAULT_KEY', message: `vault key file "${file}" cannot be read`, ...found(error) }, error)
  }
  return content === undefined ? undefined : parseKeys(content, `file "${file}"`)
}

async function makeKeyFile(file: string, disk: Disk): Promise<{ readonly keys: Keys; readonly made: boolean }> {
  const keys: Keys = [new Uint8Array(randomBytes(KEY_BYTES))]
  const temporary = `${file}.${randomUUID()}${TEMPORARY}`
  try {
    await disk.makeFolder(dirname(file))
    await disk.writeNew(temporary, textOf(keys), 'key file')
    // A link, not a rename: of two first runs at once one wins, and both then use its key.
    await disk.link(temporary, file)
    await disk.syncFolder(dirname(file))
  } catch (error) {
    const present = errnoOf(error) === 'EEXIST' ? await readKeyFile(file, disk) : undefined
    if (present !== undefined) return { keys: present, made: false }
    fail(
      { code: 'VAULT_KEY', message: `vault key file "${file}" cannot be made`, ...found(error), hint: MAKE_KEY },
      error,
    )
  } finally {
    await disk.discard(temporary)
  }
  return { keys, made: true }
}

/** True also where a link leads into the folder. */
async function isWithin(path: string, folder: string, disk: Disk): Promise<boolean> {
  const way = relative(await disk.realPath(folder), await disk.realPath(path))
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}
