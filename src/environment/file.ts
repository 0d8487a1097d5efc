/**
 * Reads one environment file with dotenv: its values with their lines. dotenv skips a line that it cannot parse; here such a line
 * is a problem with file and line, and a value that may not be what was meant is a warning.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { parse } from 'dotenv'
import { fail, nearest, type Problem } from '../record/errors.ts'

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

/** Throws ToolError ENV_FILE where it cannot be read. */
export async function readEnvironmentFile(file: string): Promise<EnvironmentFile> {
  try {
    return parseEnvironmentFile(await readFile(file, 'utf8'), file)
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
  const words: Readonly<Record<string, string>> = { EISDIR: 'it is a folder', EACCES: 'access is denied' }
  return fail(
    {
      code: 'ENV_FILE',
      message: `environment file "${file}" cannot be read: ${words[code] ?? code}`,
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
const QUOTED = /^(['"`])(?:\\.|(?!\1).)*\1/

function parseEnvironmentFile(text: string, file: string): EnvironmentFile {
  const parsed = parse(text)
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const values = new Map<string, { text: string; line: number }>()
  const problems: Problem[] = []
  const warnings: string[] = []
  const problem = (line: number, message: string, more: Partial<Problem>) =>
    problems.push({ code: 'ENV_INVALID', message, at: { file, line, column: 1 }, ...more })

  for (let index = 0; index < lines.length; index++) {
    const line = index + 1
    const source = lines[index] ?? ''
    if (/^\s*(?:#|$)/.test(source)) continue
    const [, name, value = ''] = ASSIGNMENT.exec(source) ?? []
    if (name === undefined) {
      // The line is not quoted: it may be the second line of a key.
      problem(line, `this line of ${basename(file)} sets nothing`, {
        expected: 'NAME=value, or # before a comment',
        hint: 'put a value of several lines into quotes',
      })
      continue
    }
    const quote = /^['"`]/.exec(value)?.[0]
    const end = quote === undefined || QUOTED.test(value) ? index : closingLine(lines, index + 1, quote)
    if (end === undefined) problem(line, `the quote before the value of ${name} is not closed`, {})
    else index = end
    if (quote === undefined && /^[^#]*[^#\s]#/.test(value))
      warnings.push(
        `${basename(file)}:${line}: the value of ${name} ends before "#"; put it into quotes if "#" is part of it`,
      )
    const before = values.get(name)
    if (before !== undefined)
      warnings.push(`${basename(file)}:${line}: ${name} is set again; line ${before.line} no longer counts`)
    values.set(name, { text: parsed[name] ?? '', line })
  }
  return { file, values, problems, warnings }
}

function closingLine(lines: readonly string[], from: number, quote: string): number | undefined {
  const index = lines.findIndex((line, at) => at >= from && line.replaceAll(`\\${quote}`, '').includes(quote))
  return index === -1 ? undefined : index
}
