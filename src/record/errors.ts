/**
 * Every error that is expected to happen. A failed check is none: it is data in the record. Whatever else is thrown is a bug
 * (exit code 70).
 */

import { oneLine } from './foreign.ts'

/** A place in a file; line and column count from 1. */
export interface SourceLocation {
  readonly file: string
  readonly line: number
  readonly column: number
}

type Exit = 1 | 2 | 3 | 4 | 70

/** Each error code with its exit code and meaning. docs/errors.md is printed from this table. */
export const CODES = {
  USAGE: { exit: 2, means: 'the command line cannot be understood' },
  ENV_FILE: { exit: 2, means: 'an environment file is missing or cannot be read' },
  ENV_MISSING: { exit: 2, means: 'a setting the run needs is not set' },
  ENV_INVALID: { exit: 2, means: 'a setting has a value that cannot be used' },
  ROWS: { exit: 2, means: 'the list of rows cannot be used, or a row of it; nothing was sent' },
  IMPORT: { exit: 2, means: 'a file of another tool cannot be imported; nothing was written' },
  DECISIONS: { exit: 2, means: 'the file decisions.<environment>.yaml cannot be read, or says what it may not' },
  IDENTITY_UNREADABLE: { exit: 2, means: 'a certificate, key or CA file is missing or cannot be parsed' },
  IDENTITY_MISMATCH: { exit: 2, means: 'the private key does not belong to the certificate' },
  IDENTITY_USAGE: { exit: 2, means: 'a certificate does not allow its use by a TLS client' },
  IDENTITY_EXPIRED: { exit: 2, means: 'a certificate is expired or not yet valid' },
  IDENTITY_MISSING: { exit: 2, means: 'a step needs a certificate that the environment does not name' },
  KEY_UNUSABLE: { exit: 2, means: 'the signing key is missing or does not fit its algorithm' },
  FLOW_FILE: { exit: 2, means: 'a flow or API description cannot be found or read' },
  FLOW_SYNTAX: { exit: 2, means: 'a file is not valid YAML or JSON' },
  FLOW_STRUCTURE: { exit: 2, means: 'a document does not have the shape that Arazzo, OpenAPI or x-dcr demands' },
  FLOW_REFERENCE: { exit: 2, means: 'something is named that does not exist' },
  FLOW_EXPRESSION: { exit: 2, means: 'a runtime expression or condition cannot be parsed' },
  FLOW_UNSUPPORTED: { exit: 2, means: 'a valid feature that this version does not support' },
  INPUT_MISSING: { exit: 2, means: 'a workflow input has no value in any of its sources' },
  INPUT_INVALID: { exit: 2, means: 'a workflow input has a value its schema refuses' },
  HOST_NOT_ALLOWED: { exit: 2, means: 'a URL points outside ALLOWED_HOSTS; nothing was sent' },
  EFFECT_UNPLANNED: { exit: 2, means: 'a request would change more than its flow shows; nothing was sent' },
  NOT_OWN_CLIENT: {
    exit: 2,
    means: 'a workflow would delete a client that it has not registered and that was not confirmed; nothing was sent',
  },
  CLIENT_CHANGED: {
    exit: 3,
    means: 'another run or row registered or changed the client after this one was let begin; nothing was sent',
  },
  VALUE_UNDEFINED: { exit: 3, means: 'an expression has no value at the moment it is needed' },
  DNS: { exit: 3, means: 'a host name does not resolve' },
  NOT_TESTED: { exit: 3, means: 'no step of the workflow was run, so that nothing is known' },
  CONNECT: { exit: 3, means: 'no connection to the host' },
  TIMEOUT: { exit: 3, means: 'the answer did not come in time' },
  TLS_SERVER_UNTRUSTED: { exit: 3, means: 'the server certificate was refused by us; nothing was sent' },
  TLS_CLIENT_REFUSED: { exit: 3, means: 'the server, or a proxy in front of it, refused our certificate' },
  TLS_HANDSHAKE: { exit: 3, means: 'the TLS handshake failed for another reason' },
  PEER_CLOSED: { exit: 3, means: 'the server closed the connection before a whole answer arrived' },
  TOO_LARGE: { exit: 3, means: 'the answer is larger than the limit' },
  ANSWER_UNREADABLE: {
    exit: 3,
    means: 'the answer is coded in a way that is not known, or has a number that cannot be kept',
  },
  THROTTLED: { exit: 3, means: 'the server asks to slow down (429)' },
  SERVER_ERROR: { exit: 3, means: 'the server answered with a 5xx, which is no verdict' },
  STEP_BUDGET: { exit: 3, means: 'a workflow did not end within its budget of steps' },
  PROTOCOL: { exit: 3, means: 'the answer is not HTTP, or breaks a rule of it' },
  PRECONDITION: { exit: 3, means: 'a workflow is not given what must be so before it begins' },
  WAITING_FOR_THREDD: { exit: 4, means: 'all that a program can do is done; the rest only Thredd can do' },
  INTERRUPTED: { exit: 3, means: 'the run was stopped before it ended' },
  VAULT_KEY: { exit: 2, means: 'the vault key is missing or malformed' },
  VAULT_FLEETING: {
    exit: 2,
    means: 'the vault or its key would be lost with the machine; nothing was sent',
  },
  VAULT_UNWRITABLE: { exit: 2, means: 'the vault cannot be written; nothing was sent' },
  VAULT_FAILED: {
    exit: 3,
    means:
      'the vault could not be written any more, or was gone, once the run had begun; a call whose answer could not be kept stays open',
  },
  VAULT_UNREADABLE: { exit: 2, means: 'a vault record cannot be decrypted or is damaged' },
  REPORT_UNWRITABLE: { exit: 3, means: 'the report could not be written' },
  SECRET_LEAK: { exit: 70, means: 'an artifact would have held a secret, and was not kept' },
  RECORD_UNREADABLE: { exit: 2, means: 'a stored run is missing, cut, or of a version that is not known' },
  PACK_UNREADABLE: { exit: 2, means: 'a folder or archive is no evidence pack, or cannot be read' },
  INTERNAL: { exit: 70, means: 'a bug of this program; the run went on to its end, and what it did is in the record' },
  TWIN: { exit: 3, means: 'the offline twin could not start' },
} as const satisfies Record<string, { exit: Exit; means: string }>

export type ErrorCode = keyof typeof CODES

/** One thing that is wrong: what, where, what was expected and found, and what to do. Never holds a secret. */
export interface Problem {
  readonly code: ErrorCode
  /** lower-case, names in double quotes, no full stop */
  readonly message: string
  readonly at?: SourceLocation | undefined
  readonly expected?: string | undefined
  readonly found?: string | undefined
  readonly hint?: string | undefined
}

/** All problems that were found at once, and the warnings that came up before them. */
export class ToolError extends Error {
  readonly problems: readonly [Problem, ...Problem[]]
  readonly warnings: readonly string[]

  constructor(problems: readonly [Problem, ...Problem[]], cause?: unknown, warnings: readonly string[] = []) {
    super(problems.map((problem) => problem.message).join('; '), cause === undefined ? undefined : { cause })
    this.name = 'ToolError'
    this.problems = problems
    this.warnings = warnings
  }

  get code(): ErrorCode {
    return this.problems[0].code
  }

  /** What the process ends with: the worst of the problems' codes. */
  get exitCode(): number {
    return worstExit(this.problems.map(({ code }) => CODES[code].exit))
  }
}

/** Shorthand for the usual case of a single problem. */
export function fail(problem: Problem, cause?: unknown): never {
  throw new ToolError([problem], cause)
}

/** An error that nobody foresaw. Texts in quotes may be parts of an answer, and stay out of the message. */
export function bugOf(error: unknown): Problem {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
  const said = message.replace(/(["'`]).*?\1/gs, '…').slice(0, 200)
  const frames = [...stack.matchAll(/\n\s+at [^\n]*?((?:src|dist|mocks)\/[^\s):]+:\d+)/g)].slice(0, 3)
  return {
    code: 'INTERNAL',
    message: `this is a bug: ${name}${said === '' ? '' : ` (${said})`}`,
    found: frames.length === 0 ? undefined : `${frames.map(([, place]) => place).join(' < ')}`,
    hint: 'please report it, with this message',
  }
}

/**
 * Does the work; where that throws a ToolError, the error has these warnings too. A warning, such as one about a setting whose
 * name is misspelt, often names the cause of the problem.
 */
export async function withWarnings<T>(warnings: readonly string[], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    throw new ToolError(error.problems, error.cause, [...warnings, ...error.warnings])
  }
}

/** The result of the work, or the problems that a ToolError has. */
export async function attempt<T>(work: () => T | Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work(), problems: [] }
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return { value: undefined, problems: error.problems }
  }
}

export type Attempt<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly value: undefined; readonly problems: readonly Problem[] }

export function isNonEmpty<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0
}

/**
 * Sorted as a person works through them: file by file, from top to bottom. Problems in the file `last` come last, since those
 * in other files may be their cause.
 */
export function inReadingOrder(problems: readonly Problem[], last?: string): readonly Problem[] {
  const files = [...new Set(problems.map(({ at }) => at?.file))]
  const rank = ({ at }: Problem) => (last !== undefined && at?.file === last ? files.length : files.indexOf(at?.file))
  return problems.toSorted(
    (a, b) => rank(a) - rank(b) || (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0),
  )
}

/** The exit code of several outcomes: the first of 70, 2, 1, 3, 4, 0 that occurred. */
export function worstExit(codes: Iterable<number>): number {
  const seen = new Set(codes)
  return [70, 2, 1, 3, 4].find((code) => seen.has(code)) ?? 0
}

/**
 * A problem as a compiler would print it, for a terminal: title, file:line:column, the source line with a caret, expected, got, hint.
 * `source` is the text of the file that `problem.at` points into, if the caller has it; its line is cut to `columns`.
 */
export function render(
  problem: Omit<Problem, 'code'> & { readonly code: string; readonly level?: 'error' | 'warning' | 'hint' },
  source?: string,
  columns = Number.POSITIVE_INFINITY,
): string {
  const lines = [`${problem.level ?? 'error'}[${problem.code}]: ${oneLine(problem.message)}`]
  const { at } = problem
  if (at !== undefined) {
    lines.push(`  --> ${oneLine(at.file)}:${at.line}:${at.column}`)
    const written = source?.split(/\r?\n/)[at.line - 1]
    const text = written === undefined ? undefined : oneLine(written)
    if (text !== undefined) {
      const gutter = ' '.repeat(String(at.line).length)
      const widest = Math.min(WIDEST, Math.max(20, columns - gutter.length - 5))
      const { line, caret } = excerpt(text, at.column, widest)
      lines.push(`${gutter} |`, `${at.line} | ${line}`, `${gutter} | ${caret}`)
    }
  }
  if (problem.expected !== undefined) lines.push(`   = expected ${oneLine(problem.expected)}`)
  if (problem.found !== undefined) lines.push(`   = got ${oneLine(problem.found)}`)
  if (problem.hint !== undefined) lines.push(`   = ${oneLine(problem.hint)}`)
  return lines.join('\n')
}

/** At most so many characters of a source line are shown, since a file may be one long line. */
const WIDEST = 160

/** The line, and the caret for the line below it. The indent keeps its tabs, so that the caret stands at the right place. */
function excerpt(text: string, column: number, widest: number): { line: string; caret: string } {
  const start = text.length <= widest ? 0 : Math.max(0, Math.min(column - Math.floor(widest / 2), text.length - widest))
  const before = start === 0 ? '' : '…'
  const after = start + widest >= text.length ? '' : '…'
  const indent = before + text.slice(start, column - 1)
  return {
    line: `${before}${text.slice(start, start + widest)}${after}`,
    caret: `${indent.replace(/[^\t]/g, ' ')}^`,
  }
}

/** The candidate with the fewest mistakes, if that is at most one for each three letters. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(word.length < 3 ? 0 : 1, Math.floor(word.length / 3)) + 1
  let looked = 0
  for (const candidate of candidates) {
    if (++looked > MOST_CANDIDATES) break
    if (Math.abs(candidate.length - word.length) >= least) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** A hint: the name that was probably meant, else all names. */
export function suggestion(word: string, names: Iterable<string>): string {
  const known = [...names]
  const meant = nearest(word, known)
  if (meant !== undefined) return `did you mean "${meant}"?`
  if (known.length === 0) return 'none is declared'
  return `known: ${enumerated(known, MOST_NAMES)}`
}

/** Names with commas; of more than `most` the first, and how many more there are. */
export function enumerated(names: readonly string[], most = 20): string {
  const rest = names.length - most
  return rest <= 1 ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${rest} more`
}

/** How many names are compared and shown at most, since a hostile file may have any number of them. */
const MOST_CANDIDATES = 1000
const MOST_NAMES = 50

/** Letters inserted, left out, replaced, or swapped with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let above: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = swapped ? (above[j - 2] ?? 0) + 1 : substitution
      next.push(Math.min(substitution, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    above = row
    row = next
  }
  return row[b.length] ?? 0
}
