/**
 * A flow file as a test module: a suite for each workflow, a test for each step and each case. Every test stands on the line
 * that its step has in the flow file, so that editors and vitest's own messages lead there.
 */

import { nestedSteps } from '../../flow/arazzo/needs.ts'
import { type Flow, readFlow, type Step, type Workflow } from '../../flow/index.ts'
import { inReadingOrder, type SourceLocation, ToolError } from '../../record/errors.ts'
import type { Settings } from './tests.ts'

/** `self` is the module that the text imports; `files` are those that the flow depends on. The module of a flow with problems throws them. */
export async function moduleOf(
  settings: Settings,
  self: string,
): Promise<{ readonly code: string; readonly files: readonly string[] }> {
  const flow = await readFlow(settings.file).catch((error: unknown) => {
    if (error instanceof ToolError) return inReadingOrder(error.problems)
    throw error
  })
  const imports = (name: string) => `import { ${name} } from ${JSON.stringify(self)};`
  const text = JSON.stringify(settings)
  if (!('workflows' in flow)) {
    const problems = JSON.stringify(flow)
    return { code: `${imports('flowProblems')} throw await flowProblems(${problems}, ${text});\n`, files: [] }
  }
  const preamble = [
    "import { afterAll, beforeAll, suite, test } from 'vitest';",
    imports('flowTests'),
    `const flow = await flowTests(${text});`,
    'beforeAll(({}, file) => flow.begin(file), 0);',
    'afterAll(({}, file) => flow.end(file), 0);',
  ].join(' ')
  const lines: string[] = []
  for (const { at, code } of [{ at: START, code: preamble }, ...flow.workflows.flatMap((one) => piecesOf(flow, one))]) {
    const index = at.line - 1
    while (lines.length <= index) lines.push('')
    lines[index] = `${(lines[index] ?? '').padEnd(at.column - 1)}${code}`
  }
  return { code: `${lines.join('\n')}\n`, files: flow.apis }
}

interface Piece {
  readonly at: Pick<SourceLocation, 'line' | 'column'>
  readonly code: string
}

const START = { line: 1, column: 1 }

/** The steps of a workflow that a step runs stand where that step stands: their own file is no test file. */
function piecesOf(flow: Flow, workflow: Workflow): Piece[] {
  const id = JSON.stringify(workflow.workflowId)
  const tests = nestedSteps(flow, workflow)
    .flatMap(({ id: name, step, outermost: { at } }) =>
      namesOf(name, step).map((one): Piece => {
        const text = JSON.stringify(one)
        return { at, code: `test(${text}, flow.step(${id}, ${text}), 0);` }
      }),
    )
    // In the order of the file. Steps that always run may be executed later; their tests wait for them.
    .sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
  return [
    { at: workflow.at, code: `suite(${id}, () => {` },
    ...tests,
    { at: tests.at(-1)?.at ?? workflow.at, code: `afterAll(() => flow.workflow(${id}), 0); });` },
  ]
}

/** A test for each case of a step, and one for the step, whose id in the record is `name`. */
function namesOf(name: string, step: Step): readonly string[] {
  const before = name.slice(0, name.length - step.stepId.length)
  return step.kind === 'call' ? [...step.cases.map((one) => `${before}${one.step.stepId}`), name] : [name]
}
