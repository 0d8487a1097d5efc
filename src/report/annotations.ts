/** What went wrong as annotations of the CI system, which shows them at the line of the flow. Nothing for a clean run. */
import { createHash } from 'node:crypto'
import { errorBeyondSteps, type RunRecord, type StepRecord, type WorkflowRecord } from '../record/index.ts'

interface Finding {
  readonly level: 'error' | 'warning'
  readonly file: string
  readonly line: number
  readonly title: string
  readonly message: string
}

/** GitHub workflow commands, one a line, for standard output: findings at their lines, then the warnings of the run. */
export function githubAnnotations(record: RunRecord): string[] {
  const data = (text: string) =>
    // The log shows them as a terminal would, and no server may write there as it likes.
    text
      .toWellFormed()
      .replace(/(?![\r\n\t])[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, '\uFFFD')
      .replaceAll('%', '%25')
      .replaceAll('\r', '%0D')
      .replaceAll('\n', '%0A')
  const property = (text: string) => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
  return [
    ...Array.from(
      findings(record),
      ({ level, file, line, title, message }) =>
        `::${level} file=${property(file)},line=${line},title=${property(title)}::${data(message)}`,
    ),
    // On the twin they are about files that are made anew in every job.
    ...(record.environment.class === 'mock' ? [] : record.warnings).map(
      (warning) => `::warning title=thredd::${data(warning)}`,
    ),
  ]
}

/** GitLab's Code Quality report (a subset of CodeClimate), for `artifacts: reports: codequality`. */
export function* gitlabCodeQuality(record: RunRecord): Generator<string> {
  const issues = Array.from(findings(record), ({ level, file, line, title, message }) => ({
    description: `${title}: ${message}`,
    check_name: title,
    fingerprint: createHash('sha256').update(`${file}:${line}:${title}`).digest('hex'),
    severity: level === 'error' ? 'major' : 'minor',
    location: { path: file, lines: { begin: line } },
  }))
  yield `${JSON.stringify(issues, null, 2)}\n`
}

function* findings({ workflows }: RunRecord): Generator<Finding> {
  for (const workflow of workflows) {
    for (const step of workflow.steps) yield* findingsOf(step, workflow.workflowId)
    yield* findingBeyondSteps(workflow)
  }
}

function findingBeyondSteps(workflow: WorkflowRecord): Finding[] {
  const error = errorBeyondSteps(workflow)
  if (error === undefined) return []
  const { file, line } = error.at ?? { file: workflow.flow.file, line: 1 }
  return [{ level: 'error', file, line, title: workflow.workflowId, message: error.message }]
}

function findingsOf(step: StepRecord, workflowId: string): Finding[] {
  const checks = step.checks
    .filter((check) => check.status !== 'pass')
    .map((check): Finding => {
      const { file, line } = check.at ?? step.at
      return {
        level: check.status === 'fail' ? 'error' : 'warning',
        file,
        line,
        title: `${workflowId} / ${step.stepId} / ${check.id}`,
        message: `${check.title}: expected ${check.expected}, found ${check.actual}`,
      }
    })
  if (step.error === undefined) return checks
  const { file, line } = step.error.at ?? step.at
  const error: Finding = {
    level: 'error',
    file,
    line,
    title: `${workflowId} / ${step.stepId}`,
    message: step.error.message,
  }
  return [...checks, error]
}
