/** The interface between the executor and a transport: a request, and what became of it. */
import type { Problem } from '../record/errors.ts'
import type { Exchange } from '../record/index.ts'

/** A request as it will be on the wire; the body is UTF-8 text. */
export interface Outgoing {
  readonly method: string
  /** absolute; its path and query go out byte for byte */
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: string | undefined
}

export interface Answer {
  readonly status: number
  /** as received, names lower-case, repeated headers repeated */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
  /** headers of interim answers before it, and trailers: none of it is judged */
  readonly beside?: Answer['headers']
}

/** What arrived of an answer that the HTTP parser has refused, or that ended too early. */
export interface Received {
  /** as they came, with the status line, the headers and any interim answer before it */
  readonly bytes: Uint8Array
  /** as the status line says; 0 where it cannot be told */
  readonly status: number
  /** how many of the bytes stand before the body */
  readonly bodyAt: number
  /** Content-Encoding */
  readonly coding: string | undefined
  /** the body comes in chunks (RFC 9112 section 7.1) */
  readonly isChunked: boolean
}

interface Evidence {
  readonly tls?: Exchange['tls']
  /** the headers of the request as they left, with those that the transport adds */
  readonly sentHeaders?: Outgoing['headers']
  readonly timing: Exchange['timing']
}

/** A network failure is data: it makes a step errored, never a check failed. */
export type Delivery =
  | (Evidence & { readonly kind: 'answered'; readonly answer: Answer })
  | (Evidence & {
      readonly kind: 'failed'
      /** "no" only for a failure before the headers left or an explicit TLS alert; anything else is unknown */
      readonly sent: 'no' | 'unknown'
      readonly problem: Problem
      /** absent where nothing arrived, and in process */
      readonly received?: Received | undefined
    })

export interface SendOptions {
  /** a configured identity's name, or "none" to present no certificate */
  readonly identity: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** for a call whose answer must not be lost: once it has been sent, this signal ends it, and no longer the other */
  readonly cut?: AbortSignal | undefined
}

/** What a handshake offers, and nothing else. */
export type Offer = 'TLS 1.0' | 'TLS 1.1' | 'TLS 1.2 or newer' | 'outdated suites' | 'suites of BCP 195'

/** What the server answered to an offer; unknown where it could not be asked. */
export type Greeting =
  | { readonly kind: 'agreed'; readonly protocol: string; readonly cipher: string }
  /** `by`: the code of the alert or of the end of the connection */
  | { readonly kind: 'refused'; readonly by: string }
  | { readonly kind: 'unknown'; readonly problem: Problem }

/** What a connection without a request showed of the server. */
export type Reached =
  | { readonly kind: 'reached'; readonly tls: NonNullable<Exchange['tls']> }
  | { readonly kind: 'failed'; readonly problem: Problem }

/** What only a transport with connections can do; rejects as `send` does. */
export interface Handshakes {
  greet(url: string, offer: Offer, options: SendOptions): Promise<Greeting>
  /** Sends the request on a connection of its own, and once more on one that resumes its TLS session, if there is a ticket. */
  sendOnOneSession(
    request: Outgoing,
    options: SendOptions,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly isResumed: boolean }>
}

export interface Transport extends AsyncDisposable {
  /** absent in process */
  readonly handshakes?: Handshakes | undefined
  /** Opens a connection as `send` would, and ends it; rejects as `send` does. Absent in process. */
  reach?(url: string, options: SendOptions): Promise<Reached>
  /** Rejects only with HOST_NOT_ALLOWED or IDENTITY_MISSING (nothing was sent); every other outcome is a Delivery. */
  send(request: Outgoing, options: SendOptions): Promise<Delivery>
}
