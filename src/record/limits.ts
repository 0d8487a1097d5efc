/**
 * What an answer, a flow and an environment may be at most, so that each is read and judged in little time whatever a server or
 * a file holds. docs/limits.md is printed from it.
 */

export interface Limit {
  readonly value: number
  readonly unit: string
  /** what is limited */
  readonly of: string
  /** what happens beyond it */
  readonly beyond: string
}

const TOO_LARGE = 'the step is errored with `TOO_LARGE`'

export const LIMITS = {
  headerBytes: { value: 256 * 1024, unit: 'bytes', of: 'the headers of an answer', beyond: TOO_LARGE },
  codings: { value: 4, unit: 'codings', of: 'an answer that is compressed, one within the other', beyond: TOO_LARGE },
  jsonDepth: {
    value: 100,
    unit: 'levels',
    of: 'JSON in an answer: objects and lists within each other',
    beyond: TOO_LARGE,
  },
  jsonItems: { value: 50_000, unit: 'members and elements', of: 'JSON in an answer', beyond: TOO_LARGE },
  bodyBytes: {
    value: 10 * 1024 * 1024,
    unit: 'bytes',
    of: 'the body of an answer, as it arrives and when it is decoded',
    beyond: TOO_LARGE,
  },
  shownBody: {
    ...{ value: 256 * 1024, unit: 'bytes', of: 'a body whose text stands in the record' },
    beyond: 'its size stands there alone; it is judged as any other',
  },
  recordedBody: {
    ...{ value: 64 * 1024, unit: 'characters', of: 'a body in the record' },
    beyond: 'its beginning stands in the record, with its size and that it was cut',
  },
  quoted: {
    ...{ value: 16 * 1024, unit: 'characters', of: 'a value of an answer that a check or a comparison quotes' },
    beyond: 'its kind and its size are told instead',
  },
  scopes: {
    ...{ value: 1000, unit: 'scopes', of: 'an answer whose scopes stand in the record one by one' },
    beyond: 'the check of scopes tells how many there are, and the first of them',
  },
} as const satisfies Readonly<Record<string, Limit>>

const REFUSED = 'the flow is refused with its place; nothing is sent'
const UNKNOWN = 'the step does not go by it, and the record says why'
const NOT_JUDGED = 'it is not judged, and the reason stands in the record'

/** Of flow files, API descriptions, environment files, and what a flow may ask for. */
export const FILE_LIMITS = {
  environmentBytes: {
    ...{ value: 1024 * 1024, unit: 'bytes', of: 'an environment file' },
    beyond: 'it is refused; nothing is sent',
  },
  flowCharacters: {
    ...{ value: 4 * 1024 * 1024, unit: 'characters', of: 'a flow or an API description' },
    beyond: 'it is refused; nothing is sent',
  },
  flowValues: {
    ...{ value: 50_000, unit: 'values', of: 'a flow: objects, lists, texts and numbers, counted once for each alias' },
    beyond: REFUSED,
  },
  yamlDepth: {
    ...{ value: 100, unit: 'levels', of: 'a flow or an API description: objects and lists within each other' },
    beyond: REFUSED,
  },
  yamlAliases: {
    ...{ value: 100, unit: 'times', of: 'how often the aliases of a YAML file may multiply it' },
    beyond: REFUSED,
  },
  flowProblems: {
    ...{ value: 200, unit: 'mistakes', of: 'the structure of a flow, each said with its place' },
    beyond: 'reading ends there',
  },
  documents: {
    ...{ value: 200, unit: 'files', of: 'a folder that is searched for a document by its `$self`' },
    beyond: 'those after them are not looked at',
  },
  importBytes: {
    ...{ value: 64 * 1024 * 1024, unit: 'bytes', of: 'a collection or environment of Postman' },
    beyond: 'it is refused; nothing is written',
  },
  importDepth: {
    ...{ value: 100, unit: 'levels', of: 'a collection of Postman: objects and lists within each other' },
    beyond: 'it is refused; nothing is written',
  },
  importValues: {
    ...{ value: 200_000, unit: 'values', of: 'a collection of Postman' },
    beyond: 'it is refused; nothing is written',
  },
  rowsBytes: {
    ...{ value: 16 * 1024 * 1024, unit: 'bytes', of: 'a file of rows (`--data`)' },
    beyond: 'it is refused; nothing is sent',
  },
  rows: {
    ...{ value: 10_000, unit: 'rows', of: 'a run with `--data` or `--repeat`' },
    beyond: 'it is refused; nothing is sent',
  },
  references: {
    ...{ value: 16, unit: 'references', of: 'a `$ref` of an API description that leads to another one' },
    beyond: 'the operation is refused with its place; nothing is sent',
  },
  lintedDepth: {
    ...{ value: 32, unit: 'levels', of: 'a folder that `thredd lint` searches: folders within each other' },
    beyond: 'those below are not looked at',
  },
  lintedFiles: {
    ...{ value: 50_000, unit: 'files', of: 'a folder that `thredd lint` searches' },
    beyond: 'those after them are not looked at',
  },
  expressionCharacters: { value: 8 * 1024, unit: 'characters', of: 'an expression', beyond: REFUSED },
  templateCharacters: { value: 1024 * 1024, unit: 'characters', of: 'a text with expressions in it', beyond: REFUSED },
  conditionCharacters: { value: 8 * 1024, unit: 'characters', of: 'a condition', beyond: REFUSED },
  conditionDepth: { value: 64, unit: 'levels', of: 'a condition: parentheses and negations', beyond: REFUSED },
  conditionChain: {
    ...{ value: 8, unit: 'comparisons', of: 'a condition: comparisons in a row without parentheses' },
    beyond: REFUSED,
  },
  jsonPathCharacters: { value: 8 * 1024, unit: 'characters', of: 'a JSONPath query', beyond: REFUSED },
  jsonPathParts: {
    ...{ value: 256, unit: 'parts', of: 'a JSONPath query: segments, selectors, brackets and operators' },
    beyond: REFUSED,
  },
  jsonPathLevels: { value: 100, unit: 'levels', of: 'a value that a JSONPath query is applied to', beyond: UNKNOWN },
  jsonPathVisits: { value: 10_000_000, unit: 'nodes', of: 'what one JSONPath query visits', beyond: UNKNOWN },
  patternCharacters: { value: 2_000, unit: 'characters', of: 'a regular expression', beyond: REFUSED },
  patternInstructions: {
    ...{ value: 100_000, unit: 'instructions', of: 'all regular expressions of a flow, compiled' },
    beyond: REFUSED,
  },
  patternWork: {
    ...{ value: 100_000_000, unit: 'instructions times characters', of: 'the patterns that are tried on one answer' },
    beyond: NOT_JUDGED,
  },
  schemaSteps: {
    ...{ value: 1_000_000, unit: 'keywords', of: 'what a schema judges of one answer' },
    beyond: NOT_JUDGED,
  },
  formatCharacters: {
    ...{ value: 64 * 1024, unit: 'characters', of: 'a text that is compared with the `format` of its schema' },
    beyond: NOT_JUDGED,
  },
  schemaDepth: { value: 1_000, unit: 'schemas', of: 'schemas within each other in one answer', beyond: NOT_JUDGED },
  violations: {
    ...{ value: 50, unit: 'violations', of: 'one answer, each said with its place' },
    beyond: 'their number is said',
  },
  steps: {
    ...{ value: 1000, unit: 'steps', of: 'one workflow with those that it runs, each repetition counted' },
    beyond: 'the workflow ends with `STEP_BUDGET`, and its steps marked `finally` run',
  },
  retries: { value: 1000, unit: 'retries', of: 'the `retryLimit` of a retry', beyond: REFUSED },
  stepTimeout: { value: 3_600_000, unit: 'ms', of: 'the `timeout` of a step', beyond: REFUSED },
  nestedWorkflows: {
    ...{ value: 32, unit: 'workflows', of: 'workflows that run within each other' },
    beyond: 'it ends with `STEP_BUDGET`',
  },
  retryWait: {
    ...{ value: 120_000, unit: 'ms', of: 'the wait before a retry, whatever the server or the flow asks for' },
    beyond: 'the retry goes out then',
  },
  lastSteps: {
    ...{ value: 30_000, unit: 'ms', of: 'the steps marked `finally` together, once the run is interrupted' },
    beyond: 'they end too, but for a call that changes a client and has been sent',
  },
} as const satisfies Readonly<Record<string, Limit>>
