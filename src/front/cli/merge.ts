/** `thredd report merge`: one record and its reports from those of the shards of a list. Sends nothing. */
import { randomUUIDv7 } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { RECORD_FILE, verdictInWords } from '../../record/index.ts'
import { locateRun, readRecord } from '../../record/stored.ts'
import { USUAL_FORMATS } from '../../report/index.ts'
import { merged, type ShardRecord } from '../../report/merge.ts'
import { writeReports } from '../../report/write.ts'
import { runFolder } from '../../run/index.ts'
import { artifactsIn } from './artifacts.ts'
import type { Invocation, Program } from './command.ts'
import { formatsOf } from './formats.ts'

/** The exit code is that of the run that they stand for. */
export async function performMerge(invocation: Invocation, { here, project, write }: Program): Promise<number> {
  const [, ...words] = invocation.words
  if (words.length === 0)
    fail({
      code: 'USAGE',
      message: 'thredd report merge needs the records of the shards',
      expected: 'record.json files, their folders, or folders of reports, whose newest run counts',
    })
  const shards: ShardRecord[] = []
  for (const name of words) shards.push({ name, record: await readRecord(await recordOf(resolve(here, name))) })
  const runId = randomUUIDv7()
  const { head, workflows } = merged(shards, runId)
  const out = invocation.text('out')
  const reports = out === undefined ? resolve(project, 'reports') : resolve(here, out)
  const folder = join(reports, runFolder(new Date(head.startedAt), 'merged', runId))
  const file = await writeReports(head, workflows, {
    artifacts: await artifactsIn(folder, write),
    formats: [...USUAL_FORMATS, ...formatsOf(invocation)],
  })
  const { leftOut, notStarted, total } = head.rows ?? { leftOut: [], notStarted: [], total: 0 }
  const open = [
    ...(leftOut.length === 0 ? [] : [`${leftOut.length} left out`]),
    ...(notStarted.length === 0 ? [] : [`${notStarted.length} not started`]),
  ]
  write(
    line`${verdictInWords(head)}  ${shards.length} shards · ${[`${total} rows`, ...open].join(' · ')}\nrecord  ${relative(here, file)}\n`,
  )
  return head.exitCode
}

/** The record itself, that of a folder, or the newest in a folder of reports. */
async function recordOf(path: string): Promise<string> {
  const isRun = !existsSync(path) || /\.json$/.test(path) || existsSync(join(path, RECORD_FILE))
  return isRun ? await locateRun(path, path) : await locateRun(undefined, path)
}
