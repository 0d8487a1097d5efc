/**
 * A journal: what one process has written down of one client, line by line. Owns the form of a line, and how it is bound to
 * its file and to the line before it, so that none can be changed, moved, doubled or taken out unnoticed. Pure but for the
 * encryption; the files are files.ts's.
 */

import type { Undecryptable } from '../identity/jwt.ts'
import type { Problem } from '../record/errors.ts'
import { z } from '../record/shape.ts'
import { intentSchema } from './intent.ts'
import { decrypted, encrypted, type KeyRing } from './key.ts'
import { entrySchema, readFormat, VAULT_VERSION } from './record.ts'

/** What happened: an intent as it is from now on, and what is added to the record. */
export interface Line {
  readonly intent?: z.infer<typeof intentSchema> | undefined
  readonly entries?: readonly z.infer<typeof entrySchema>[] | undefined
}

export interface Journal {
  /** its name; the first line says it too */
  readonly file: string
  /** undefined where not even the first line was finished */
  readonly of: { readonly environment: string; readonly clientId: string } | undefined
  readonly lines: readonly Line[]
  /** of the last line, which the next one repeats */
  readonly tag: string
  /** the finished lines as they stand in the file */
  readonly text: string
  /** the process died while it wrote the last line: that counts as never written */
  readonly isTorn: boolean
}

interface Unreadable {
  readonly ok: false
  /** counted from 1 */
  readonly line: number
  readonly is: string
  readonly rest: Partial<Problem>
}

export const UNDECRYPTABLE: Readonly<Record<Undecryptable, readonly [is: string, hint: string]>> = {
  foreign: ['is not a vault record', 'move it out of the vault folder'],
  cut: ['is cut short', 'put the file back from a backup'],
  'other-key': ['was made with another key', 'set VAULT_KEY or VAULT_KEY_FILE to the key it was made with'],
  damaged: ['was changed after it was written', 'put the file back from a backup'],
}

export function newJournal(file: string): Journal {
  return { file, of: undefined, lines: [], tag: file, text: '', isTorn: false }
}

/** The journal with one more line, and the text to be added to its file: for a new one with the line that says what it is. */
export async function extended(
  journal: Journal,
  line: Line,
  of: { readonly environment: string; readonly clientId: string },
  ring: KeyRing,
): Promise<{ readonly journal: Journal; readonly added: string }> {
  let { tag } = journal
  const sealed = async (content: object) => {
    const jwe = await encrypted(Buffer.from(JSON.stringify({ ...content, after: tag })), ring)
    tag = tagOf(jwe)
    return `${jwe}\n`
  }
  const head = journal.of === undefined ? await sealed({ vaultVersion: VAULT_VERSION, ...of }) : ''
  const added = head + (await sealed(line))
  return { added, journal: { ...journal, of, tag, lines: [...journal.lines, line], text: journal.text + added } }
}

/** What stands in the file. Lines that were read before (`known`) are not decrypted again. */
export async function readJournal(
  file: string,
  text: string,
  ring: KeyRing,
  known: Journal = newJournal(file),
): Promise<{ readonly ok: true; readonly journal: Journal } | Unreadable> {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const tail = text.slice(whole.length)
  const from = whole.startsWith(known.text) ? known : newJournal(file)
  let { of, tag } = from
  const lines = [...from.lines]
  const refuse = (is: string, rest: Partial<Problem>): Unreadable => {
    return { ok: false, line: lines.length + (of === undefined ? 1 : 2), is, rest }
  }
  for (const jwe of whole.slice(from.text.length).split('\n').slice(0, -1)) {
    const result = await decrypted(jwe, ring)
    if (!result.ok) {
      const [is, hint] = UNDECRYPTABLE[result.because]
      return refuse(is, { hint })
    }
    const read = readFormat(result.plaintext, of === undefined ? headSchema : lineSchema)
    if (!read.ok) return refuse(read.is, read.rest)
    if (read.value.after !== tag) {
      const [is, hint] = of === undefined ? MISPLACED.file : MISPLACED.line
      return refuse(is, { hint })
    }
    if ('clientId' in read.value) of = read.value
    else lines.push(read.value)
    tag = tagOf(jwe)
  }
  if (!isBeginning(tail)) {
    const [is, hint] = UNDECRYPTABLE.damaged
    return refuse(is, { hint })
  }
  return { ok: true, journal: { file, of, lines, tag, text: whole, isTorn: tail !== '' } }
}

const TAG_CHARACTERS = 22

const MISPLACED = {
  file: ['is of another file', 'it was renamed or copied; put it back where it came from'],
  line: ['does not follow the line before it', 'put the file back from a backup'],
} as const

type Read = { readonly after: string } & (NonNullable<Journal['of']> | Line)
const headSchema: z.ZodMiniType<Read> = z.looseObject({
  vaultVersion: z.literal(VAULT_VERSION),
  environment: z.string(),
  clientId: z.string(),
  after: z.string(),
})
const lineSchema: z.ZodMiniType<Read> = z.looseObject({
  intent: z.optional(intentSchema),
  entries: z.optional(z.array(entrySchema)),
  after: z.string(),
})

/** Random for each line, since each is encrypted with a vector of its own. */
function tagOf(jwe: string): string {
  return jwe.slice(-TAG_CHARACTERS)
}

/**
 * Whether a line may have begun so: a changed line break must not make the last line look unfinished. Zeros are space that
 * the file system had given and not filled.
 */
function isBeginning(tail: string): boolean {
  return /^(?:[\w-]*\.){0,3}[\w-]*\0*$/.test(tail) || /^(?:[\w-]*\.){4}[\w-]{0,22}\0*$/.test(tail)
}
