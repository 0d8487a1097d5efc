/** A call that changes a registration until it is known how it ended, and the way out where nobody knows. Pure. */
import type { Change } from '../record/effect.ts'
import type { Command } from '../record/hints.ts'
import { credentialsIn, provesDeletion } from './answer.ts'
import type { Purpose, Registration } from './client.ts'
import type { AnswerEvent, CallEvent } from './event.ts'

/** A call of which it is not known how it ended. */
export interface Call extends CallEvent {
  /** one that does not say how */
  readonly answer?: AnswerEvent | undefined
  /** the process that made it has given it up */
  readonly isOver?: boolean
  /** a later attempt that was refused */
  readonly retried?: { readonly at: string; readonly status: number } | undefined
}

/** The same for a person: what is known, and what to do. */
export interface OpenCall
  extends Pick<CallEvent, 'id' | 'clientId' | 'effect' | 'method' | 'url' | 'step' | 'runId' | 'thumbprint'> {
  /** UTC, RFC 3339 */
  readonly begunAt: string
  readonly purpose: Purpose
  /** the status of an answer that does not say whether the change was made */
  readonly status: number | undefined
  /** wait: a process is at it · read: with the stored token · retry: the same call again · ask: Thredd must delete it */
  readonly way: 'wait' | 'read' | 'retry' | 'ask'
  /** what is known, in a sentence */
  readonly known: string
  /** the documented next step, in words */
  readonly next: string
}

/** What an answer settles: done, refused (nothing was changed), or open (it does not say). */
export function outcomeOf(effect: Change, answer: AnswerEvent): 'done' | 'refused' | 'open' {
  const { status } = answer
  if (isSuccess(status)) {
    if (effect === 'delete') return provesDeletion(answer) ? 'done' : 'open'
    const { members, token, uri } = credentialsIn(answer)
    if (effect === 'register') return token !== undefined && uri !== undefined ? 'done' : 'open'
    // An update without a token leaves the old one in force (RFC 7592 2.2); an unreadable one may hide a new token.
    return members !== undefined ? 'done' : 'open'
  }
  // A gateway that gave up does not know what the server behind it did.
  return status >= 500 || status === 408 || status < 200 ? 'open' : 'refused'
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299
}

export function openCall(
  call: Call,
  about: {
    readonly registration: Registration | undefined
    readonly isInFlight: boolean
    readonly command: Command
  },
): OpenCall {
  const { id, effect, method, url, step, runId, thumbprint, at, purpose = 'kept', answer } = call
  const { registration, isInFlight, command } = about
  const isReadable =
    registration?.registrationAccessToken !== undefined && registration.registrationClientUri !== undefined
  const clientId = registration?.clientId ?? call.clientId
  const way = isInFlight ? 'wait' : isReadable ? 'read' : mayBeRetried(call) ? 'retry' : 'ask'
  const next = NEXT[way](clientId, { effect, command })
  const facts = {
    id,
    clientId,
    effect,
    method,
    url,
    step,
    runId,
    thumbprint,
    begunAt: at,
    purpose,
    status: answer?.status,
  }
  return { ...facts, way, known: knownOf(call), next }
}

/** A registration of which the server may know nothing: it refuses a second one by itself where it does. */
function mayBeRetried({ effect, answer, retried }: Call): boolean {
  return effect === 'register' && retried === undefined && (answer === undefined || !isSuccess(answer.status))
}

function knownOf({ effect, method, step, runId, at, answer, retried }: Call): string {
  const left = `${method} of step "${step}" in run ${runId} left at ${at}`
  const came =
    answer === undefined
      ? 'no answer was kept'
      : isSuccess(answer.status) && effect !== 'delete'
        ? `the answer ${answer.status} holds no usable registration_access_token and registration_client_uri`
        : answer.status === 0
          ? 'what arrived is no answer that can be read'
          : `the answer ${answer.status} does not say whether the change was made`
  const then = retried === undefined ? '' : `; a later attempt was refused with status ${retried.status}`
  return `${left}; ${came}${then}`
}

/** Only Thredd's staff can delete the client (THREDD-DCR-3.3.3). `refused`: the vault holds a token that the server refuses. */
export function askThredd(clientId: string, command: Command, { refused = false } = {}): string {
  const message = refused ? command('askAfterRefusal', { client: clientId }) : command('askToDelete')
  return `no usable token is left: ask Thredd to delete the client, quoting Client ID "${clientId}" (Thredd CA > Applications > Details), with the message of ${message}; when Thredd confirms: ${command('deletedByThredd', { client: clientId })}, then register again: ${command('register')}`
}

/** Of a call whose end is not known, by what the vault holds of the client and what came of the call. */
const NEXT: Readonly<
  Record<OpenCall['way'], (clientId: string, about: { readonly effect: Change; readonly command: Command }) => string>
> = {
  wait: () => 'another process is at it; let it end',
  read: (clientId, { effect, command }) =>
    `read the client with the stored token: ${command('readClient', { client: clientId })}; ${
      effect === 'delete'
        ? 'if the token works, the client was not deleted'
        : 'if the token no longer works, it says how to ask Thredd to delete the client'
    }`,
  retry: (_, { command }) =>
    `register again: ${command('register')}; where the first registration took place the server refuses the second, and then ${command('showOpen')} says how to ask Thredd to delete the client`,
  ask: (clientId, { command }) => askThredd(clientId, command),
}
