/** Errors as data of the record. */
import { ExpressionError } from '../flow/expression/expression.ts'
import { bugOf, type Problem, ToolError } from '../record/errors.ts'
import type { Redactor } from '../secret/index.ts'

/** Every error becomes data, so that what the run has done is put away before it ends. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ToolError) return error.problems[0]
  if (error instanceof ExpressionError) return { code: 'VALUE_UNDEFINED', message: error.message, hint: error.hint }
  return bugOf(error)
}

/** The same as the record may have it. */
export function redactedProblem(error: unknown, redactor: Redactor): Problem {
  try {
    return redactor.record(problemOf(error))
  } catch (other) {
    // Nothing of an error that cannot be redacted may be shown.
    return bugOf(new Error(other instanceof Error ? other.name : ''))
  }
}
