/** Where a key or certificate comes from: a file, or a setting that holds the content itself. */
import { fail, type Problem } from '../record/errors.ts'
import { readRegularFile } from '../record/regular-file.ts'
import type { Secret } from '../secret/index.ts'
import { type Material, materialOf } from './material.ts'

/** The path of a file, or the content, whose name is that of its setting. */
export type Given = string | Secret

export interface Source {
  /** as the subject of a sentence: `key file "k.pem"`, `TRANSPORT_KEY` */
  readonly subject: string
  /** the setting that names the file or holds the content */
  readonly setting: string
  readonly bytes: Buffer
  readonly material: Material
}

/** `what` are the words for a file: "key file". Throws with `code` where it cannot be read. */
export async function readSource(
  given: Given,
  { what, of, setting, code }: { what: string; of?: string; setting: string; code: Problem['code'] },
): Promise<Source> {
  if (typeof given !== 'string') {
    const bytes = Buffer.from(given.reveal())
    return { subject: given.name, setting: given.name, bytes, material: materialOf(bytes) }
  }
  const subject = `${what} "${given}"${of === undefined ? '' : ` of ${of}`}`
  try {
    const bytes = readRegularFile(given)
    return { subject, setting, bytes, material: materialOf(bytes) }
  } catch (cause) {
    const { code: reason = 'unknown reason' } = cause as NodeJS.ErrnoException
    const words = REASONS[reason] ?? `cannot be read: ${reason}`
    return fail({ code, message: `${subject} ${words}`, hint: `correct ${setting}` }, cause)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
}
