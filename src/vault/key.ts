/**
 * The keys of a vault: where they come from, the file made on first use, and the change of keys. The first key seals, all of
 * them open: so every line can be read at each moment of a change.
 */
import { randomBytes } from 'node:crypto'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { fail, ToolError } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { type Files, found } from './files.ts'

type Keys = readonly Uint8Array[]

export interface KeyRing {
  /** the first seals; 32 bytes each */
  readonly keys: Keys
  /** what the keys were read from, for messages */
  readonly source: string
  /** Reads them again: another process may have put a new one before them. */
  reload(): void
  /**
   * Puts a new key before the others, durably.
   *
   * @throws VAULT_KEY where the keys come from a variable, which only the user can change
   */
  add(): void
  /** Forgets all but the first, durably. Whatever is still sealed with another can then not be read. */
  dropEarlier(): void
}

/** Where the keys of a vault come from. */
export interface KeySource {
  /** of a vault that is there. @throws VAULT_KEY */
  of(vaultId: string): KeyRing
  /** of a vault that is about to be made; `made` is the path of a new key file. @throws VAULT_KEY */
  make(vaultId: string): { readonly ring: KeyRing; readonly made: string | undefined }
}

export interface KeyPlace {
  /** 32 bytes in base64url; a comma and earlier keys may follow */
  readonly key?: Secret | undefined
  readonly keyFile?: string | undefined
  /** where `<vault id>.key` is made for a vault that has neither */
  readonly keyFolder: string
  readonly vaultDir: string
}

/** The key as its text, else in the file that is named, else in a file of the vault's own. @throws VAULT_KEY */
export function keySource(place: KeyPlace, files: Files): KeySource {
  const { key, keyFile, keyFolder, vaultDir } = place
  if (key !== undefined) return fixedSource(fixedRing(parseKeys(key.reveal(), `"${key.name}"`), key.name))
  const folder = resolve(vaultDir)
  if (keyFile !== undefined) {
    const file = resolve(keyFile)
    demandOutside(file, folder, files)
    return fixedSource(readRing(file, files, isKeyText(file) ? PASTED_KEY : MAKE_KEY))
  }
  const fileOf = (vaultId: string) => resolve(keyFolder, `${vaultId}.key`)
  demandOutside(fileOf('vault'), folder, files)
  return {
    of: (vaultId) => readRing(fileOf(vaultId), files, LOST_KEY),
    make: (vaultId) => {
      const file = fileOf(vaultId)
      const keys = [randomKey()]
      writing(file, () => {
        files.makeFolder(dirname(file))
        files.writeNew(file, textOf(keys), { durable: true })
        files.syncFolder(dirname(file))
      })
      return { ring: fileRing(file, keys, files), made: file }
    },
  }
}

function readRing(file: string, files: Files, hint: string): KeyRing {
  const keys = readKeyFile(file, files)
  if (keys !== undefined) return fileRing(file, keys, files)
  return fail({ code: 'VAULT_KEY', message: `vault key file ${shown(file)} does not exist`, hint })
}

/** One key that is simply there. @throws VAULT_KEY */
export function keySourceOf(key: Uint8Array): KeySource {
  return fixedSource(fixedRing([usable(key, 'that is given')], 'a fixed key'))
}

const KEY_BYTES = 32
/** many keys, one a line */
const LARGEST_KEY_FILE = 64 * 1024
const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`
const LOST_KEY =
  'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another folder with VAULT_DIR'
const PASTED_KEY = 'a key itself belongs into VAULT_KEY; VAULT_KEY_FILE names a file that holds it'

function randomKey(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES))
}

function fixedSource(ring: KeyRing): KeySource {
  return { of: () => ring, make: () => ({ ring, made: undefined }) }
}

function fixedRing(keys: Keys, source: string): KeyRing {
  const refuse = () =>
    fail({
      code: 'VAULT_KEY',
      message: `the vault key comes from ${source}, which this tool cannot change`,
      hint: 'set VAULT_KEY to the new key, a comma and the old one, run this again, then leave the old one away',
    })
  return { keys, source, reload: () => {}, add: refuse, dropEarlier: refuse }
}

function fileRing(file: string, initial: Keys, files: Files): KeyRing {
  let keys = initial
  const write = (next: Keys) => {
    if (files.factsOf(file)?.isSymbolicLink()) {
      fail({
        code: 'VAULT_KEY',
        message: `vault key file ${shown(file)} is a symbolic link, through which nothing is written`,
        hint: 'put the new key where the link leads to, before the old one, and run this again',
      })
    }
    writing(file, () => files.replace(file, textOf(next)))
    keys = next
  }
  return {
    get keys() {
      return keys
    },
    source: `file ${shown(file)}`,
    reload() {
      keys = readKeyFile(file, files) ?? keys
    },
    add: () => write([randomKey(), ...keys]),
    dropEarlier: () => write(keys.slice(0, 1)),
  }
}

function writing(file: string, write: () => void): void {
  try {
    write()
  } catch (error) {
    if (error instanceof ToolError) throw error
    fail(
      {
        code: 'VAULT_KEY',
        message: `vault key file ${shown(file)} cannot be written`,
        ...found(error),
        hint: MAKE_KEY,
      },
      error,
    )
  }
}

function textOf(keys: Keys): Buffer {
  return Buffer.from(keys.map((key) => `${Buffer.from(key).toString('base64url')}\n`).join(''))
}

function parseKeys(value: string, name: string): Keys {
  const texts = value.split(/[\s,]+/).filter((text) => text !== '')
  // A pass phrase has blanks too: it is one text that is no key, not several.
  return texts.length > 1 && texts.every((text) => /^[\w-]{43}=?$/.test(text))
    ? texts.map((text) => parseKey(text, name))
    : [parseKey(value, name)]
}

function parseKey(value: string, name: string): Uint8Array {
  const trimmed = value.trim().replace(/=+$/, '')
  const bytes = Buffer.from(trimmed, 'base64url')
  if (trimmed === '') return unusable(name, 'nothing')
  // Decoders skip what they do not know, and a key that is not quite the one written down helps nobody.
  if (bytes.toString('base64url') !== trimmed) return unusable(name, 'text that is not base64url')
  return usable(new Uint8Array(bytes), name)
}

/** The key, unless anyone could guess it. */
function usable(key: Uint8Array, name: string): Uint8Array {
  if (key.byteLength !== KEY_BYTES) return unusable(name, `${key.byteLength} bytes`)
  if (new Set(key).size < FEWEST_BYTES) return unusable(name, `only ${new Set(key).size} different bytes`)
  const [first = 0, second = 0] = key
  if (key.every((byte, index) => byte === ((first + index * (second - first)) & 0xff)))
    return unusable(name, 'bytes that follow each other at one distance')
  return key
}

/** Of 32 random bytes some 30 differ. */
const FEWEST_BYTES = 8

function unusable(name: string, found: string): never {
  return fail({
    code: 'VAULT_KEY',
    message: `vault key ${name} cannot be used`,
    expected: `${KEY_BYTES} random bytes as base64url (43 characters)`,
    found,
    hint: MAKE_KEY,
  })
}

function readKeyFile(file: string, files: Files): Keys | undefined {
  let content: ReturnType<Files['readSmall']>
  try {
    content = files.readSmall(file, LARGEST_KEY_FILE)
  } catch (error) {
    return fail({ code: 'VAULT_KEY', message: `vault key file ${shown(file)} cannot be read`, ...found(error) }, error)
  }
  if (content === undefined) return undefined
  if (process.platform !== 'win32' && (content.mode & 0o077) !== 0) {
    fail({
      code: 'VAULT_KEY',
      message: `vault key file ${shown(file)} is open to other users`,
      expected: 'mode 600',
      found: `mode ${(content.mode & 0o777).toString(8)}`,
      hint: `close it with: chmod 600 ${shown(file)}`,
    })
  }
  return parseKeys(content.text, `file ${shown(file)}`)
}

/** Also where a link leads into the folder. */
function demandOutside(file: string, folder: string, files: Files): void {
  const way = relative(files.realPath(folder), files.realPath(file))
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) return
  fail({
    code: 'VAULT_KEY',
    message: `vault key file ${shown(file)} lies in the vault folder "${folder}"`,
    hint: 'keep the key elsewhere: whoever copies the folder would have both',
  })
}

/** The name of a file in quotes; not what may be a key that was pasted where the name of its file belongs. */
function shown(file: string): string {
  return isKeyText(file) ? '(not shown: its name looks like a key)' : `"${file}"`
}

/** Base64 of either alphabet, where a "/" looks like a folder's; hex; PEM. A folder that it was resolved against may come first. */
function isKeyText(file: string): boolean {
  if (file.includes('-----BEGIN')) return true
  const names = file.split(/[/\\]/)
  const isRandom = (name: string) => name.length >= 12 && [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(name))
  return names.some((name, index) => {
    if (/^[0-9a-f]{32,}$/i.test(name)) return true
    const rest = names.slice(index)
    return /^[\w+/=-]{32,}$/.test(rest.join('/')) && rest.some(isRandom)
  })
}
