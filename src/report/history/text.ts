/** The joined runs of an environment as Markdown and as JSON. */
import { markdown as escaped, markdownCode } from '../../record/foreign.ts'
import { COLUMNS, columnOf, countsInWords } from '../gate.ts'
import { count } from '../words.ts'
import type { RunFacts } from './facts.ts'
import type { History } from './index.ts'

/** In characters. */
const LONGEST = 300

export function* historyMarkdown(history: History): Generator<string> {
  const { answer, environment, runs, gate, requirements, notes, leftOut } = history
  const sign = { good: '✅', caution: '⚠️', bad: '❌', unknown: '❔' }[answer.tone]
  const groups = Map.groupBy(requirements, columnOf)
  const gone = requirements.filter(({ noLongerTested }) => noLongerTested !== undefined)
  const sections = [
    `## ${sign} May we go live on ${inCode(environment.name)}? ${answer.headline}`,
    escaped(answer.lede),
    answer.reasons
      .map(({ text, detail }) => `- ${inCode(text)}${detail === undefined ? '' : `: ${inCode(detail)}`}`)
      .join('\n'),
    `${count(runs.length, 'run')} joined, ${leftOut.length} left out · ${countsInWords(gate.all)}`,
    ...(gone.length === 0 ? [] : [`### No longer tested\n\n${listOf(gone)}`]),
    ...changesIn(history),
    ...(notes.length === 0 ? [] : [notes.map((one) => `- ${inCode(one)}`).join('\n')]),
    '### Requirements',
    ...COLUMNS.flatMap((column) => {
      const rows = groups.get(column) ?? []
      return rows.length === 0 ? [] : [`#### ${column} (${rows.length})\n\n${listOf(rows)}`]
    }),
  ]
  yield `${sections.filter((one) => one !== '').join('\n\n')}\n`
}

function listOf(rows: History['requirements']): string {
  return rows
    .map(({ requirement: { id }, because, decidedIn: [first] }) => {
      const by = first === undefined ? inCode(because) : `${day(first.run)} ${first.run.head.runId.slice(-6)}`
      return `- ${id}: ${by}`
    })
    .join('\n')
}

function changesIn({ baseline }: History): readonly string[] {
  if (baseline === undefined) return []
  const { columns, others } = baseline.changes
  const lines = [
    ...columns.map(({ from, to, ids }) => `- ${from} → ${to}: ${ids.join(', ')}`),
    ...others.map((one) => `- ${inCode(one)}`),
  ]
  return [`### Changes since ${day(baseline.run)}\n\n${lines.length === 0 ? 'None.' : lines.join('\n')}`]
}

/** Plain data, for other programs. */
export function historyJson(history: History): unknown {
  const {
    environment,
    now,
    answer,
    exitCode,
    gate,
    requirements,
    runs,
    leftOut,
    notes,
    baseline,
    decisions,
    validUntil,
  } = history
  return {
    ...{ environment, at: now, answer, exitCode, validUntil, gate, notes, leftOut, decisions },
    requirements: requirements.map((row) => ({
      id: row.requirement.id,
      area: row.requirement.area,
      level: row.requirement.level,
      verdict: columnOf(row),
      ...{ standing: row.standing, because: row.because },
      decidedIn: row.decidedIn.map(({ run, step }) => ({ ...refOf(run), step: `${step.workflowId}/${step.stepId}` })),
      last: row.last.map(({ run, column }) => ({ ...refOf(run), verdict: column })),
      ...(row.noLongerTested && {
        noLongerTested: { ...refOf(row.noLongerTested.run), verdict: row.noLongerTested.column },
      }),
      ...(row.unansweredIn && { unansweredIn: refOf(row.unansweredIn) }),
    })),
    runs: runs.map((run) => ({
      ...refOf(run),
      ...{ folder: run.folder, verdict: run.head.verdict, exitCode: run.head.exitCode, complete: run.complete },
      workflows: [...new Set(run.workflows.map(({ workflowId }) => workflowId))],
    })),
    ...(baseline && { baseline: { ...refOf(baseline.run), changes: baseline.changes } }),
  }
}

function refOf({ head: { runId, startedAt } }: RunFacts) {
  return { runId, startedAt }
}

function day({ head }: RunFacts): string {
  return head.startedAt.slice(0, 10)
}

function inCode(text: string): string {
  return markdownCode(text, LONGEST)
}
