/**
 * The preconditions that a workflow can name in `given`, as one table. On the embedded twin the run makes them true first;
 * elsewhere it looks the registration up in the vault and prints the rest for the user to check.
 */
import type { Command } from '../../record/hints.ts'

interface Row {
  /** one sentence for people, without its full stop */
  readonly means: string
  /** what to do on UAT or production where it is not so */
  readonly remedy: string | ((command: Command) => string)
  /** the flow that the run executes first to make it true on the embedded twin; the twin does the rest */
  readonly madeBy?: 'register'
  /** the role that the application then has, besides its others or alone */
  readonly role?: { readonly name: string; readonly alone?: true }
}

export const GIVEN = {
  registration: {
    means: 'a registration of this application is in the vault',
    remedy: (command) =>
      `register first with ${command('register')}, or bring registration_access_token and registration_client_uri with ${command('import')}`,
    madeBy: 'register',
  },
  signing_key_listed: {
    means: 'the keystore lists the public key of SIGNING_KEY_FILE under SIGNING_KID',
    remedy: (command) =>
      `upload the signing certificate in Thredd CA > App Certificates, or set SIGNING_KID to the KID that it shows; ${command('compareKeys')} reads the keystore`,
  },
  renewed_signing_key_listed: {
    means: 'the keystore lists the public key of RENEWED_SIGNING_KEY_FILE under RENEWED_SIGNING_KID',
    remedy:
      'nothing was rotated; upload the renewed signing certificate in Thredd CA > App Certificates, or set RENEWED_SIGNING_KID to the KID that it shows',
  },
  renewed_transport_certificate_listed: {
    means: 'the keystore lists the certificate of IDENTITY_RENEWED_CERT_FILE',
    remedy:
      'nothing was rotated; look at Thredd CA > Certificates, and name the files of the certificate that it shows in IDENTITY_RENEWED_CERT_FILE and IDENTITY_RENEWED_KEY_FILE',
  },
  client_deleted_by_thredd: {
    means: 'Thredd has confirmed that it deleted the OAuth client of this application',
    remedy:
      'send Thredd the client id from Thredd CA > Applications > (your application) > Details, ask for the client to be deleted, and wait for the answer',
    madeBy: 'register',
  },
  statement_unlocked: {
    means: 'the application is unlocked in Thredd CA, so that its roles can be changed',
    remedy: 'ask a Super Administrator of your organisation, or Thredd, to unlock the software statement',
  },
  statement_generated: {
    means:
      'the software statement of the application has been generated in Thredd CA, where it must be before it can be read',
    remedy:
      'generate it in Thredd CA > Applications > (your application) > Assertion, after the roles are set: that locks the application',
  },
  statement_expired: {
    means: 'the software statements of the application that were read so far have expired',
    remedy: 'ask Thredd how long a software statement is good, and name the flow only once that time has passed',
  },
  eds_role: {
    means: 'the application has the role eds in Thredd CA',
    remedy:
      'select eds in Thredd CA > Applications; where it is not offered, Thredd must grant it to the organisation first',
    role: { name: 'eds' },
  },
  bulk_cards_role_alone: {
    means: 'the application has the bulk cards role in Thredd CA and no other',
    remedy: 'make an application for this test in Thredd CA > New Application and select that role only',
    role: { name: 'bulk-cards', alone: true },
  },
  metadata_requested: {
    means: 'Thredd has been asked to set the Programme Manager (or Issuer) metadata of the client',
    remedy: 'send Thredd client id, organisation and scopes; nobody else can set it',
  },
  renewed_transport_certificate: {
    means: 'Thredd CA has issued a further transport certificate for this application, with another key',
    remedy:
      'make one in Thredd CA > Certificates and name its files in IDENTITY_RENEWED_CERT_FILE and IDENTITY_RENEWED_KEY_FILE',
  },
  renewed_signing_key: {
    means: 'Thredd CA has issued a further signing certificate for this application, with another key',
    remedy:
      'make one in Thredd CA > App Certificates and name its key and kid in RENEWED_SIGNING_KEY_FILE and RENEWED_SIGNING_KID',
  },
} as const satisfies Readonly<Record<string, Row>>

export type Given = keyof typeof GIVEN

export function remedyOf(name: Given, command: Command): string {
  const { remedy }: Row = GIVEN[name]
  return typeof remedy === 'string' ? remedy : remedy(command)
}

export function roleOf(name: Given): Row['role'] {
  const { role }: Row = GIVEN[name]
  return role
}

/** The roles that an application has once these preconditions are true. */
export function rolesWith(names: readonly Given[], roles: readonly string[]): readonly string[] {
  let all = [...roles]
  for (const name of names) {
    const { role }: Row = GIVEN[name]
    if (role?.alone) all = []
    if (role !== undefined) all.push(role.name)
  }
  return all
}
