/** What the users of a project decided about requirements: the file decisions.<environment>.yaml, and what a record keeps of it. */
import { suggestion } from './errors.ts'
import { REQUIREMENTS } from './requirements.ts'
import { z } from './shape.ts'

const text = z.string({ error: 'it must be a text' }).check(z.regex(/\S/, { error: 'it must not be empty' }))

/** A deviation that somebody has accepted for a time. */
export const acceptance = z.strictObject({
  /** ids of the catalogue */
  requirements: z
    .array(text, { error: 'it must be a list of requirement ids' })
    .check(z.minLength(1, { error: 'it must name at least one requirement' })),
  reason: text,
  owner: text,
  /** the last day on which it counts, in UTC */
  until: z.iso.date({ error: 'it must be a date, such as 2027-03-31' }),
})

export const decisionsFile = z.strictObject(
  { accepted: z.optional(z.array(acceptance, { error: 'it must be a list' })) },
  { error: 'it must be an object' },
)

export type Acceptance = z.infer<typeof acceptance>

/** Why an id in the file cannot be accepted. Undefined for a requirement that a run decides. */
export function faultOfId(id: string): { readonly message: string; readonly hint: string } | undefined {
  const requirement = REQUIREMENTS.find((one) => one.id === id)
  if (requirement === undefined)
    return {
      message: `there is no requirement "${id}"`,
      hint: suggestion(
        id,
        REQUIREMENTS.map((one) => one.id),
      ),
    }
  if (requirement.by === 'run') return undefined
  const who = { tool: 'the tests of this tool decide', thredd: 'only Thredd can decide', person: 'a person decides' }
  return {
    message: `"${id}" is not decided by a run, so there is nothing to accept: ${who[requirement.by]} it`,
    hint: 'take it out',
  }
}
