/**
 * The records of the flow files of a vitest run, merged to one for each project and written as `thredd run` writes its own.
 * They travel as meta data of the files, so that blobs of other machines hold them too.
 */
import { randomBytes } from 'node:crypto'
import { relative, resolve } from 'node:path'
import type { TestModule } from 'vitest/node'
import { exitCodeOf, type RunRecord, verdictOf } from '../../record/index.ts'
import { createArtifacts } from '../../report/artifacts.ts'
import { writeReports } from '../../report/write.ts'
import { runFolder } from '../../run/index.ts'
import { Redactor } from '../../secret/index.ts'

interface Surroundings {
  /** names, in the order of the configuration */
  readonly projects: readonly string[]
  readonly root: string
  readonly out: string
  readonly log: (text: string) => void
}

export async function report(
  modules: readonly TestModule[],
  { projects, root, out, log }: Surroundings,
): Promise<void> {
  // The real environment stands last, and "latest" leads to it.
  for (const name of projects) {
    const list = modules.filter(({ project }) => project.name === name)
    const records = list
      .toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1))
      .flatMap((module) => module.meta().thredd ?? [])
    const record = merged(records)
    if (record === undefined) continue
    const folder = runFolder(new Date(record.startedAt), name, record.runId)
    // The secrets of the runs are gone with the workers, which searched what they handed over.
    const artifacts = await createArtifacts(resolve(root, out), folder, new Redactor(randomBytes(32)))
    const { workflows, ...head } = record
    const file = await writeReports(head, workflows, { artifacts, codeQuality: process.env.GITLAB_CI === 'true' })
    // On the twin there is nothing that a person must do.
    const notified = head.counterparty === 'network' ? workflows : []
    for (const notice of new Set(notified.flatMap((workflow) => workflow.notice ?? []))) log(`  next ${notice}`)
    log(`${name}: ${head.verdict}, ${relative(root, file)}`)
  }
}

/** The lists of all, each row once; what a run has one of is that of the first to begin. */
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
    // A whole flow is left out where no file ran it; what is left out of a flow, only its own file knows.
    leftOut: joined.leftOut?.filter(
      (name) => name.includes(' / ') || records.every((record) => record.leftOut?.includes(name)),
    ),
    durationMs: Math.max(...ends) - start,
    redaction: redactionOf(records, first),
    ...verdictOf((joined.workflows ?? []).map(exitCodeOf)),
  }
}

function redactionOf(records: readonly RunRecord[], first: RunRecord): RunRecord['redaction'] {
  const sum = (count: (redaction: RunRecord['redaction']) => number | undefined) =>
    records.reduce((total, { redaction }) => total + (count(redaction) ?? 0), 0)
  const rules = new Set(records.flatMap(({ redaction }) => Object.keys(redaction.replaced ?? {})))
  return {
    ...first.redaction,
    secretsKnown: sum(({ secretsKnown }) => secretsKnown),
    replaced: Object.fromEntries([...rules].map((rule) => [rule, sum(({ replaced }) => replaced?.[rule])])),
    cardNumbers: sum(({ cardNumbers }) => cardNumbers),
  }
}

function distinct(rows: readonly unknown[]): unknown[] {
  return [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()]
}
