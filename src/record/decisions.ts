/** What the users of a project decided about requirements: the file decisions.<environment>.yaml, and what a record keeps of it. */
import { suggestion } from './errors.ts'
import { REQUIREMENTS, type Requirement } from './requirements.ts'
import { z } from './shape.ts'

const text = z.string({ error: 'it must be a text' }).check(z.regex(/\S/, { error: 'it must not be empty' }))

/** In UTC. */
const day = z.iso.date({ error: 'it must be a date, such as 2027-03-31' })

/** A deviation that somebody has accepted for a time. */
export const acceptance = z.strictObject({
  /** ids of the catalogue */
  requirements: z
    .array(text, { error: 'it must be a list of requirement ids' })
    .check(z.minLength(1, { error: 'it must name at least one requirement' })),
  reason: text,
  owner: text,
  /** the last day on which it counts, in UTC */
  until: day,
})

/** What Thredd has confirmed of a requirement that no run can decide. */
export const confirmation = z.strictObject({
  /** an id of the catalogue */
  requirement: text,
  /** who at Thredd said so */
  who: text,
  date: day,
  note: text,
  /** where it is written: a ticket or a mail */
  reference: text,
})

/** What somebody has looked at, of a requirement that a person decides. */
export const review = z.strictObject({ requirement: text, reviewer: text, date: day, note: text })

export const signature = z.strictObject({ name: text, role: text, date: day, note: z.optional(text) })

export const baselineId = z.string({ error: 'it must be a text' }).check(
  z.regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, {
    error: 'it must be the id of a run, as its report has it',
  }),
)

const listOf = <T extends z.ZodMiniType>(entry: T) => z.optional(z.array(entry, { error: 'it must be a list' }))

export const decisionsFile = z.strictObject(
  {
    accepted: listOf(acceptance),
    confirmations: listOf(confirmation),
    reviews: listOf(review),
    /** the run that later ones are compared with */
    baseline: z.optional(baselineId),
    'sign-off': listOf(signature),
  },
  { error: 'it must be an object' },
)

export type Acceptance = z.infer<typeof acceptance>
export type Confirmation = z.infer<typeof confirmation>
export type Review = z.infer<typeof review>
export type Signature = z.infer<typeof signature>

/** What a list of the file may say of a requirement, by who decides it. Undefined where it may. */
const OBJECTIONS: Readonly<
  Record<'accepted' | 'confirmations' | 'reviews', Readonly<Partial<Record<Requirement['by'], string>>>>
> = {
  accepted: {
    tool: 'is not decided by a run, so there is nothing to accept: the tests of this tool decide it',
    thredd: 'is not decided by a run, so there is nothing to accept: only Thredd can decide it',
    person: 'is not decided by a run, so there is nothing to accept: a person decides it',
  },
  confirmations: {
    run: 'is decided by a run, so nobody can confirm it in its place',
    tool: 'is decided by the tests of this tool, so nobody can confirm it in their place',
  },
  reviews: {
    run: 'is decided by a run, so nobody can review it in its place',
    tool: 'is decided by the tests of this tool, so nobody can review it in their place',
    thredd: 'cannot be reviewed: only Thredd can tell',
  },
}

const REMEDIES: Readonly<Record<Requirement['by'], string>> = {
  run: 'take it out; where no run can test it for now, write it under "accepted"',
  tool: 'take it out',
  thredd: 'write under "confirmations" who at Thredd said so',
  person: 'write it under "reviews" or "confirmations"',
}

/** Why a list of the file may not name this id. */
export function faultOfId(
  id: string,
  list: keyof typeof OBJECTIONS,
): { readonly message: string; readonly hint: string } | undefined {
  const requirement = REQUIREMENTS.find((one) => one.id === id)
  if (requirement === undefined)
    return {
      message: `there is no requirement "${id}"`,
      hint: suggestion(
        id,
        REQUIREMENTS.map((one) => one.id),
      ),
    }
  const objection = OBJECTIONS[list][requirement.by]
  return objection === undefined ? undefined : { message: `"${id}" ${objection}`, hint: REMEDIES[requirement.by] }
}
