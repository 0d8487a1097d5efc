/** Settles an open call (THREDD-DCR-3.3.3) by reading the client with the stored tokens, or says what else to do. */
import type { Problem } from '../record/errors.ts'
import type { Secret } from '../secret/index.ts'
import { deniesToken, fingerprint, isSeenAsPage, type SeenAnswer } from './answer.ts'
import { askThredd, isSuccess, type OpenCall } from './call.ts'
import type { Registration } from './client.ts'
import type { Vault } from './vault.ts'

/** The certificate that a call presented. */
interface Presented {
  /** a configured identity's name */
  readonly identity: string
  /** x5t#S256 (RFC 8705 §3.1), or "none" */
  readonly thumbprint: string
  /** the environment names no other, so that older calls without a thumbprint can have presented no other either */
  readonly isOnly: boolean
}

/**
 * GET of a registration_client_uri, byte for byte, with a registration access token (RFC 7592 2.1); with the certificate of this
 * thumbprint where the environment has it, else with the usual one.
 */
export type Probe = (
  url: string,
  token: Secret,
  thumbprint?: string | undefined,
) => Promise<
  | ({ readonly kind: 'answered'; readonly presented: Presented } & SeenAnswer)
  | { readonly kind: 'failed'; readonly problem: Problem }
>

export interface Proof {
  /** refused: the server answered and knows none of the stored tokens; unknown: it did not say */
  readonly token: 'works' | 'refused' | 'unknown'
  readonly words: string
  /** what to do where another try with the same certificate says no more */
  readonly next?: string
}

/**
 * Tries the current token, then those that may still work. A new token in the answer is kept before anything else happens.
 * `calledWith`: the certificate of a call to the client that is open.
 */
export async function proveToken(
  vault: Vault,
  { clientId, registrationAccessToken, fallbacks, registrationClientUri }: Registration,
  probe: Probe,
  { runId, calledWith }: { readonly runId: string; readonly calledWith?: string | undefined },
): Promise<Proof> {
  const tokens = [registrationAccessToken, ...fallbacks].filter((token) => token !== undefined)
  if (registrationClientUri === undefined || tokens.length === 0) {
    return { token: 'unknown', words: 'the vault holds no token and URI to read the client with' }
  }
  const held = new Map((await vault.tokens(clientId)).map((one) => [one.fingerprint, one.thumbprint]))
  let words = ''
  let unproven: Unproven | undefined
  for (const [index, token] of tokens.entries()) {
    const known = held.get(fingerprint(token.reveal()))
    const result = await probe(registrationClientUri, token, known ?? calledWith)
    if (result.kind === 'failed') return { token: 'unknown', words: result.problem.message }
    const { status, body, coding, presented } = result
    const by = { runId, step: 'read', thumbprint: presented.thumbprint }
    const isForPeople = isSeenAsPage(result)
    if (isSuccess(status) && !isForPeople) {
      const kept = await vault.keep({ body, status, coding, clientId, ...by })
      const replaced = kept !== undefined && kept.registration.registrationAccessToken?.reveal() !== token.reveal()
      // A token that worked and was replaced in the same answer is not the one to go on with.
      if (!replaced) await vault.worked(clientId, { ...by, token })
      const which = index === 0 ? 'the stored token works' : 'an earlier token works, and is current again'
      return { token: 'works', words: replaced ? `${which}; the answer replaced it by a new one` : which }
    }
    if (!isSuccess(status) && ![401, 403, 404].includes(status))
      return { token: 'unknown', words: `the server answered with status ${status}` }
    words = `the server refuses ${tokens.length === 1 ? 'the stored token' : `all ${tokens.length} stored tokens`} with status ${status}`
    unproven ??= deniesToken(result) ? whyUnproven({ known, calledWith }, presented) : notDenied(status, isForPeople)
    if (isForPeople) break
  }
  if (unproven === undefined) return { token: 'refused', words }
  const deleted = vault.command('deletedByThredd', { client: clientId })
  const next = `${unproven.first} ask Thredd whether the client is there, and if it is deleted: ${deleted}`
  return { token: 'unknown', words: `${unproven.instead ?? words}${unproven.words}`, next }
}

/** Why a refusal does not show whether the client is there, and what to do before Thredd is asked. */
interface Unproven {
  readonly words: string
  readonly first: string
  /** of the words for a refused token */
  readonly instead?: string
}

/** Of an answer that the registration endpoint does not give to a token that it does not know. */
function notDenied(status: number, isForPeople: boolean): Unproven {
  const page = ' and a page, as a firewall or a load balancer in front of the server sends it'
  return {
    instead: `the answer to the stored token has status ${status}${isForPeople ? page : ', without an OAuth error that says that the token is unknown'}`,
    words: ': this does not show whether the client is there; nothing was changed',
    first: 'try again later; if the answer stays the same,',
  }
}

/**
 * A server may bind a token to a certificate, and then refuses it with any other although the client lives. `known`: the one with
 * which the token was last issued or accepted; without it a refusal counts where no other can have been in use.
 */
function whyUnproven(
  { known, calledWith }: { readonly known: string | undefined; readonly calledWith: string | undefined },
  { identity, thumbprint, isOnly }: Presented,
): Unproven | undefined {
  const isOther = calledWith !== undefined && calledWith !== thumbprint
  if (known === undefined ? isOnly && !isOther : known === thumbprint) return undefined
  const last =
    known === undefined
      ? 'it is not known which one it was issued to'
      : `it was last issued to or accepted with x5t#S256 ${known}`
  return {
    words: `, presented with the certificate of identity "${identity}" (x5t#S256 ${thumbprint}), but ${last}: a server may bind a token to its certificate, so this does not show whether the client is there; nothing was changed`,
    first: `${
      known === undefined
        ? 'repeat the command with TRANSPORT_CERT_FILE and TRANSPORT_KEY_FILE of the certificate that the client was registered with'
        : 'name that certificate as an identity of the environment, with IDENTITY_<NAME>_CERT_FILE and IDENTITY_<NAME>_KEY_FILE, and repeat the command'
    }; without that certificate`,
  }
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
  const proof = await proveToken(vault, registration, probe, { runId, calledWith: open.thumbprint })
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
      return { settled: false, words: `${proof.words}; ${proof.next ?? 'try again later'}` }
    default:
      return proof.token satisfies never
  }
}

const AFTER_READING: Readonly<Record<OpenCall['effect'], string>> = {
  register: 'the client is registered',
  update: 'compare its metadata with what was sent, and repeat the update if it is missing',
  delete: 'the client was not deleted; repeat the deletion if it is still wanted',
}
