/**
 * What a workflow can be given before it begins, in words of one table. On the embedded twin each is made so; elsewhere the
 * registration is looked up in the vault and a person answers for the rest. Knows nothing of how that is done.
 */

interface Row {
  /** one sentence for people, without its full stop */
  readonly means: string
  /** what to do on UAT or production where it is not so */
  readonly remedy: string
  /** the flow that makes it so on the embedded twin, before the twin itself does the rest */
  readonly madeBy?: 'register'
}

export const GIVEN = {
  registration: {
    means: 'a registration of this application is in the vault',
    remedy:
      'run "thredd run register" first, or bring registration_access_token and registration_client_uri with "thredd vault import"',
    madeBy: 'register',
  },
} as const satisfies Readonly<Record<string, Row>>

export type Given = keyof typeof GIVEN
