/**
 * Merges the records of the flow files of a vitest run into one for each project, and writes it like that of `thredd run`. The
 * records are meta data of the test files, so that blob reports of other machines contain them too.
 */
import { randomBytes } from 'node:crypto'
import { relative, resolve } from 'node:path'
import type { TestModule } from 'vitest/node'
import { line, oneLine } from '../../record/foreign.ts'
import { exitCodeOf, type RunRecord, verdictOf } from '../../record/index.ts'
import { createArtifacts } from '../../report/artifacts.ts'
import { type FormatName, USUAL_FORMATS } from '../../report/index.ts'
import { redactionOf } from '../../report/merge.ts'
import { noticeOf } from '../../report/notice.ts'
import { writeReports } from '../../report/write.ts'
import { runFolder } from '../../run/index.ts'
import { Redactor } from '../../secret/index.ts'

interface ReportOptions {
  /** names, in the order of the configuration */
  readonly projects: readonly string[]
  readonly root: string
  readonly out: string
  readonly formats?: readonly FormatName[] | undefined
  readonly log: (text: string) => void
}

export async function report(
  modules: readonly TestModule[],
  { projects, root, out, formats = [], log }: ReportOptions,
): Promise<void> {
  // The project of the real environment is the last one, so that "latest" points to it.
  for (const name of projects) {
    const list = modules.filter(({ project }) => project.name === name)
    const records = list
      .toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1))
      .flatMap((module) => module.meta().thredd ?? [])
    const record = merged(records)
    if (record === undefined) continue
    const folder = runFolder(new Date(record.startedAt), name, record.runId)
    // The workers have already searched their records for secrets, which are not known here.
    const artifacts = await createArtifacts(resolve(root, out), folder, {
      redactor: new Redactor(randomBytes(32)),
      warn: (text) => log(oneLine(text)),
    })
    const { workflows, ...head } = record
    const codeQuality = process.env.GITLAB_CI === 'true'
    const file = await writeReports(head, workflows, {
      artifacts,
      formats: [...USUAL_FORMATS, ...formats],
      codeQuality,
    })
    const notices = workflows.flatMap((workflow) => noticeOf(workflow, head.environment) ?? [])
    for (const notice of new Set(notices)) log(line`  next ${notice}`)
    log(line`${name}: ${head.verdict}, ${relative(root, file)}`)
  }
}

/** Lists are joined, each row once; everything else is taken from the run that began first. */
function merged(records: readonly RunRecord[]): RunRecord | undefined {
  const [first] = records.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
  if (first === undefined) return undefined
  const names = new Set(records.flatMap((record) => Object.keys(record) as (keyof RunRecord)[]))
  const lists = [...names].filter((name) => records.some((record) => Array.isArray(record[name])))
  const rows = (name: keyof RunRecord) => records.flatMap((record) => (record[name] ?? []) as readonly unknown[])
  const joined = Object.fromEntries(lists.map((name) => [name, distinct(rows(name))])) as Partial<RunRecord>
  const start = Date.parse(first.startedAt)
  const ends = records.map((record) => Date.parse(record.startedAt) + record.durationMs)
  return {
    ...first,
    ...joined,
    // A flow counts as left out where every record says so; a part of a flow where the record of its file does.
    leftOut: joined.leftOut?.filter(
      (name) => name.includes(' / ') || records.every((record) => record.leftOut?.includes(name)),
    ),
    durationMs: Math.max(...ends) - start,
    redaction: redactionOf(records, first),
    ...verdictOf((joined.workflows ?? []).map(exitCodeOf)),
  }
}

function distinct(rows: readonly unknown[]): unknown[] {
  return [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()]
}
