/** The client identities that the settings name: for each a certificate with its key, or one PFX file. */
import type { IdentitySpec } from '../identity/certificate.ts'
import { type IdentityPart, identityPartOf, identitySetting } from '../identity/settings.ts'
import type { Problem } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { pathOf, type Setting, type Settings, secretOf } from './settings.ts'

const MEMBERS = {
  CERT_FILE: 'certificateFile',
  KEY_FILE: 'keyFile',
  PFX_FILE: 'pfxFile',
  PASSPHRASE: 'passphrase',
} as const

const FILES = ['CERT_FILE', 'KEY_FILE', 'PFX_FILE'] as const

type Draft = { -readonly [K in keyof IdentitySpec]: IdentitySpec[K] }

/** By name. What is wrong with one is added to `problems`. */
export function identitiesOf(settings: Settings, problems: Problem[]): Map<string, IdentitySpec> {
  const specs = new Map<string, Draft>()
  const firsts = new Map<string, Setting>()
  for (const [key, setting] of settings) {
    const found = identityPartOf(key)
    if (found === undefined) continue
    const { identity: name, part } = found
    const spec = specs.get(name) ?? { name }
    if (part === 'PASSPHRASE') spec.passphrase = secretOf(setting) as Secret
    else spec[MEMBERS[part]] = pathOf(setting) as string
    specs.set(name, spec)
    if (!firsts.has(name)) firsts.set(name, setting)
  }
  for (const spec of specs.values()) {
    const problem = incompleteness(spec)
    if (problem !== undefined) problems.push({ ...problem, at: firsts.get(spec.name)?.origin.at })
  }
  return specs
}

function incompleteness(spec: IdentitySpec): Problem | undefined {
  const { name } = spec
  const set = FILES.filter((part) => spec[MEMBERS[part]] !== undefined)
  const isWhole = spec.pfxFile === undefined ? set.length === 2 : set.length === 1
  if (isWhole) return undefined
  const setting = (part: IdentityPart) => identitySetting(name, part)
  return {
    code: 'ENV_INVALID',
    message: `identity "${name}" needs one certificate with its key`,
    expected: `${setting('CERT_FILE')} with ${setting('KEY_FILE')}, or ${setting('PFX_FILE')} alone`,
    found:
      set.length === 0
        ? `only ${setting('PASSPHRASE')}`
        : `${set.length === 1 ? 'only ' : ''}${set.map(setting).join(', ')}`,
  }
}
