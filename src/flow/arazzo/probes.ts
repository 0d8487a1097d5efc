/** The probes that a step can name (`x-dcr: probe`): checks that one HTTP call cannot express, as one table. */

interface Row {
  /** what it does in place of the call, one sentence without its full stop */
  readonly about: string
  /** whether it sends the step's request; else it ends after the handshake */
  readonly sends: boolean
}

export const PROBES = {
  'outdated-tls': {
    about:
      'offers TLS 1.0 alone and TLS 1.1 alone, which must be refused, and then TLS 1.2 or newer; no request is sent',
    sends: false,
  },
  'weak-ciphers': {
    about:
      'offers with TLS 1.2 only suites without forward secrecy or authenticated encryption, which must be refused, and then those of BCP 195; no request is sent',
    sends: false,
  },
  'resumed-session': {
    about:
      'sends the request twice without a certificate, the second time on the session of the first; both must be refused',
    sends: true,
  },
  'at-once': {
    about: 'sends the same request three times at once; exactly one may succeed',
    sends: true,
  },
} as const satisfies Readonly<Record<string, Row>>

export type ProbeName = keyof typeof PROBES
