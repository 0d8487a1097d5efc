/** Finds stored runs and reads their records. Writes nothing. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fail, nearest, ToolError } from './errors.ts'
import { ANY_ENVIRONMENT, commandsFor } from './hints.ts'
import { FINISHED_FILE, RECORD_FILE, RECORD_VERSION, type RunRecord } from './index.ts'
import { readTextFile, whyUnread } from './regular-file.ts'
import { runRecord } from './schema.ts'
import { shapeOf } from './shape.ts'

/**
 * The path of a run's record. `run` is the path of the record or its folder, or the name of a folder in `reports`, or the
 * beginning or end of one that is unique; undefined means the newest run. Throws RECORD_UNREADABLE.
 */
export async function locateRun(run: string | undefined, reports: string): Promise<string> {
  const latest = join(reports, 'latest', RECORD_FILE)
  const named = run === undefined ? [latest] : [run, join(run, RECORD_FILE), join(reports, run, RECORD_FILE)]
  for (const file of named) if (await isFile(file)) return file
  const names = await runNames(reports)
  if (run === undefined) {
    const newest = names[0]
    if (await isFolder(dirname(latest)))
      fail({
        code: 'RECORD_UNREADABLE',
        message: `the newest run, "${dirname(latest)}", was killed before its record was written, or is still going on`,
        hint:
          newest === undefined
            ? 'run again'
            : `run again, or name an older run: the newest with a record is "${newest}"`,
      })
    if (newest !== undefined) return join(reports, newest, RECORD_FILE)
    return fail({
      code: 'RECORD_UNREADABLE',
      message: `"${reports}" holds no run`,
      hint: `make one with ${commandsFor(ANY_ENVIRONMENT)('makeRecord')}, or name a record.json`,
    })
  }
  for (const folder of [run, join(reports, run)]) {
    if (!(await isFile(join(folder, FINISHED_FILE)))) continue
    fail({
      code: 'RECORD_UNREADABLE',
      message: `"${folder}" is of a run that was killed before its record was written, or is still going on`,
      found: `${FINISHED_FILE}: its finished workflows, each a line of JSON`,
      hint: `${commandsFor(ANY_ENVIRONMENT)('showLeft')} says what a killed run has left behind; then run again`,
    })
  }
  const alike = names.filter((name) => name.startsWith(run) || name.endsWith(run))
  if (alike.length === 1) return join(reports, alike[0] ?? '', RECORD_FILE)
  const meant = nearest(run, names)
  return fail({
    code: 'RECORD_UNREADABLE',
    message: alike.length > 1 ? `"${run}" is the name of ${alike.length} runs` : `there is no run "${run}"`,
    found: alike.length > 1 ? alike.join(', ') : undefined,
    hint:
      meant === undefined ? 'name a record.json, its folder, or a folder of the reports' : `did you mean "${meant}"?`,
  })
}

/** Names of the folders in `reports` that hold a record, newest first; the names begin with the time. */
export async function runNames(reports: string): Promise<readonly string[]> {
  return await holding(RECORD_FILE, reports, await foldersIn(reports))
}

/** Newest first. */
async function foldersIn(reports: string): Promise<readonly string[]> {
  const entries = await readdir(reports, { withFileTypes: true }).catch(() => [])
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  return folders.toSorted().reverse()
}

/** Those of the folders that hold the file. */
async function holding(file: string, reports: string, folders: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(folders.map(async (name) => await isFile(join(reports, name, file))))
  return folders.filter((_, index) => found[index])
}

/** A run makes its folder before its first call, under a name that begins with the time (`runFolder`). */
const OF_A_RUN = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-/

/** A folder of the reports: its record, or why there is none to be read. */
export interface StoredRun {
  readonly folder: string
  readonly run: RunRecord | { readonly problem: string }
}

/** So many runs are read, the newest first. */
const MOST_RUNS = 1000

/** The stored runs, newest first by the names of their folders, one record at a time. One that cannot be read hides no other. */
export async function* storedRuns(reports: string): AsyncGenerator<StoredRun> {
  const folders = await foldersIn(reports)
  const names = await holding(RECORD_FILE, reports, folders)
  const others = folders.filter((folder) => !names.includes(folder))
  const begun = await holding(FINISHED_FILE, reports, others)
  for (const folder of names.slice(0, MOST_RUNS))
    yield { folder, run: await readOrSay(join(reports, folder, RECORD_FILE)) }
  for (const folder of names.slice(MOST_RUNS))
    yield { folder, run: { problem: `only the newest ${MOST_RUNS} runs are read` } }
  for (const folder of others)
    if (OF_A_RUN.test(folder) || begun.includes(folder))
      yield { folder, run: { problem: 'it was killed before its record was written, or is still going on' } }
}

async function readOrSay(file: string): Promise<StoredRun['run']> {
  try {
    return await readRecord(file)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return { problem: error.message.replace(file, basename(file)) }
  }
}

/** Throws RECORD_UNREADABLE where the file is missing, cut, of another version, or no record. */
export async function readRecord(file: string): Promise<RunRecord> {
  let text: string
  try {
    text = readTextFile(file)
  } catch (cause) {
    return fail(
      {
        code: 'RECORD_UNREADABLE',
        message: `"${file}" cannot be read: ${whyUnread(cause)}`,
      },
      cause,
    )
  }
  return parseRecord(text, file)
}

export function parseRecord(text: string, file: string): RunRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const cut = !/\}\s*$/.test(text)
    return fail(
      {
        code: 'RECORD_UNREADABLE',
        message: cut ? `"${file}" is cut: it ends before the record does` : `"${file}" is not JSON`,
        found: text === '' ? 'an empty file' : `${text.length} characters`,
        hint: 'take the file from a backup, or run again',
      },
      cause,
    )
  }
  const version =
    typeof value === 'object' && value !== null && 'recordVersion' in value ? value.recordVersion : undefined
  if (version !== RECORD_VERSION) {
    return fail({
      code: 'RECORD_UNREADABLE',
      message: version === undefined ? `"${file}" is no run record` : `"${file}" is a record of another version`,
      expected: `recordVersion ${RECORD_VERSION}`,
      found: version === undefined ? 'no recordVersion' : `recordVersion ${JSON.stringify(version)}`,
      hint:
        version === undefined
          ? `name the ${RECORD_FILE} of a run`
          : typeof version === 'number' && version > RECORD_VERSION
            ? 'use the newer version of this tool that wrote it'
            : 'use the version of this tool that wrote it',
    })
  }
  const shaped = shapeOf(runRecord, value)
  if (shaped.ok) return shaped.value
  const [first] = shaped.faults
  return fail({
    code: 'RECORD_UNREADABLE',
    message: `"${file}" does not have the shape of a run record`,
    found: `${shaped.faults.length} ${shaped.faults.length === 1 ? 'fault' : 'faults'}, the first at ${first?.path === '' ? 'the root' : first?.path}: ${first?.message}`,
    hint: `was "${basename(file)}" edited? take it from a backup, or run again`,
  })
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  )
}
