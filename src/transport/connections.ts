/** Opens the TLS connections of a run and keeps the evidence of each. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { isIP } from 'node:net'
import { checkServerIdentity, connect, type SecureContext } from 'node:tls'
import type { Identity } from '../identity/certificate.ts'
import { handshake, type TlsEvidence } from './handshake.ts'
import { type ProxySettings, tunnelTo } from './proxy.ts'
import { Wire } from './wire.ts'

export interface ConnectionOptions {
  /** PEM texts of CA_FILE */
  readonly ca?: readonly string[] | undefined
  /** Where TCP goes instead; server name indication, Host header and certificate check keep the real name. */
  readonly connectTo?: ((host: string, port: number) => { host: string; port: number } | undefined) | undefined
  readonly proxy?: ProxySettings | undefined
}

export interface Connection {
  readonly wire: Wire
  readonly tls: TlsEvidence
  readonly connectMs: number
  exchanges: number
  /** the first error of the open socket: a late TLS alert, which undici reports as a closed connection only */
  error: unknown
}

/** The TLS session of one connection, kept for the next. */
export interface Session {
  ticket: Buffer | undefined
  /** whether a connection was opened on the ticket, and the server took it */
  isResumed: boolean
}

/** An unfinished connection is ended after this, even where the request that needed it has been given up before. */
const CONNECT_LIMIT_MS = 60_000

/** Published by undici with the socket and the text of the headers, in the same turn as it starts a request. */
const SEND_HEADERS = 'undici:client:sendHeaders'

/** Each connection is a full handshake, since a resumed session could carry the proof of another identity; but for a `Session`. */
export class Connections {
  readonly #options: ConnectionOptions
  readonly #known = new WeakMap<object, Connection>()
  readonly #opening = new Set<{ destroy(): void }>()
  readonly #onSendHeaders = (message: unknown) => this.#headersSent(message)
  #awaiting: ((connection: Connection, head: string) => void) | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    subscribe(SEND_HEADERS, this.#onSendHeaders)
  }

  /** What is known of an open connection. */
  tlsOf(wire: Wire): TlsEvidence | undefined {
    return this.#known.get(wire)?.tls
  }

  close(): void {
    unsubscribe(SEND_HEADERS, this.#onSendHeaders)
    for (const socket of this.#opening) socket.destroy()
  }

  /** Calls back once, with the next headers that are sent and the connection they are sent on. */
  expectHeaders(callback: (connection: Connection, head: string) => void): void {
    this.#awaiting = callback
  }

  /** Rejects with ConnectFailure. */
  async open(
    host: string,
    port: number,
    context: SecureContext,
    identity: Identity | undefined,
    session?: Session,
  ): Promise<Wire> {
    const start = performance.now()
    const { ca, connectTo, proxy } = this.#options
    const elsewhere = connectTo?.(host, port)
    // An embedded server is on this machine, where no proxy could reach it.
    const tunnel =
      elsewhere === undefined
        ? await tunnelTo(host, port, proxy, { ca, timeoutMs: CONNECT_LIMIT_MS, opening: this.#opening })
        : undefined
    const socket = connect({
      host,
      port,
      ...elsewhere,
      ...(tunnel === undefined ? {} : { socket: tunnel }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      secureContext: context,
      // Explicit, since NODE_TLS_REJECT_UNAUTHORIZED in the user's shell would otherwise switch the check off.
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
      ...(session?.ticket === undefined ? {} : { session: session.ticket }),
    })
    if (session !== undefined) {
      socket.on('session', (ticket: Buffer) => {
        session.ticket = ticket
      })
      socket.once('secureConnect', () => {
        session.isResumed = socket.isSessionReused()
      })
    }
    this.#opening.add(socket)
    const { promise, resolve, reject } = Promise.withResolvers<Wire>()
    let connection: Connection | undefined
    handshake(socket, {
      identity,
      tunnelled: tunnel !== undefined,
      timeoutMs: CONNECT_LIMIT_MS,
      onEnd: () => this.#opening.delete(socket),
      onSecure: (tls) => {
        const wire = new Wire(socket)
        connection = { wire, tls, connectMs: performance.now() - start, exchanges: 0, error: undefined }
        this.#known.set(wire, connection)
        resolve(wire)
      },
      onFailure: reject,
      onLaterError: (error) => {
        if (connection !== undefined) connection.error ??= error
      },
    })
    socket.setNoDelay(true).setKeepAlive(true, 60_000)
    return await promise
  }

  #headersSent(message: unknown): void {
    const awaiting = this.#awaiting
    if (awaiting === undefined) return
    this.#awaiting = undefined
    const { socket, headers } = message as { readonly socket: object; readonly headers: string }
    const connection = this.#known.get(socket)
    if (connection === undefined) return
    connection.wire.begin()
    awaiting(connection, headers)
  }
}
