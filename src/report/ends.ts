/** What runs out, and when: our certificates, those of servers, accepted deviations, and with the first of them what the report says. Pure. */
import type { RecordHead } from '../record/index.ts'
import type { ServerCertificate } from './calls.ts'
import type { JudgedRequirement } from './proofs.ts'

export interface End {
  readonly kind: 'ours' | 'server' | 'decision' | 'report'
  readonly what: string
  readonly detail: string
  /** UTC */
  readonly at: string
  /** whole days from the end of the run; negative where it is over */
  readonly days: number
}

/** Fewer days left than this are told: getting a new certificate from Thredd takes weeks, not hours. */
export const FEW_DAYS = 30

/** In milliseconds. */
export const DAY = 24 * 60 * 60 * 1000

/** The first to end comes first. Times that cannot be read are left out. */
export function endsOf(
  { identities, signingKeys = [], startedAt }: Pick<RecordHead, 'identities' | 'signingKeys' | 'startedAt'>,
  {
    certificates,
    requirements,
    endedAt,
    others = [],
  }: {
    readonly certificates: readonly ServerCertificate[]
    readonly requirements: readonly JudgedRequirement[]
    readonly endedAt: string
    readonly others?: readonly Omit<End, 'days'>[]
  },
): readonly End[] {
  const daysUntil = (at: string) => Math.floor((Date.parse(at) - Date.parse(endedAt)) / DAY)
  const ends = [
    // One that had expired before the run was presented to be refused: any other use of it is refused before a call.
    ...identities
      .filter(({ notAfter }) => notAfter > startedAt)
      .map(({ name, notAfter, key }) => ({
        kind: 'ours' as const,
        what: `certificate "${name}"`,
        detail: `ours, for TLS${key === undefined ? '' : `, ${key.kind}`}`,
        at: notAfter,
      })),
    ...signingKeys.flatMap(({ kid, certificate }) =>
      certificate === undefined
        ? []
        : [
            {
              kind: 'ours' as const,
              what: `certificate of signing key ${kid}`,
              detail: `ours, for signatures${certificate.key === undefined ? '' : `, ${certificate.key.kind}`}`,
              at: certificate.notAfter,
            },
          ],
    ),
    ...certificates.map(({ certificate, hosts }) => ({
      kind: 'server' as const,
      what: hosts.length === 1 ? `certificate of ${hosts[0]}` : `certificate of ${hosts.length} servers`,
      detail: hosts.length === 1 ? `shown by that server` : `shown by ${hosts[0]} and ${hosts.length - 1} more`,
      at: certificate.validTo,
    })),
    ...decisions(requirements),
    ...others,
  ]
  return ends
    .filter(({ at }) => !Number.isNaN(Date.parse(at)))
    .map((end) => ({ ...end, at: new Date(end.at).toISOString(), days: daysUntil(end.at) }))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
}

/** An acceptance counts to the end of its last day. */
function decisions(requirements: readonly JudgedRequirement[]): readonly Omit<End, 'days'>[] {
  const rows = requirements.filter(({ acceptance }) => acceptance !== undefined)
  return [...Map.groupBy(rows, ({ acceptance }) => acceptance)].flatMap(([acceptance, accepted]) =>
    acceptance === undefined
      ? []
      : [
          {
            kind: 'decision' as const,
            what: `accepted deviation of ${accepted.map(({ requirement }) => requirement.id).join(', ')}`,
            detail: `${acceptance.owner}: ${acceptance.reason}`,
            at: `${acceptance.until}T23:59:59.999Z`,
          },
        ],
  )
}

/** For so many days a result may be quoted, and a verdict of joined runs counts. */
export const COUNTS_FOR = 90

export function countsUntil(at: string): string {
  return new Date(Date.parse(at) + COUNTS_FOR * DAY).toISOString()
}

/** Until when the result may be quoted: for some months after the run, or until the first of the ends. UTC. */
export function quotableUntil(ends: readonly End[], endedAt: string): string {
  const latest = countsUntil(endedAt)
  const [first] = ends
  return first !== undefined && first.at < latest ? first.at : latest
}
