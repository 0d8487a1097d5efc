/** The client identities that the settings name: for each a certificate with its key, or one PKCS#12 file. */
import type { IdentitySpec } from '../identity/certificate.ts'
import { type IdentityPart, identityPartOf, identitySetting } from '../identity/settings.ts'
import type { Problem } from '../record/errors.ts'
import { Secret } from '../secret/index.ts'
import { chosenOf, pathOf, reveal, type Setting, type Settings } from './settings.ts'
import { IDENTITY_FOR } from './variables.ts'

const MEMBERS = {
  CERT_FILE: 'certificateFile',
  CERT: 'certificateText',
  KEY_FILE: 'keyFile',
  KEY: 'keyText',
  PFX_FILE: 'pfxFile',
  PFX: 'pfxText',
  PFX_ALIAS: 'pfxAlias',
  PASSPHRASE: 'passphrase',
} as const satisfies Record<IdentityPart, keyof IdentitySpec>

/** What an identity is made of, each as a path or as text. */
const MATERIALS = [
  ['CERT_FILE', 'CERT'],
  ['KEY_FILE', 'KEY'],
  ['PFX_FILE', 'PFX'],
] as const

/** By name. What is wrong with one is added to `problems`. */
export function identitiesOf(settings: Settings, problems: Problem[]): Map<string, IdentitySpec> {
  const firsts = new Map<string, Setting>()
  for (const [key, setting] of settings) {
    const name = identityPartOf(key)?.identity
    if (name !== undefined && !firsts.has(name)) firsts.set(name, setting)
  }
  const specs = new Map<string, IdentitySpec>()
  for (const [name, first] of firsts) {
    const materials = MATERIALS.flatMap((parts) => {
      const chosen = chosenOf(
        settings,
        parts.map((part) => identitySetting(name, part)),
        problems,
      )
      return chosen === undefined ? [] : [chosen]
    })
    const kinds = materials.map((key) => identityPartOf(key)?.part as IdentityPart)
    const others = (['PFX_ALIAS', 'PASSPHRASE'] as const).filter((part) => settings.has(identitySetting(name, part)))
    const problem = incompleteness(name, kinds)
    if (problem !== undefined) problems.push({ ...problem, at: first.origin.at })
    const members = [...kinds, ...others].map((part) => [MEMBERS[part], partOf(settings, name, part)])
    specs.set(name, { name, ...Object.fromEntries(members) })
  }
  return specs
}

/** By source, lower-case, as IDENTITY_FOR_<SOURCE> says; one that is not configured is a problem. */
export function identitiesBySource(
  settings: Settings,
  identities: ReadonlyMap<string, IdentitySpec>,
  problems: Problem[],
): ReadonlyMap<string, string> {
  const bySource = new Map<string, string>()
  for (const [key, setting] of settings) {
    const source = IDENTITY_FOR.pattern.exec(key)?.[1]
    if (source === undefined) continue
    const name = reveal(setting.value).toLowerCase().replaceAll('_', '-')
    if (name !== 'none' && !identities.has(name)) {
      problems.push({
        code: 'ENV_INVALID',
        message: `${key} names identity "${name}", which is not configured`,
        at: setting.origin.at,
        expected: `one of ${[...identities.keys(), 'none'].join(', ')}`,
        hint: `set ${identitySetting(name, 'CERT_FILE')} and ${identitySetting(name, 'KEY_FILE')}`,
      })
    }
    bySource.set(source.toLowerCase(), name)
  }
  return bySource
}

function partOf(settings: Settings, name: string, part: IdentityPart): string | Secret | undefined {
  const setting = settings.get(identitySetting(name, part))
  return setting?.value instanceof Secret || part === 'PFX_ALIAS' ? setting?.value : pathOf(setting)
}

function incompleteness(name: string, set: readonly IdentityPart[]): Problem | undefined {
  const isPfx = set.some((part) => part.startsWith('PFX'))
  if (isPfx ? set.length === 1 : set.length === 2) return undefined
  const setting = (part: IdentityPart) => identitySetting(name, part)
  return {
    code: 'ENV_INVALID',
    message: `identity "${name}" needs one certificate with its key`,
    expected: `${setting('CERT_FILE')} with ${setting('KEY_FILE')} (the same file, if it holds both), or ${setting('PFX_FILE')} alone`,
    found:
      set.length === 0
        ? `only ${setting('PASSPHRASE')}`
        : `${set.length === 1 ? 'only ' : ''}${set.map(setting).join(', ')}`,
  }
}
