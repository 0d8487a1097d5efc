/** The report on one screen, for pull requests and job summaries. Values stand in code spans, where Markdown has no meaning. */
import { markdown as escaped, markdownCode } from '../record/foreign.ts'
import { verdictInWords } from '../record/index.ts'
import type { Reason } from './answer.ts'
import { linesOf, type PlacedFinding, TURNS } from './findings.ts'
import { COLUMNS, columnOf, countsInWords } from './gate.ts'
import type { ReportedRun, Summary } from './summary.ts'
import { count, stepInWords, whoRan, workflowInWords } from './words.ts'

/** A comment on GitHub holds 65,536 characters. */
const MOST_FINDINGS = 50
const MOST_WORKFLOWS = 200

export function* markdown({ head, summary }: ReportedRun): Generator<string> {
  const { answer, complete } = summary
  const sign = { good: '✅', caution: '⚠️', bad: '❌', unknown: '❔' }[answer.tone]
  const sections = [
    `## ${sign} May we go live? ${answer.headline}`,
    escaped(answer.lede),
    answer.reasons.map(reason).join('\n'),
    `**${complete ? 'COMPLETE' : 'PARTIAL'}** · ${verdictInWords(head)} · environment ${inCode(head.environment.name)} (${head.environment.class}) · ${escaped(head.startedAt)} · run ${inCode(head.runId)}`,
    ...who(head),
    ...workflows(summary),
    ...findings(summary),
    ...differences(summary),
    ...notices(summary),
    '### Requirements',
    requirements(summary),
    ...certificates(head),
    '_The result of automated tests, not a certification. Secrets are replaced by fingerprints._',
  ]
  yield `${sections.join('\n\n')}\n`
}

function reason({ text, detail, turn }: Reason): string {
  const said = detail === undefined ? '' : `: ${inCode(detail)}`
  return `- ${inCode(text)}${said}${turn === undefined ? '' : ` · ${TURNS[turn]}`}`
}

function who(head: ReportedRun['head']): string[] {
  const rows = whoRan(head).map(([label, value]) => `${label} ${inCode(value)}`)
  return rows.length === 0 ? [] : [rows.join(' · ')]
}

function workflows({ workflows }: Summary): string[] {
  const rows = workflows
    .slice(0, MOST_WORKFLOWS)
    .map(({ status, durationMs, stepCounts, checkCounts, ...workflow }) => [
      inCode(workflowInWords(workflow)),
      status,
      String(sum(stepCounts)),
      String(sum(checkCounts)),
      String(checkCounts.fail),
      String(checkCounts.warn),
      String(Math.round(durationMs)),
    ])
  const more = workflows.length - MOST_WORKFLOWS
  return [
    table(['workflow', 'verdict', 'steps', 'checks', 'failed', 'warnings', 'ms'], rows),
    ...(more <= 0 ? [] : [`… and ${more} more in report.html`]),
  ]
}

function findings({ findings, findingCounts }: Summary): string[] {
  if (findings.length === 0) return []
  const more = sum(findingCounts) - MOST_FINDINGS
  return [
    '### Findings',
    findings.slice(0, MOST_FINDINGS).map(finding).join('\n'),
    ...(more <= 0 ? [] : [`… and ${more} more in report.html`]),
  ]
}

function differences({ differences }: Summary): string[] {
  if (differences.length === 0) return []
  const lines = differences.map(({ stepId, texts }) => `- ${inCode(stepId)}: ${texts.map(inCode).join(', ')}`)
  return ['### Registered otherwise than asked', lines.join('\n')]
}

function notices({ notices }: Summary): string[] {
  if (notices.length === 0) return []
  const lines = notices.map(({ workflowId, text }) => `- ${inCode(workflowId)}: ${escaped(text)}`)
  return ['### To be done by a person', lines.join('\n')]
}

function certificates({ identities }: ReportedRun['head']): string[] {
  if (identities.length === 0) return []
  const rows = identities.map(({ name, daysLeft, notAfter }) => [inCode(name), String(daysLeft), escaped(notAfter)])
  return ['### Certificates', table(['identity', 'days left', 'until'], rows)]
}

function finding(finding: PlacedFinding): string {
  const { standing, workflowId, step, requirements } = finding
  const where = step === undefined ? workflowId : stepInWords(step)
  const word = { fail: '❌ **failed**', warn: '⚠️ warning', inconclusive: '❔ no verdict' }[standing]
  // What servers and flows say stands in code spans; what we say of it is prose.
  const lines = linesOf(finding).map(({ label, text }) =>
    label === undefined ? inCode(text) : `${label}: ${escaped(text)}`,
  )
  const [first = '', ...rest] = lines
  return [
    `- ${word} ${inCode(where)}: ${first}`,
    ...rest.map((line) => `  ${line}`),
    ...(requirements.length === 0 ? [] : [`  requirements: ${requirements.map(({ id }) => escaped(id)).join(', ')}`]),
  ].join('  \n')
}

/** How many stand in which column, and which ones. */
function requirements({ requirements, gate }: Summary): string {
  const accepted = requirements.filter(({ standing }) => standing === 'accepted')
  const groups = Map.groupBy(requirements, columnOf)
  const rows = COLUMNS.flatMap((column) => {
    const found = groups.get(column) ?? []
    return found.length === 0
      ? []
      : [`- ${column} (${found.length}): ${found.map(({ requirement: { id } }) => id).join(', ')}`]
  })
  return [
    countsInWords(gate.all),
    '',
    ...accepted.map(({ requirement, because }) => `- ${requirement.id}: ${escaped(because)}`),
    `<details><summary>${count(requirements.length, 'requirement')}, each in one column</summary>\n`,
    ...rows,
    '\n</details>',
  ].join('\n')
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, one) => total + one, 0)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** in characters */
const LONGEST = 300

function inCode(text: string): string {
  return markdownCode(text, LONGEST)
}
