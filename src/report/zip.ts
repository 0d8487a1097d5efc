/**
 * Zip archives without compression and times: the same files always give the same bytes. So a changed byte of an archive is
 * always found, also outside of the files.
 *
 * @see [APPNOTE.TXT](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) sections 4.3.7, 4.3.12 and 4.3.16
 */
import { crc32 } from 'node:zlib'

/** `files` by path with "/", written in this order. Throws RangeError where a size or number is too large for the format. */
export function zip(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const [path, bytes] of files) {
    const name = Buffer.from(path)
    const shared = sharedFields(name, bytes)
    parts.push(numbers([4, LOCAL_HEADER], ...shared), name, bytes)
    directory.push(
      // Made by version 2.0 of the format; no comment, first disk, no attributes.
      numbers([4, DIRECTORY_HEADER], [2, VERSION], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]),
      name,
    )
    offset += LOCAL_LENGTH + name.length + bytes.length
  }
  const length = directory.reduce((sum, { length }) => sum + length, 0)
  const end = numbers([4, END], [2, 0], [2, 0], [2, files.size], [2, files.size], [4, length], [4, offset], [2, 0])
  return Buffer.concat([...parts, ...directory, end])
}

/**
 * The files of an archive that `zip` has made, or a sentence that says why it cannot be read: another program made it, or a
 * name leads out of the archive or occurs twice.
 */
export function unzip(archive: Uint8Array): ReadonlyMap<string, Uint8Array> | { readonly problem: string } {
  const view = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength)
  const files = new Map<string, Uint8Array>()
  let at = 0
  while (at + LOCAL_LENGTH <= view.length && view.readUInt32LE(at) === LOCAL_HEADER) {
    if (view.readUInt16LE(at + METHOD_AT) !== STORED) return { problem: 'it is compressed' }
    const nameStart = at + LOCAL_LENGTH
    const start = nameStart + view.readUInt16LE(at + NAME_LENGTH_AT)
    const end = start + view.readUInt32LE(at + SIZE_AT)
    if (end > view.length) return { problem: 'it is cut' }
    const path = view.toString('utf8', nameStart, start)
    if (!isSafe(path)) return { problem: `it holds a file with the name ${JSON.stringify(path)}` }
    if (files.has(path)) return { problem: `it holds ${JSON.stringify(path)} twice` }
    files.set(path, view.subarray(start, end))
    at = end
  }
  // Checksums, directory and end are compared by making the archive again from its files.
  if (files.size > 0 && view.equals(zip(files))) return files
  return { problem: 'it is changed, or was made by another program' }
}

const LOCAL_HEADER = 0x04034b50
const DIRECTORY_HEADER = 0x02014b50
const END = 0x06054b50
const LOCAL_LENGTH = 30
const METHOD_AT = 8
const SIZE_AT = 22
const NAME_LENGTH_AT = 26

const VERSION = 20
/** names are UTF-8 */
const FLAGS = 0x0800
const STORED = 0
/** every entry needs a time: this is 1980-01-01 */
const [TIME, DATE] = [0, 0x21]

type NumberField = readonly [size: 2 | 4, value: number]

/** The fields that the local header and the directory header of a file share. */
function sharedFields(name: Uint8Array, bytes: Uint8Array): NumberField[] {
  return [
    [2, VERSION],
    [2, FLAGS],
    [2, STORED],
    [2, TIME],
    [2, DATE],
    [4, crc32(bytes)],
    [4, bytes.length],
    [4, bytes.length],
    [2, name.length],
    [2, 0],
  ]
}

function numbers(...fields: readonly NumberField[]): Uint8Array {
  return Buffer.concat(
    fields.map(([size, value]) => {
      const field = Buffer.alloc(size)
      field.writeUIntLE(value, 0, size)
      return field
    }),
  )
}

/** A relative path of plain names with "/": on every file system it stays in the archive and names no device. */
function isSafe(path: string): boolean {
  return path.split('/').every((part) => /^[\w.-]+$/.test(part) && !/^\.{1,2}$/.test(part))
}
