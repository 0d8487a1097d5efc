/** Failed checks, warnings and errors as annotations for a CI system, which shows each at its line of the flow. */
import { createHash } from 'node:crypto'
import { commandMessage, commandProperty } from '../record/foreign.ts'
import { errorBeyondSteps, type RecordHead, type StepRecord, type WorkflowRecord } from '../record/index.ts'

interface Annotation {
  readonly level: 'error' | 'warning'
  readonly file: string
  readonly line: number
  readonly title: string
  readonly message: string
}

/** GitHub workflow commands, one a line, for standard output; those of the steps, then the warnings of the run. */
export function githubAnnotations(head: RecordHead, workflows: Iterable<WorkflowRecord>): string[] {
  return [
    ...Array.from(
      annotations(workflows),
      ({ level, file, line, title, message }) =>
        `::${level} file=${commandProperty(file)},line=${line},title=${commandProperty(title)}::${commandMessage(message)}`,
    ),
    // In class mock they are about files that every job makes anew.
    ...(head.environment.class === 'mock' ? [] : head.warnings).map(
      (warning) => `::warning title=thredd::${commandMessage(warning)}`,
    ),
  ]
}

/** GitLab's Code Quality report (a subset of CodeClimate), for `artifacts: reports: codequality`. */
export function* gitlabCodeQuality(workflows: Iterable<WorkflowRecord>): Generator<string> {
  const issues = Array.from(annotations(workflows), ({ level, file, line, title, message }) => ({
    description: `${title}: ${message}`,
    check_name: title,
    fingerprint: createHash('sha256').update(`${file}:${line}:${title}`).digest('hex'),
    severity: level === 'error' ? 'major' : 'minor',
    location: { path: file, lines: { begin: line } },
  }))
  yield `${JSON.stringify(issues, null, 2)}\n`
}

function* annotations(workflows: Iterable<WorkflowRecord>): Generator<Annotation> {
  for (const workflow of workflows) {
    for (const step of workflow.steps) yield* stepAnnotations(step, workflow.workflowId)
    yield* ownErrorAnnotations(workflow)
  }
}

function ownErrorAnnotations(workflow: WorkflowRecord): Annotation[] {
  const error = errorBeyondSteps(workflow)
  if (error === undefined) return []
  const { file, line } = error.at ?? { file: workflow.flow.file, line: 1 }
  return [{ level: 'error', file, line, title: workflow.workflowId, message: error.message }]
}

function stepAnnotations(step: StepRecord, workflowId: string): Annotation[] {
  const checks = step.checks
    .filter((check) => check.status !== 'pass')
    .map((check): Annotation => {
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
  const error: Annotation = {
    level: 'error',
    file,
    line,
    title: `${workflowId} / ${step.stepId}`,
    message: step.error.message,
  }
  return [...checks, error]
}
