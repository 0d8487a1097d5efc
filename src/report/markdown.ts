/** The report in one screen, for pull requests and job summaries. Values stand in code, where Markdown means nothing. */
import type { RunRecord } from '../record/index.ts'
import { type Account, account, type Finding } from './account.ts'
import { count } from './words.ts'

/** A comment holds 65,536 characters; beyond this nobody reads on. */
const MOST_FINDINGS = 50
const MOST_WORKFLOWS = 200

export function* markdown(record: RunRecord): Generator<string> {
  const said = account(record)
  const { answer, findings, complete, workflows } = said
  const more = sum(said.findingCounts) - MOST_FINDINGS
  const sign = { good: '✅', caution: '⚠️', bad: '❌', unknown: '❔' }[answer.tone]
  yield `${[
    `## ${sign} May we go live? ${answer.headline}`,
    answer.because.map((reason) => `- ${plain(reason)}`).join('\n'),
    `**${complete ? 'COMPLETE' : 'PARTIAL'}** · ${record.verdict} · environment ${inCode(record.environment.name)} (${record.environment.class}) · ${plain(record.startedAt)} · run ${inCode(record.runId)}`,
    table(
      ['workflow', 'verdict', 'steps', 'checks', 'failed', 'warnings', 'ms'],
      workflows
        .slice(0, MOST_WORKFLOWS)
        .map(({ workflowId, status, durationMs, stepCounts, checkCounts }) => [
          inCode(workflowId),
          status,
          String(sum(stepCounts)),
          String(sum(checkCounts)),
          String(checkCounts.fail),
          String(checkCounts.warn),
          String(Math.round(durationMs)),
        ]),
    ),
    ...(workflows.length <= MOST_WORKFLOWS ? [] : [`… and ${workflows.length - MOST_WORKFLOWS} more in report.html`]),
    ...(findings.length === 0 ? [] : ['### Findings', findings.slice(0, MOST_FINDINGS).map(finding).join('\n')]),
    ...(more <= 0 ? [] : [`… and ${more} more in report.html`]),
    ...(said.notices.length === 0
      ? []
      : [
          '### To be done by a person',
          said.notices.map(({ workflowId, text }) => `- ${inCode(workflowId)}: ${plain(text)}`).join('\n'),
        ]),
    '### Requirements',
    requirements(said),
    ...(record.identities.length === 0
      ? []
      : [
          '### Certificates',
          table(
            ['identity', 'days left', 'until'],
            record.identities.map(({ name, daysLeft, notAfter }) => [inCode(name), String(daysLeft), plain(notAfter)]),
          ),
        ]),
    '_The result of automated tests, not a certification. Secrets are replaced by fingerprints._',
  ].join('\n\n')}\n`
}

function finding({ standing, workflowId, at, title, expected, found, remedy, clauses, requirements }: Finding): string {
  const where = at === undefined ? workflowId : `${workflowId} / ${at.stepId}`
  const word = { fail: '❌ **failed**', warn: '⚠️ warning', inconclusive: '❔ no verdict' }[standing]
  const pair =
    expected === undefined || found === undefined ? [] : [`  expected ${inCode(expected)}, found ${inCode(found)}`]
  const rest = [...(remedy === undefined ? [] : [`  ${plain(remedy)}`])]
  return [
    `- ${word} ${inCode(where)}: ${inCode(title)}${clauses.length === 0 ? '' : ` (${clauses.map(plain).join(', ')})`}`,
    ...pair,
    ...(requirements.length === 0 ? [] : [`  requirements: ${requirements.map(({ id }) => plain(id)).join(', ')}`]),
    ...rest,
  ].join('  \n')
}

function requirements({ requirements }: Account): string {
  const groups = Map.groupBy(requirements, ({ standing }) => standing)
  const gaps = groups.get('gap') ?? []
  return [
    [...groups].map(([standing, rows]) => `${standing}: ${rows.length}`).join(' · '),
    ...(gaps.length === 0
      ? []
      : [
          `<details><summary>${count(gaps.length, 'gap')}: requirements without a check</summary>\n`,
          ...gaps.map(({ requirement }) => `- ${requirement.id} ${plain(requirement.text)}`),
          '\n</details>',
        ]),
  ].join('\n')
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, one) => total + one, 0)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const LONGEST = 300

/** A fence longer than any run of backticks within; one line. */
function inCode(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Bidi_Control}]+/gu, ' ').trim()
  const shown = line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}…`
  const longest = Math.max(0, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  const pad = longest > 0 || shown === '' ? ' ' : ''
  return `${fence}${pad}${shown}${pad}${fence}`
}

/** Prose of our own or of a flow: no tag, no link, no emphasis, no mention of a person. */
function plain(text: string): string {
  return text
    .replace(/[\s\p{Cc}\p{Bidi_Control}]+/gu, ' ')
    .replace(/[\\`*_[\]<>#~|&]/g, '\\$&')
    .replace(/@(?=\w)/g, '@\u200B')
}
