/** The files that an import and `thredd init` write: nothing that is there is replaced unless that is allowed, and secrets are the owner's alone. */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { variablesOf } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { dotenv } from '../../record/foreign.ts'
import { readTextFile, textIfReadable, whyUnread } from '../../record/regular-file.ts'
import { replaceFile } from '../../record/replace-file.ts'
import type { Setting } from './settings.ts'

export interface FileToWrite {
  readonly file: string
  readonly text: string
  readonly mode: number
  /** what is lost of the file that is there, in words; undefined where nothing is */
  readonly replaces?: string | undefined
}

export async function writeFiles(files: readonly FileToWrite[]): Promise<void> {
  for (const { file, text, mode } of files) {
    try {
      await mkdir(dirname(file), { recursive: true })
      await replaceFile(file, text, mode)
    } catch (cause) {
      fail(
        {
          code: 'USAGE',
          message: `"${file}" cannot be written: ${whyUnread(cause)}`,
          hint: 'make room for it, then repeat the command: what is written already stays as it is',
        },
        cause,
      )
    }
  }
}

/** A file that is there with another content is replaced. */
export function ordinaryFile(file: string, text: string, mode = 0o644): readonly FileToWrite[] {
  const isThere = existsSync(file)
  if (isThere && textIfReadable(file) === text) return []
  return [{ file, text, mode, replaces: isThere ? 'the whole file' : undefined }]
}

/** The environment file of a person with the settings added; lines of the same names are replaced, all others stay. */
export function environmentFile(file: string, all: readonly Setting[]): readonly FileToWrite[] {
  const before = existsSync(file) ? readTextFile(file) : undefined
  const there = variablesOf(before ?? '')
  const settings = all.filter(({ name, value }) => there[name] !== value)
  if (settings.length === 0) return []
  const names = settings.map(({ name }) => name)
  const lost = names.filter((name) => (there[name] ?? '') !== '')
  const kept =
    before === undefined
      ? []
      : [
          without(
            before,
            names.filter((name) => name in there),
            file,
          ),
        ]
  const head =
    before === undefined ? ['# Values of your own for this environment. Git-ignored: it may hold secrets.'] : []
  const lines = settings.map(({ name, value, from }) => `# ${oneComment(from)}\n${name}=${dotenv(value) ?? ''}`)
  const text = `${[...head, ...kept.map((one) => one.trimEnd()), ...lines].filter((one) => one !== '').join('\n')}\n`
  return [{ file, text, mode: 0o600, replaces: lost.length === 0 ? undefined : lost.join(', ') }]
}

function oneComment(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').slice(0, 200)
}

/** @throws ToolError IMPORT for a value of several lines, of which a line may look like anything */
function without(text: string, names: readonly string[], file: string): string {
  const values = variablesOf(text)
  const lines = text.split(/\r?\n/)
  for (const name of names) {
    if ((values[name] ?? '').includes('\n')) {
      fail({
        code: 'IMPORT',
        message: `${name} in ${basename(file)} has several lines and would be replaced; nothing was written`,
        hint: `remove ${name} from ${basename(file)}, and repeat the command`,
      })
    }
  }
  return lines.filter((line) => !names.includes(/^\s*(?:export\s+)?([\w.-]+)\s*[=:]/.exec(line)?.[1] ?? '')).join('\n')
}

const IGNORED = ['.env*.local', 'keys/', '.vault/']

/** Keeps what is secret out of version control. */
export function ignoreFile(folder: string, more: readonly string[] = []): readonly FileToWrite[] {
  const file = join(folder, '.gitignore')
  const before = textIfReadable(file)
  const there = before.split(/\r?\n/).map((line) => line.trim())
  const missing = [...IGNORED, ...more].filter((one) => !there.includes(one))
  if (missing.length === 0) return []
  const text = `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`
  return [{ file, text, mode: 0o644 }]
}

/** A path as a setting of an environment file names it. */
export function pathFrom(environmentFile: string, file: string): string {
  return relative(dirname(environmentFile), file).replaceAll('\\', '/')
}
