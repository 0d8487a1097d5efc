/** Reads decisions.<environment>.yaml, which lies beside the environment files of the user's project. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { readDocument } from '../flow/document/document.ts'
import type { Document, Path } from '../flow/document/model.ts'
import {
  type Acceptance,
  acceptance,
  type Confirmation,
  confirmation,
  decisionsFile,
  faultOfId,
  type Review,
  review,
  type Signature,
  signature,
} from '../record/decisions.ts'
import { inReadingOrder, isNonEmpty, nearest, type Problem, type SourceLocation, ToolError } from '../record/errors.ts'
import { shapeOf, type z } from '../record/shape.ts'

export interface Decisions {
  /** its name, without the folder */
  readonly file: string
  /** of its text, hex */
  readonly sha256: string
  readonly accepted: Acceptance[]
  readonly confirmations: Confirmation[]
  readonly reviews: Review[]
  readonly signOff: Signature[]
  /** the id of a run */
  readonly baseline?: string
}

/** Undefined where the project has no such file. Throws ToolError DECISIONS with every problem of the file. */
export async function readDecisions(
  { name, folder }: Pick<Environment, 'name' | 'folder'>,
  now: Date = new Date(),
): Promise<Decisions | undefined> {
  const file = `decisions.${name}.yaml`
  const path = join(folder, file)
  if (!existsSync(path)) return undefined
  const document = await readDocument(path, 'decisions file').catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error
    throw new ToolError(inDecisions(error.problems), error)
  })
  const shaped = shapeOf(decisionsFile, document.data ?? {})
  if (!shaped.ok) throw new ToolError(inDecisions(shaped.faults.map((fault) => misshapen(document, fault))))
  const problems = [...faultsOfIds(shaped.value, document), ...datesInFuture(shaped.value, document, now)]
  if (isNonEmpty(problems)) throw new ToolError(inDecisions(problems))
  const { accepted = [], confirmations = [], reviews = [], 'sign-off': signOff = [], baseline } = shaped.value
  const said = { accepted, confirmations, reviews, signOff, ...(baseline === undefined ? {} : { baseline }) }
  return { file, sha256: document.sha256, ...said }
}

type File = z.infer<typeof decisionsFile>

function inDecisions(problems: readonly Omit<Problem, 'code'>[]): [Problem, ...Problem[]] {
  const all = problems.map((problem): Problem => ({ ...problem, code: 'DECISIONS' }))
  return [...inReadingOrder(all)] as [Problem, ...Problem[]]
}

/** Of the file, and of an entry of each of its lists. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(decisionsFile.shape),
  accepted: Object.keys(acceptance.shape),
  confirmations: Object.keys(confirmation.shape),
  reviews: Object.keys(review.shape),
  'sign-off': Object.keys(signature.shape),
}

function misshapen(document: Document, { path, message }: { path: string; message: string }): Omit<Problem, 'code'> {
  const parts: Path = path === '' ? [] : path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
  const isPresent = valueAt(document.data, parts) !== undefined
  const unknown = message === 'there is no such member'
  const known = MEMBERS[parts.length > 1 ? String(parts[0]) : ''] ?? []
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

/** A requirement that is named in a way it cannot be, or twice: accepted twice, or confirmed and reviewed. */
function faultsOfIds(file: File, document: Document): readonly Omit<Problem, 'code'>[] {
  const { accepted = [], confirmations = [], reviews = [] } = file
  const named = [
    ...accepted.flatMap(({ requirements }, entry) =>
      requirements.map((id, index) => ({
        id,
        list: 'accepted' as const,
        path: ['accepted', entry, 'requirements', index],
      })),
    ),
    ...(
      [
        ['confirmations', confirmations],
        ['reviews', reviews],
      ] as const
    ).flatMap(([list, entries]) =>
      entries.map(({ requirement: id }, entry) => ({ id, list, path: [list, entry, 'requirement'] })),
    ),
  ]
  const seen = new Map<string, SourceLocation>()
  return named.flatMap(({ id, list, path }): readonly Omit<Problem, 'code'>[] => {
    const at = document.at(path)
    const earlier = seen.get(id)
    seen.set(id, at)
    const fault = faultOfId(id, list)
    if (fault !== undefined) return [{ ...fault, at }]
    const what = list === 'accepted' ? 'accepted' : 'confirmed or reviewed'
    return earlier === undefined ? [] : [{ message: `"${id}" is ${what} twice: line ${earlier.line} has it too`, at }]
  })
}

/** The first place on Earth to have a new day is so many hours before UTC. */
const EARLIEST_ZONE = 14

function datesInFuture(file: File, document: Document, now: Date): readonly Omit<Problem, 'code'>[] {
  const today = new Date(now.getTime() + EARLIEST_ZONE * 60 * 60 * 1000).toISOString().slice(0, 10)
  return (['confirmations', 'reviews', 'sign-off'] as const).flatMap((list) =>
    (file[list] ?? []).flatMap(({ date }, entry) =>
      date <= today
        ? []
        : [
            {
              message: `"${list}[${entry}].date" cannot be used: the day has not come yet`,
              expected: `${today} or earlier`,
              found: date,
              hint: 'write the day on which it was said',
              at: document.at([list, entry, 'date']),
            },
          ],
    ),
  )
}
