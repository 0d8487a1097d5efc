/**
 * What only Thredd can do after a registration or an update, as one table. A criterion names a row in `waitsFor`: where it is
 * the first that does not hold, the step has not failed, the client is waiting for Thredd.
 */

interface Row {
  /** one sentence for people, without its full stop */
  readonly means: string
}

export const WAITS_FOR = {
  metadata: { means: 'Thredd has not set the Programme Manager (or Issuer) metadata of the client yet' },
} as const satisfies Readonly<Record<string, Row>>

export type WaitsFor = keyof typeof WAITS_FOR
