/** The seed file: further applications and roles of a twin, and the claims of their software statements. */
import sample from '../fixtures/thredd/ssa-claims-2024-08.json' with { type: 'json' }

export type Claims = Readonly<Record<string, unknown>> & {
  readonly org_id: string
  readonly software_id: string
  readonly client_id: string
}

export interface SeededApplication {
  /** the names of its files begin with it */
  readonly name: string
  readonly roles: readonly string[]
  /** the claims of its software statements */
  readonly claims: Claims
}

export interface Seed {
  readonly applications: readonly SeededApplication[]
  /** scopes by role, in place of the twin's own */
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** The roles that Thredd recommends for all endpoints, and the role of its own example. */
export const USUAL_ROLES: readonly string[] = ['ws', 'programme-manager', 'bulk-cards']

/** Claims that follow from others, that a hook sets, or that are set when the statement is read. */
const NOT_SEEDED = /jwks|^(?:iss|iat|status|org_status|sector_identifier_uri|software_statement_roles)$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** `twin` is the name of the environment file of the first application. */
const NAME = /^(?!twin$)[a-z0-9][a-z0-9-]{0,39}$/

/**
 * The seed of a file's text, `{"applications": [{"name", "org_id", "software_id", …}], "roles": {"role": ["scope"]}}`. Beside
 * its three members an application may have `roles`, `client_id` and further claims of a software statement; what is left
 * out is as in the documented sample. Throws a plain Error that names what is wrong.
 */
export function readSeed(text: string): Seed {
  const document: unknown = JSON.parse(text)
  if (!isObject(document)) throw new Error('the seed must be a JSON object')
  const { applications: entries = [], roles = {}, ...further } = document
  for (const unknown of Object.keys(further)) throw new Error(`the seed has no member "${unknown}"`)
  if (!Array.isArray(entries)) throw new Error('"applications" of the seed must be a list')
  if (!isObject(roles)) throw new Error('"roles" of the seed must be an object')
  const wrong = Object.entries(roles).find(([, scopes]) => !isListOfText(scopes))
  if (wrong !== undefined) throw new Error(`roles.${wrong[0]} of the seed must be a list of scopes`)
  const applications = entries.map((entry: unknown, index) => applicationOf(entry, `applications[${index}]`))
  const ids = applications.map(({ claims }) => claims)
  once(
    'name',
    applications.map(({ name }) => name),
  )
  for (const key of ['software_id', 'client_id'] as const)
    once(
      key,
      [sample.payload, ...ids].map((one) => one[key]),
    )
  return { applications, roles: roles as Seed['roles'] }
}

function once(key: string, values: readonly string[]): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index)
  if (twice !== undefined)
    throw new Error(
      `the seed has ${key} "${twice}" more than once, or it is that of an application the twin already has`,
    )
}

function applicationOf(entry: unknown, place: string): SeededApplication {
  if (!isObject(entry)) throw new Error(`${place} of the seed is not a JSON object`)
  const { name, roles = USUAL_ROLES, org_id, software_id, ...further } = entry
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new Error(`${place}.name of the seed must be of lower-case letters, digits and hyphens, and not "twin"`)
  }
  if (!isListOfText(roles)) throw new Error(`${place}.roles of the seed must be a list of roles`)
  for (const [key, value] of Object.entries({ org_id, software_id })) {
    if (typeof value !== 'string' || !UUID.test(value)) throw new Error(`${place}.${key} of the seed must be a UUID`)
  }
  for (const [key, value] of Object.entries(further)) {
    const usual = (sample.payload as Readonly<Record<string, unknown>>)[key]
    if (usual === undefined || NOT_SEEDED.test(key)) throw new Error(`${place}.${key} of the seed cannot be set`)
    if (kindOf(value) !== kindOf(usual)) throw new Error(`${place}.${key} of the seed must be ${kindOf(usual)}`)
  }
  const own = JSON.stringify({ ...sample.payload, client_name: name, org_name: name })
    .replaceAll(sample.payload.org_id, String(org_id))
    .replaceAll(sample.payload.software_id, String(software_id))
  return { name, roles, claims: { ...(JSON.parse(own) as Claims), ...further } }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return kindOf(value) === 'an object'
}

function isListOfText(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'string' ? 'a text' : typeof value === 'object' && value !== null ? 'an object' : 'another'
}
