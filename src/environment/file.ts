/**
 * Reads one environment file with dotenv: its values with their lines. dotenv skips a line that it cannot parse; here such a line
 * is a problem with file and line, and a value that may not be what was meant is a warning.
 */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { parse } from 'dotenv'
import { decodeText } from '../identity/bytes.ts'
import { fail, nearest, type Problem } from '../record/errors.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { readRegularFile, whyUnread } from '../record/regular-file.ts'

export interface EnvironmentFile {
  readonly file: string
  readonly values: ReadonlyMap<string, { readonly text: string; readonly line: number }>
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
}

/**
 * The file that a name (`uat` for `.env.uat`) or a path means: the first of `folders` that has it; a path starts at `here`.
 * Throws ToolError ENV_FILE that names the environments found.
 */
export async function locateEnvironmentFile(
  named: string,
  folders: readonly string[],
  here = folders[0] ?? '',
): Promise<string> {
  const candidates = isPath(named) ? [resolve(here, named)] : folders.map((folder) => resolve(folder, `.env.${named}`))
  const found = candidates.find((file) => existsSync(file))
  if (found !== undefined) return found
  const known = [...new Set((await Promise.all(folders.map(environmentsIn))).flat())].sort()
  const meant = nearest(named, known)
  return fail({
    code: 'ENV_FILE',
    message: `there is no environment "${named}": no file "${candidates[0]}"`,
    hint:
      meant === undefined
        ? `name an environment (${known.length === 0 ? 'mock, uat, prod' : known.join(', ')}) or the path of a file`
        : `did you mean "${meant}"?`,
  })
}

/** Whether the environment is named by a file rather than by its name. */
export function isPath(named: string): boolean {
  return /[\\/]|^\.env/.test(named)
}

/** NAME=value lines of any text; what sets nothing is passed over, and of a name that is set twice the last one counts. */
export function variablesOf(text: string): Readonly<Record<string, string>> {
  return parse(text)
}

/** In bytes. */
const LARGEST = FILE_LIMITS.environmentBytes.value

/** Throws ToolError ENV_FILE where it cannot be read. */
export async function readEnvironmentFile(file: string): Promise<EnvironmentFile> {
  try {
    return parseEnvironmentFile(readRegularFile(file, LARGEST), file)
  } catch (cause) {
    return unreadable(file, cause)
  }
}

/** The same; undefined where the file does not exist. */
export async function readOptionalFile(file: string): Promise<EnvironmentFile | undefined> {
  return existsSync(file) ? await readEnvironmentFile(file) : undefined
}

function unreadable(file: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException
  if (code === undefined) throw cause
  return fail(
    {
      code: 'ENV_FILE',
      message: `environment file "${file}" cannot be read: ${whyUnread(cause)}`,
      hint: 'make it readable, or remove it',
    },
    cause,
  )
}

async function environmentsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.flatMap((name) => /^\.env\.(.+)$/.exec(name)?.[1] ?? []).filter((name) => !name.endsWith('.local'))
}

/** The forms that dotenv understands: `NAME=value`, `NAME: value`, with or without "export". */
const ASSIGNMENT = /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*|:\s+)(.*)$/
const LIKE_A_SETTING = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*\S/

/** Each entry is given to dotenv by itself, so that none can take in the lines of another unnoticed. */
function parseEnvironmentFile(bytes: Uint8Array, file: string): EnvironmentFile {
  const { text, encoding } = decodeText(bytes)
  const lines = text.split(/\r\n|\n|\r/)
  const values = new Map<string, { text: string; line: number }>()
  const problems: Problem[] = []
  const warnings: string[] = []
  const problem = (line: number, message: string, more: Partial<Problem> = {}) =>
    problems.push({ code: 'ENV_INVALID', message, at: { file, line, column: 1 }, ...more })
  const warn = (line: number, message: string) => warnings.push(`${basename(file)}:${line}: ${message}`)

  for (let index = 0; index < lines.length; index++) {
    const line = index + 1
    const source = lines[index] ?? ''
    if (/^\s*(?:#|$)/.test(source)) continue
    const fault = faultOfBytes(source, encoding)
    if (fault !== undefined) {
      problem(line, `this line of ${basename(file)} holds ${fault}`, { hint: 'save the file as plain text in UTF-8' })
      continue
    }
    const [, name, value = ''] = ASSIGNMENT.exec(source) ?? []
    if (name === undefined) {
      // The line is not quoted: it may be the second line of a key.
      problem(line, `this line of ${basename(file)} sets nothing`, {
        expected: 'NAME=value, or # before a comment',
        hint: 'put a value of several lines into quotes',
      })
      continue
    }
    const last = lastLine(lines, index, value)
    if (typeof last === 'string') {
      problem(line, `the value of ${name} cannot be read: ${last}`, {
        hint: 'put a value that holds a quote between quotes of another kind',
      })
      continue
    }
    const inner = lines.slice(index + 1, last + 1).findIndex((each) => LIKE_A_SETTING.test(each))
    if (inner !== -1)
      warn(
        line,
        `the value of ${name} ends in line ${last + 1}, where its quote is closed, and takes in line ${line + 1 + inner}, which looks like a setting`,
      )
    if (isCutByComment(name, value))
      warn(line, `the value of ${name} ends before "#"; put it into quotes if "#" is part of it`)
    const before = values.get(name)
    if (before !== undefined) warn(line, `${name} is set again; line ${before.line} no longer counts`)
    values.set(name, { text: parse(lines.slice(index, last + 1).join('\n'))[name] ?? '', line })
    index = last
  }
  return { file, values, problems, warnings }
}

function faultOfBytes(line: string, encoding: string): string | undefined {
  if (line.includes('\0')) return 'a byte of value 0'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: everything beyond ASCII
  return encoding === 'latin1' && /[^\u0000-\u007f]/.test(line) ? 'a byte that is not UTF-8' : undefined
}

/** As dotenv has it: only a quote is escaped by a backslash, and one at the end belongs to the value. */
const QUOTED_TO_END = /^(['"`])(?:\\\1|(?!\1)[\s\S])*\1\s*(?:#.*)?$/

/** The last line of the entry that begins in line `from`, since a value in quotes may have several; else what is wrong. */
function lastLine(
  lines: readonly string[],
  from: number,
  value: string,
): number | 'its opening quote is closed nowhere' | 'text follows its closing quote' {
  const quote = /^['"`]/.exec(value)?.[0]
  if (quote === undefined || QUOTED_TO_END.test(value)) return from
  const closes = (line: string) => line.replaceAll(`\\${quote}`, '').includes(quote)
  if (closes(value.slice(1))) return 'text follows its closing quote'
  const further = lines.slice(from + 1).findIndex(closes)
  const last = from + 1 + further
  const isWhole = further !== -1 && QUOTED_TO_END.test([value, ...lines.slice(from + 1, last + 1)].join('\n'))
  return isWhole ? last : 'its opening quote is closed nowhere'
}

/** In a path " #" without a blank after it is hardly a comment. */
function isCutByComment(name: string, value: string): boolean {
  if (/^['"`]/.test(value)) return false
  return /^[^#]*[^#\s]#/.test(value) || (/_(?:FILE|DIR)$/.test(name) && /^[^#]*\s#\S/.test(value))
}
