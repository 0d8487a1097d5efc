/** The keys of a vault. The first seals, all of them open, so every line can be read at each moment of a change of keys. */
import { randomBytes } from 'node:crypto'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { type Files, found, openMode } from './files.ts'
import { canonical } from './seal.ts'

/** 32 bytes each */
type Keys = readonly Uint8Array[]

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
export function keySource({ key, keyFile, keyFolder, vaultDir }: KeyPlace, files: Files): KeySource {
  if (key !== undefined) return fixed(new KeyRing(parseKeys(key.reveal(), `"${key.name}"`), key.name))
  const folder = resolve(vaultDir)
  if (keyFile !== undefined) {
    const file = resolve(keyFile)
    demandOutside(file, folder, files)
    return fixed(ringIn(file, files, isKeyText(file) ? PASTED_KEY : MAKE_KEY))
  }
  const fileOf = (vaultId: string) => resolve(keyFolder, `${vaultId}.key`)
  demandOutside(fileOf('vault'), folder, files)
  return {
    of: (vaultId) => ringIn(fileOf(vaultId), files, LOST_KEY),
    make: (vaultId) => {
      const file = fileOf(vaultId)
      const keys = [randomKey()]
      writing(file, () => {
        files.makeFolder(dirname(file))
        files.writeNew(file, textOf(keys), { durable: true })
        files.syncFolder(dirname(file))
      })
      return { ring: new KeyRing(keys, `file ${shown(file)}`, { path: file, files }), made: file }
    },
  }
}

/** One key that is given. @throws VAULT_KEY */
export function keySourceOf(key: Uint8Array): KeySource {
  return fixed(new KeyRing([usable(key, 'that is given')], 'a fixed key'))
}

export class KeyRing {
  /** what the keys were read from, for messages */
  readonly source: string
  readonly #file: { readonly path: string; readonly files: Files } | undefined
  #keys: Keys

  constructor(keys: Keys, source: string, file?: { readonly path: string; readonly files: Files }) {
    this.source = source
    this.#keys = keys
    this.#file = file
  }

  /** The first seals. */
  get keys(): Keys {
    return this.#keys
  }

  /** Reads them again: another process may have put a new one before them. */
  reload(): void {
    this.#keys = (this.#file && keysIn(this.#file.path, this.#file.files)) ?? this.#keys
  }

  /** Puts a new key before the others, durably. @throws VAULT_KEY where only the user can change them */
  add(): void {
    this.#write([randomKey(), ...this.#keys])
  }

  /** Forgets all but the first, durably. Whatever is still sealed with another can then not be read. */
  dropEarlier(): void {
    this.#write(this.#keys.slice(0, 1))
  }

  #write(keys: Keys): void {
    if (this.#file === undefined) {
      fail({
        code: 'VAULT_KEY',
        message: `the vault key comes from ${this.source}, which this tool cannot change`,
        hint: 'set VAULT_KEY to the new key, a comma and the old one, run this again, then leave the old one away',
      })
    }
    const { path, files } = this.#file
    const hint = 'put the new key where the link leads to, before the old one, and run this again'
    if (files.factsOf(path)?.isSymbolicLink())
      refuse(path, 'is a symbolic link, through which nothing is written', { hint })
    writing(path, () => files.replace(path, textOf(keys)))
    this.#keys = keys
  }
}

const KEY_BYTES = 32
/** Of 32 random bytes some 30 differ. */
const FEWEST_BYTES = 8
/** many keys, one a line */
const LARGEST_KEY_FILE = 64 * 1024
const MAKE_KEY = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`
const LOST_KEY =
  'put the key file back, or set VAULT_KEY or VAULT_KEY_FILE; to start anew, name another folder with VAULT_DIR'
const PASTED_KEY = 'a key itself belongs into VAULT_KEY; VAULT_KEY_FILE names a file that holds it'

function randomKey(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES))
}

function fixed(ring: KeyRing): KeySource {
  return { of: () => ring, make: () => ({ ring, made: undefined }) }
}

function ringIn(path: string, files: Files, hint: string): KeyRing {
  const keys = keysIn(path, files)
  if (keys !== undefined) return new KeyRing(keys, `file ${shown(path)}`, { path, files })
  return refuse(path, 'does not exist', { hint })
}

function writing(file: string, write: () => void): void {
  try {
    write()
  } catch (error) {
    if (error instanceof ToolError) throw error
    refuse(file, 'cannot be written', { ...found(error), hint: MAKE_KEY }, error)
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

/** Other forms in which people write a key: what it is, and how it becomes one. */
const OTHER_FORMS: readonly (readonly [form: RegExp, found: string, hint: string])[] = [
  [/^$/, 'nothing', MAKE_KEY],
  [
    /^[0-9a-f]{64}$/i,
    '64 hexadecimal digits',
    `turn them into base64url: node -p "Buffer.from('<digits>', 'hex').toString('base64url')"`,
  ],
  [
    /^(?=.*[+/])[A-Za-z0-9+/]{43}$/,
    'base64 with the signs + or /',
    'base64url has - for + and _ for /: replace these two in the key, and nothing else',
  ],
  [/^["'].*["']$/s, 'a key within quotes', 'leave the quotes out'],
  [/\s/, 'a text with blanks', 'a pass phrase is no key: copy the key itself again'],
]
const COPY_AGAIN = 'copy the key again, every character of it; a new key opens no vault that is there'

function parseKey(value: string, name: string): Uint8Array {
  const trimmed = value.trim().replace(/=+$/, '')
  const [, found, hint] = OTHER_FORMS.find(([form]) => form.test(trimmed)) ?? []
  if (found !== undefined) return unusable(name, found, hint)
  const bytes = canonical(trimmed)
  return bytes === undefined ? unusable(name, 'text that is not base64url') : usable(new Uint8Array(bytes), name)
}

/** The key, unless anyone could guess it. */
function usable(key: Uint8Array, name: string): Uint8Array {
  if (key.byteLength !== KEY_BYTES) return unusable(name, `${key.byteLength} bytes`)
  if (new Set(key).size < FEWEST_BYTES) return unusable(name, `only ${new Set(key).size} different bytes`, MAKE_KEY)
  const [first = 0, second = 0] = key
  if (key.every((byte, index) => byte === ((first + index * (second - first)) & 0xff)))
    return unusable(name, 'bytes that follow each other at one distance', MAKE_KEY)
  return key
}

function unusable(name: string, found: string, hint: string = COPY_AGAIN): never {
  return fail({
    code: 'VAULT_KEY',
    message: `vault key ${name} cannot be used`,
    expected: `${KEY_BYTES} random bytes as base64url (43 characters)`,
    found,
    hint,
  })
}

function keysIn(file: string, files: Files): Keys | undefined {
  let key: ReturnType<Files['read']>
  try {
    key = files.read(file, { mayBeLink: true, most: LARGEST_KEY_FILE })
  } catch (error) {
    return refuse(file, 'cannot be read', found(error), error)
  }
  if (key === undefined) return undefined
  const mode = openMode(key.facts)
  const hint = `close it with: chmod 600 ${shown(file)}`
  if (mode !== undefined) refuse(file, 'is open to other users', { expected: 'mode 600', found: `mode ${mode}`, hint })
  return parseKeys(key.content.toString('latin1'), `file ${shown(file)}`)
}

/** Also where a link leads into the folder. */
function demandOutside(file: string, folder: string, files: Files): void {
  const way = relative(files.realPath(folder), files.realPath(file))
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) return
  const hint = 'keep the key elsewhere: whoever copies the folder would have both'
  refuse(file, `lies in the vault folder "${folder}"`, { hint })
}

function refuse(file: string, is: string, rest: Partial<Problem>, cause?: unknown): never {
  return fail({ code: 'VAULT_KEY', message: `vault key file ${shown(file)} ${is}`, ...rest }, cause)
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
