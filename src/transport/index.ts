/**
 * Sends requests over mutual TLS with undici, with one agent for each identity, and copies the evidence of each connection.
 * Redirects are not followed and TLS sessions are not resumed.
 */
import type { Duplex } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext, type SecureContextOptions } from 'node:tls'
import { Agent } from 'undici'
import type { Identity } from '../identity/certificate.ts'
import { LIMITS } from '../record/limits.ts'
import { type ConnectionOptions, Connections, type Session } from './connections.ts'
import { exchange } from './exchange.ts'
import { greet, reach } from './greeting.ts'
import { type Gate, targetOf } from './target.ts'
import type { Delivery, Handshakes, Transport } from './transport.ts'

export interface TransportOptions extends Gate, ConnectionOptions {
  /** true: no other authority is trusted. Else those that Node trusts are too, since a platform's hosts may have both kinds. */
  readonly onlyOwnAuthorities?: boolean | undefined
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  /** default: the newest */
  readonly maxTlsVersion?: 'TLSv1.2' | undefined
  readonly maxBodyBytes: number
  /** for `startedAt` and for judging dates of certificates */
  readonly now?: (() => Date) | undefined
}

export function createTransport(options: TransportOptions): Transport {
  const { now = () => new Date() } = options
  const connections = new Connections(options)
  const agents = new Map<string, Agent>()

  const agentOf = (identity: Identity | undefined, session?: Session): Agent => {
    const context = secureContext(options, identity)
    return new Agent({
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: LIMITS.headerBytes.value,
      connect: ({ hostname, port }, callback) => {
        connections.open(hostname, Number(port || 443), context, identity, session).then(
          // undici uses nothing but what a stream has, and ref and unref.
          (wire) => (callback as (error: null, stream: Duplex) => void)(null, wire),
          (error: Error) => callback(error, null),
        )
      },
    })
  }
  const agentFor = (identity: Identity | undefined): Agent => {
    const name = identity?.name ?? 'none'
    const agent = agents.get(name) ?? agentOf(identity)
    agents.set(name, agent)
    return agent
  }
  const handshakes: Handshakes = {
    async greet(url, offer, { identity, timeoutMs, signal }) {
      const target = targetOf({ url }, identity, options)
      const base = contextOptions(options, target.identity)
      return await greet(connections, target, { base, offer, timeoutMs, signal, now: now() })
    },
    async sendOnOneSession(request, sendOptions) {
      const target = targetOf(request, sendOptions.identity, options)
      const session: Session = { ticket: undefined, isResumed: false }
      const deliveries: Delivery[] = []
      for (const _ of ['first', 'resumed']) {
        const agent = agentOf(target.identity, session)
        deliveries.push(await exchange(agent, connections, target, request, { ...sendOptions, ...options, now }))
        await agent.destroy()
      }
      return { deliveries, isResumed: session.isResumed }
    },
  }

  return {
    handshakes,
    async reach(url, { identity, timeoutMs, signal }) {
      const target = targetOf({ url }, identity, options)
      const context = secureContext(options, target.identity)
      return await reach(connections, target, { context, timeoutMs, signal, now: now() })
    },
    async send(request, sendOptions) {
      const target = targetOf(request, sendOptions.identity, options)
      const agent = agentFor(target.identity)
      return await exchange(agent, connections, target, request, { ...sendOptions, ...options, now })
    },
    async [Symbol.asyncDispose]() {
      connections.close()
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}

function secureContext(options: TransportOptions, identity: Identity | undefined): SecureContext {
  return createSecureContext(contextOptions(options, identity))
}

function contextOptions(
  { ca = [], onlyOwnAuthorities = false, minTlsVersion, maxTlsVersion }: TransportOptions,
  identity: Identity | undefined,
): SecureContextOptions {
  const credentials = identity?.credentials
  const roots = onlyOwnAuthorities ? [] : getCACertificates('default')
  return {
    minVersion: minTlsVersion,
    ...(maxTlsVersion === undefined ? {} : { maxVersion: maxTlsVersion }),
    // An intermediate authority that the user names is enough, as for curl: the root above it need not be there.
    ...(ca.length === 0 ? {} : { ca: [...roots, ...ca], allowPartialTrustChain: true }),
    ...(credentials === undefined ? {} : { cert: credentials.chain, key: credentials.key.reveal() }),
  }
}
