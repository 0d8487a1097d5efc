/**
 * Which requested scopes no role of the application covers, by the editable catalogue fixtures/roles/roles.json. Parts of it
 * are inferred, so the answer is a warning and never a refusal: the authorization server decides.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { enumerated, fail, nearest } from '../record/errors.ts'
import { readTextFile, whyUnread } from '../record/regular-file.ts'
import { shapeOf, z } from '../record/shape.ts'

const CATALOGUE = join('fixtures', 'roles', 'roles.json')

const catalogue = z.object({
  about: z.string(),
  roles: z.array(
    z.object({
      name: z.string(),
      mark: z.enum(['documented', 'inferred']),
      origin: z.string(),
      scopes: z.array(z.string()),
    }),
  ),
})

export type Role = z.infer<typeof catalogue>['roles'][number]

/** The scopes that one workflow asks for. */
export interface ScopeRequest {
  readonly workflowId: string
  readonly scopes: readonly string[]
  /** the roles of the application; undefined where ROLES is not set */
  readonly roles: readonly string[] | undefined
}

/** The catalogue of the first folder that has one. Throws ENV_INVALID for one that cannot be read as such. */
export async function readRoles(folders: readonly string[]): Promise<readonly Role[]> {
  const file = folders.map((folder) => join(folder, CATALOGUE)).find((one) => existsSync(one))
  if (file === undefined) return []
  const shaped = shapeOf(catalogue, parsed(textOf(file)))
  if (shaped.ok) return shaped.value.roles
  const [fault] = shaped.faults
  return fail({
    code: 'ENV_INVALID',
    message: `the role catalogue "${file}" cannot be used`,
    expected: fault && `${fault.path}: ${fault.message}`,
    hint: 'compare it with fixtures/roles/roles.json of the repository',
  })
}

/** The names in the value of ROLES; undefined where it is not set. */
export function rolesIn(setting: unknown): readonly string[] | undefined {
  return typeof setting === 'string' ? setting.split(/[\s,]+/).filter((role) => role !== '') : undefined
}

/** All that the roles cover, in the order of the alphabet; undefined where the catalogue says it of none of them. */
export function scopesOf(roles: readonly string[], catalogue: readonly Role[]): readonly string[] | undefined {
  const scopes = catalogue.filter(({ name }) => roles.includes(name)).flatMap((role) => role.scopes)
  return scopes.length === 0 ? undefined : [...new Set(scopes)].toSorted()
}

function textOf(file: string): string {
  try {
    return readTextFile(file)
  } catch (cause) {
    return fail(
      { code: 'ENV_INVALID', message: `the role catalogue "${file}" cannot be read: ${whyUnread(cause)}` },
      cause,
    )
  }
}

/** Without capitals, hyphens and underscores, in which the spellings of one role differ. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** A sentence for each role that the catalogue does not have. */
export function unknownRoles(roles: readonly string[], catalogue: readonly Role[]): readonly string[] {
  const unknown = new Set(roles.filter((name) => !catalogue.some((role) => role.name === name)))
  return [...unknown].map((name) => {
    const names = catalogue.map((role) => role.name)
    const meant = names.find((one) => plain(one) === plain(name)) ?? nearest(name, names)
    const words = `role "${name}" of ROLES is not in ${CATALOGUE}, so nothing is known of its scopes`
    return meant === undefined ? words : `${words}; did you mean "${meant}"?`
  })
}

/** Warnings for a person who can still stop the run. */
export function scopeWarnings(requests: readonly ScopeRequest[], catalogue: readonly Role[]): readonly string[] {
  const withoutRoles = requests.filter(({ roles }) => roles === undefined)
  return [
    ...(withoutRoles.length === 0
      ? []
      : [
          `ROLES is not set: the scopes of ${enumerated(withoutRoles.map(({ workflowId }) => `"${workflowId}"`))} were not compared with the roles of the application`,
        ]),
    ...unknownRoles(
      requests.flatMap(({ roles = [] }) => roles),
      catalogue,
    ),
    ...requests.flatMap(({ workflowId, scopes, roles }) => {
      const own = roles && catalogue.filter(({ name }) => roles.includes(name))
      const beyond = own === undefined ? [] : scopes.filter((scope) => !own.some((role) => role.scopes.includes(scope)))
      if (beyond.length === 0) return []
      const needed = catalogue.filter((role) => role.scopes.some((scope) => beyond.includes(scope)))
      const by = needed.map(({ name, mark }) => `${name} (${mark})`).join(', ')
      return [
        `"${workflowId}" asks for scopes that no role of ROLES covers: ${beyond.join(' ')}${by === '' ? '' : `; they belong to ${by}`}. Expect the server to refuse the registration or to leave them out`,
      ]
    }),
  ]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
