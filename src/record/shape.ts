/** Checks data from outside (settings, stored records) against a zod schema. The only file that imports zod. */
import * as z from 'zod/mini'

export { z }

export interface Fault {
  /** member names and indexes from the root, joined with dots; empty for the root */
  readonly path: string
  readonly message: string
}

export type Shaped<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/** Checks `value`; never throws. Messages never repeat the value, which may be a secret. */
export function shapeOf<T>(schema: z.ZodMiniType<T>, value: unknown): Shaped<T> {
  const result = schema.safeParse(value)
  if (result.success) return { ok: true, value: result.data }
  return {
    ok: false,
    faults: result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'there is no such member' }))
        : { path: issue.path.join('.'), message: issue.message },
    ),
  }
}
