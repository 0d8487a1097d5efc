/** Reads decisions.<environment>.yaml, which lies beside the environment files of the user's project. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { type Document, type Path, readDocument } from '../flow/document/document.ts'
import { type Acceptance, decisionsFile, faultOfId } from '../record/decisions.ts'
import { inReadingOrder, isNonEmpty, nearest, type Problem, type SourceLocation, ToolError } from '../record/errors.ts'
import { shapeOf } from '../record/shape.ts'

export interface Decisions {
  /** its name, without the folder */
  readonly file: string
  /** of its text, hex */
  readonly sha256: string
  readonly accepted: readonly Acceptance[]
}

/** Undefined where the project has no such file. Throws ToolError DECISIONS with every problem of the file. */
export async function readDecisions({
  name,
  folder,
}: Pick<Environment, 'name' | 'folder'>): Promise<Decisions | undefined> {
  const file = `decisions.${name}.yaml`
  const path = join(folder, file)
  if (!existsSync(path)) return undefined
  const document = await readDocument(path, 'decisions file').catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error
    throw new ToolError(inDecisions(error.problems), error)
  })
  const shaped = shapeOf(decisionsFile, document.data ?? {})
  if (!shaped.ok) throw new ToolError(inDecisions(shaped.faults.map((fault) => misshapen(document, fault))))
  const { accepted = [] } = shaped.value
  const problems = faultsOfIds(accepted, document)
  if (isNonEmpty(problems)) throw new ToolError(inDecisions(problems))
  return { file, sha256: document.sha256, accepted }
}

function inDecisions(problems: readonly Omit<Problem, 'code'>[]): [Problem, ...Problem[]] {
  const all = problems.map((problem): Problem => ({ ...problem, code: 'DECISIONS' }))
  return [...inReadingOrder(all)] as [Problem, ...Problem[]]
}

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(decisionsFile.shape),
  accepted: ['requirements', 'reason', 'owner', 'until'],
}

function misshapen(document: Document, { path, message }: { path: string; message: string }): Omit<Problem, 'code'> {
  const parts: Path = path === '' ? [] : path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
  const isPresent = valueAt(document.data, parts) !== undefined
  const unknown = message === 'there is no such member'
  const known = MEMBERS[parts.length > 1 ? 'accepted' : ''] ?? []
  const meant = unknown ? nearest(String(parts.at(-1)), known) : undefined
  return {
    message: `${path === '' ? 'the decisions file' : `"${nameOf(parts)}"`} ${isPresent ? 'cannot be used' : 'is missing'}: ${message}`,
    at: isPresent && parts.length > 0 && unknown ? document.keyAt(parts) : document.at(parts),
    ...(unknown ? { hint: meant === undefined ? `known: ${known.join(', ')}` : `did you mean "${meant}"?` } : {}),
  }
}

/** "accepted[0].until" */
function nameOf(path: Path): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${part}`)).join('')
}

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined,
    data,
  )
}

function faultsOfIds(accepted: readonly Acceptance[], document: Document): readonly Omit<Problem, 'code'>[] {
  const seen = new Map<string, SourceLocation>()
  return accepted.flatMap(({ requirements }, entry) =>
    requirements.flatMap((id, index): readonly Omit<Problem, 'code'>[] => {
      const at = document.at(['accepted', entry, 'requirements', index])
      const earlier = seen.get(id)
      seen.set(id, at)
      if (earlier !== undefined) return [{ message: `"${id}" is accepted twice: line ${earlier.line} has it too`, at }]
      const fault = faultOfId(id)
      return fault === undefined ? [] : [{ ...fault, at }]
    }),
  )
}
