/** Asks the keystore, before a client is registered, whether it lists the key that will sign for it. */
import type { Environment } from '../environment/index.ts'
import { readAnswer } from '../execute/answer.ts'
import { type Listing, listingOf } from '../identity/listing.ts'
import type { SigningKey } from '../identity/signing.ts'
import type { AssertionPlan } from '../plan/index.ts'
import type { Transport } from '../transport/transport.ts'

/** What is asked of which application. */
export interface KeystoreQuestion {
  readonly environment: Pick<Environment, 'servers' | 'setting' | 'timeoutMs'>
  readonly softwareId: string | undefined
  /** whose settings `key` comes from: SIGNING_ or RENEWED_SIGNING_ */
  readonly which: 'current' | 'renewed'
  /** undefined where the run signs nothing */
  readonly key: Pick<SigningKey, 'kid' | 'publicKey'> | undefined
  readonly transport: Transport
  readonly userAgent: string
  readonly signal: AbortSignal
}

/**
 * Undefined where it cannot be asked: no keystore, no ids or no key. What is no answer about the key, such as a refused
 * connection, is "not known": the registration does not depend on whether the keystore can be reached from here.
 * @see flows/apis/keystore.openapi.yaml, operation applicationJwks
 */
export async function askKeystore(question: KeystoreQuestion): Promise<Listing | undefined> {
  const { environment, softwareId, which, key, transport, userAgent, signal } = question
  const server = environment.servers.get('keystore')
  const organisation = environment.setting('org_id')?.value
  if (server === undefined || key === undefined || typeof organisation !== 'string' || softwareId === undefined)
    return undefined
  const path = [organisation, softwareId].map(encodeURIComponent).join('/')
  const url = `${server.replace(/\/$/, '')}/${path}/application.jwks`
  const headers = [
    ['accept', 'application/json'],
    ['user-agent', userAgent],
  ] as const
  // Public: no certificate is presented.
  const options = { identity: 'none', timeoutMs: environment.timeoutMs, signal }
  const delivery = await transport.send({ method: 'GET', url, headers }, options)
  if (delivery.kind === 'failed') return { is: 'not known', because: delivery.problem.message }
  const { status, body } = readAnswer(delivery.answer, new URL(url).host)
  if (status !== 200) return { is: 'not known', because: `"${new URL(url).host}" answered ${status}` }
  return listingOf(body, key, which === 'current' ? 'SIGNING' : 'RENEWED_SIGNING')
}

/** It is the same key for each algorithm. */
export function keyOf(keys: ReadonlyMap<string, SigningKey>, which: AssertionPlan['key']): SigningKey | undefined {
  return [...keys].find(([id]) => id.startsWith(`${which} `))?.[1]
}

export function userAgentOf(version: string): string {
  return `thredd-dcr/${version}`
}
