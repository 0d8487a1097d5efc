/** Writes what is kept of a run. */
import { MESSAGE_FILE, RECORD_FILE, type RecordHead, type WorkflowRecord } from '../record/index.ts'
import { GITLAB_FILE, gitlabCodeQuality } from './annotations.ts'
import type { Artifacts } from './artifacts.ts'
import { FORMATS, type FormatName, USUAL_FORMATS } from './index.ts'
import { recordJson } from './json.ts'
import { reportedRun } from './summary.ts'

/** The record comes first; `latest` points at the run when all files are there. Returns the path of the record. */
export async function writeReports(
  head: RecordHead,
  workflows: Iterable<WorkflowRecord>,
  {
    artifacts,
    formats = USUAL_FORMATS,
    codeQuality = false,
  }: {
    readonly artifacts: Artifacts
    /** report files to write beside the record */
    readonly formats?: readonly FormatName[] | undefined
    readonly codeQuality?: boolean | undefined
  },
): Promise<string> {
  const record = await artifacts.write(RECORD_FILE, recordJson(head, workflows))
  const run = reportedRun(head, workflows)
  for (const name of new Set(formats)) await artifacts.write(FORMATS[name].file, FORMATS[name].convert(run))
  const messages = (head.messagesToThredd ?? []).map(({ text }) => text)
  if (messages.length > 0) await artifacts.write(MESSAGE_FILE, [messages.join('\n---\n\n')])
  if (codeQuality) await artifacts.write(GITLAB_FILE, gitlabCodeQuality(head, workflows))
  await artifacts.publish()
  return record
}
