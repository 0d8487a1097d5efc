/** The names of the settings that hold a client identity: `TRANSPORT_<PART>` for "transport", else `IDENTITY_<NAME>_<PART>`. */

const PARTS = ['CERT_FILE', 'CERT', 'KEY_FILE', 'KEY', 'PFX_FILE', 'PFX', 'PFX_ALIAS', 'PASSPHRASE'] as const
export type IdentityPart = (typeof PARTS)[number]

/** `IDENTITY_FOR_<SOURCE>` says which identity a source gets, so no identity has a name that begins with FOR. */
const SETTING = new RegExp(`^(?:IDENTITY_(?!FOR_)([A-Z0-9_]+?)|TRANSPORT)_(${PARTS.join('|')})$`)

export function identitySetting(identity: string, part: IdentityPart): string {
  if (identity === 'transport') return `TRANSPORT_${part}`
  return `IDENTITY_${identity.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_${part}`
}

/** The identity a setting belongs to, and the part of it that the setting holds; undefined for any other setting. */
export function identityPartOf(
  setting: string,
): { readonly identity: string; readonly part: IdentityPart } | undefined {
  const match = SETTING.exec(setting)
  if (match === null) return undefined
  return { identity: (match[1] ?? 'transport').toLowerCase().replaceAll('_', '-'), part: match[2] as IdentityPart }
}

/** The names of all parts of the identity that a prefix such as `IDENTITY_OTHER` means. */
export function identitySettings(prefix: string): readonly string[] {
  return PARTS.map((part) => `${prefix}_${part}`)
}
