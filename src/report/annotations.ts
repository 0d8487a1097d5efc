/** The findings as annotations for a CI system, which shows each at its line of the flow. */
import { createHash } from 'node:crypto'
import { commandMessage, commandProperty } from '../record/foreign.ts'
import { commandsAbout } from '../record/hints.ts'
import type { RecordHead, WorkflowRecord } from '../record/index.ts'
import { rowsOf } from './accepted.ts'
import { areAccepted } from './answer.ts'
import { type Finding, findingOfWorkflow, findingsOf, textOf } from './findings.ts'
import { decidedBy } from './proofs.ts'
import { workflowInWords } from './words.ts'

interface Annotation {
  /** a notice for a failure that the users of the project accept */
  readonly level: 'error' | 'warning' | 'notice'
  readonly file: string
  readonly line: number
  readonly title: string
  readonly message: string
}

/** GitHub workflow commands, one a line, for standard output; those of the steps, then the warnings of the run. */
export function githubAnnotations(head: RecordHead, workflows: Iterable<WorkflowRecord>): string[] {
  return [
    ...Array.from(
      annotations(head, workflows),
      ({ level, file, line, title, message }) =>
        `::${level} file=${commandProperty(file)},line=${line},title=${commandProperty(title)}::${commandMessage(message)}`,
    ),
    // In class mock they are about files that every job makes anew.
    ...(head.environment.class === 'mock' ? [] : head.warnings).map(
      (warning) => `::warning title=thredd::${commandMessage(warning)}`,
    ),
  ]
}

export const GITLAB_FILE = 'gl-code-quality-report.json'

/** GitLab's Code Quality report (a subset of CodeClimate), for `artifacts: reports: codequality`. */
export function* gitlabCodeQuality(head: RecordHead, workflows: Iterable<WorkflowRecord>): Generator<string> {
  const issues = Array.from(annotations(head, workflows), ({ level, file, line, title, message }) => ({
    description: `${title}: ${message}`,
    check_name: title,
    fingerprint: createHash('sha256').update(`${file}:${line}:${title}`).digest('hex'),
    severity: ({ error: 'major', warning: 'minor', notice: 'info' } as const)[level],
    location: { path: file, lines: { begin: line } },
  }))
  yield `${JSON.stringify(issues, null, 2)}\n`
}

function* annotations(head: RecordHead, workflows: Iterable<WorkflowRecord>): Generator<Annotation> {
  const rows = head.decisions === undefined ? [] : rowsOf(head, workflows)
  for (const workflow of workflows) {
    const { workflowId } = workflow
    const command = commandsAbout(workflow.row, head.environment)
    for (const step of workflow.steps)
      for (const finding of findingsOf(step, command))
        yield annotation(
          { ...finding, at: finding.at ?? step.at },
          [workflowInWords(workflow), step.stepId],
          areAccepted(decidedBy(workflowId, step, finding.checks), rows),
        )
    const own = findingOfWorkflow(workflow)
    if (own !== undefined) yield annotation(own, [workflowInWords(workflow)])
  }
}

function annotation(finding: Finding, where: readonly string[], isAccepted = false): Annotation {
  const { standing, about, at } = finding
  return {
    level: standing === 'warn' ? 'warning' : isAccepted ? 'notice' : 'error',
    file: at?.file ?? '',
    line: at?.line ?? 1,
    title: [...where, about].join(' / '),
    message: textOf(finding),
  }
}
