/** Settles an open call (THREDD-DCR-3.3.3) by reading the client with the stored tokens, or says what else to do. */
import type { Problem } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import type { RawAnswer } from './answer.ts'
import { askThredd, type OpenCall } from './call.ts'
import type { Registration } from './client.ts'
import type { Vault } from './vault.ts'

/** GET of a registration_client_uri, byte for byte, with a registration access token (RFC 7592 2.1). */
export type Probe = (
  url: string,
  token: Secret,
) => Promise<({ readonly kind: 'answered' } & RawAnswer) | { readonly kind: 'failed'; readonly problem: Problem }>

export interface Proof {
  /** refused: the server answered and knows none of the stored tokens; unknown: it did not say */
  readonly token: 'works' | 'refused' | 'unknown'
  readonly words: string
}

/** Tries the current token, then those that may still work. A new token in the answer is kept before anything else happens. */
export async function proveToken(
  vault: Vault,
  { clientId, registrationAccessToken, fallbacks, registrationClientUri }: Registration,
  probe: Probe,
  runId: string,
): Promise<Proof> {
  const tokens = [registrationAccessToken, ...fallbacks].filter((token) => token !== undefined)
  if (registrationClientUri === undefined || tokens.length === 0) {
    return { token: 'unknown', words: 'the vault holds no token and URI to read the client with' }
  }
  const by = { runId, step: 'read' }
  let words = ''
  for (const [index, token] of tokens.entries()) {
    const result = await probe(registrationClientUri, token)
    if (result.kind === 'failed') return { token: 'unknown', words: result.problem.message }
    const { status, body, coding } = result
    if (status >= 200 && status <= 299) {
      const kept = await vault.keep({ body, status, coding, clientId, ...by })
      const replaced = kept !== undefined && kept.registration.registrationAccessToken?.reveal() !== token.reveal()
      // A token that worked and was replaced in the same answer is not the one to go on with.
      if (!replaced) await vault.worked(clientId, { ...by, token })
      const which = index === 0 ? 'the stored token works' : 'an earlier token works, and is current again'
      return { token: 'works', words: replaced ? `${which}; the answer replaced it by a new one` : which }
    }
    // RFC 7592 2.1: 401 for a token or a client it does not know, 403 for another client's; 404 by the product.
    if (![401, 403, 404].includes(status))
      return { token: 'unknown', words: `the server answered with status ${status}` }
    words = `the server refuses ${tokens.length === 1 ? 'the stored token' : `all ${tokens.length} stored tokens`} with status ${status}`
  }
  return { token: 'refused', words }
}

/** Walks one open call as far as it can be settled here. Without `probe` nothing is sent. */
export async function recover(
  vault: Vault,
  open: OpenCall,
  { probe, runId }: { readonly probe?: Probe | undefined; readonly runId: string },
): Promise<{ readonly settled: boolean; readonly words: string }> {
  const { clientId, effect, way, next } = open
  const registration = await vault.current(clientId)
  if (way !== 'read' || probe === undefined || registration === undefined) return { settled: false, words: next }
  const proof = await proveToken(vault, registration, probe, runId)
  switch (proof.token) {
    case 'works':
      return { settled: true, words: `${proof.words}; ${AFTER_READING[effect]}` }
    case 'refused':
      if (effect !== 'delete')
        return {
          settled: false,
          words: `${proof.words}; ${askThredd(clientId, vault.commandAbout(clientId), { refused: true })}`,
        }
      await vault.remove(clientId, { runId, step: 'recover' })
      return { settled: true, words: `${proof.words}: the client is deleted, and marked so` }
    case 'unknown':
      return { settled: false, words: `${proof.words}; try again later` }
    default:
      return proof.token satisfies never
  }
}

const AFTER_READING: Readonly<Record<OpenCall['effect'], string>> = {
  register: 'the client is registered',
  update: 'compare its metadata with what was sent, and repeat the update if it is missing',
  delete: 'the client was not deleted; repeat the deletion if it is still wanted',
}
