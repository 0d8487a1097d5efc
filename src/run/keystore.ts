/** Asks the keystore, before a workflow begins, whether it lists the key or certificate that the workflow needs. */
import type { Environment } from '../environment/index.ts'
import { readAnswer } from '../execute/answer.ts'
import type { AskedKey } from '../guard/given.ts'
import { certificateListingOf, type Listing, listingOf } from '../identity/listing.ts'
import type { SigningKey } from '../identity/signing.ts'
import type { AssertionPlan } from '../plan/index.ts'
import type { Transport } from '../transport/transport.ts'
import { thumbprintOf } from './credentials.ts'
import type { Survey } from './survey.ts'

/** What is asked of which application. */
export interface KeystoreQuestion {
  readonly environment: Pick<Environment, 'servers' | 'setting' | 'timeoutMs'>
  readonly softwareId: string | undefined
  readonly which: AskedKey
  readonly survey: { readonly signing: Pick<Survey['signing'], 'keys'>; readonly identities: Survey['identities'] }
  readonly transport: Transport
  readonly userAgent: string
  readonly signal: AbortSignal
}

/**
 * Undefined where it cannot be asked: no keystore, no ids, no key or no certificate. What is no answer about it, such as a
 * refused connection, is "not known": the workflow does not depend on whether the keystore can be reached from here.
 * @see flows/apis/keystore.openapi.yaml, operations applicationJwks and transportJwks
 */
export async function askKeystore(question: KeystoreQuestion): Promise<Listing | undefined> {
  const { environment, softwareId, which, survey, transport, userAgent, signal } = question
  const judge = judgeOf(which, survey)
  const server = environment.servers.get('keystore')
  const organisation = environment.setting('org_id')?.value
  if (server === undefined || judge === undefined || typeof organisation !== 'string' || softwareId === undefined)
    return undefined
  const path = [organisation, softwareId].map(encodeURIComponent).join('/')
  const file = which === 'renewed certificate' ? 'transport.jwks' : 'application.jwks'
  const url = `${server.replace(/\/$/, '')}/${path}/${file}`
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
  return judge(body)
}

function judgeOf(
  which: AskedKey,
  { signing, identities }: KeystoreQuestion['survey'],
): ((document: unknown) => Listing) | undefined {
  if (which === 'renewed certificate') {
    const loaded = identities.get('renewed')
    return loaded && ((document) => certificateListingOf(document, thumbprintOf(loaded.identity)))
  }
  const key = keyOf(signing.keys, which)
  return key && ((document) => listingOf(document, key, which === 'current' ? 'SIGNING' : 'RENEWED_SIGNING'))
}

/** It is the same key for each algorithm. */
function keyOf(keys: ReadonlyMap<string, SigningKey>, which: AssertionPlan['key']): SigningKey | undefined {
  return [...keys].find(([id]) => id.startsWith(`${which} `))?.[1]
}

export function userAgentOf(version: string): string {
  return `thredd-dcr/${version}`
}
