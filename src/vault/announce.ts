/** Calls that change a registration: each is written down before it leaves, and its answer before anything looks at it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Change } from '../record/effect.ts'
import { fail, type Problem } from '../record/errors.ts'
import { credentialsIn, isRegistrationAnswer, type RawAnswer, rawOf } from './answer.ts'
import { type Call, isSuccess } from './call.ts'
import type { By, Purpose, Registration } from './client.ts'
import type { AnswerEvent, CallEvent } from './event.ts'
import { POLL_MS } from './folder.ts'
import { type About, clientOf } from './state.ts'
import type { Store } from './store.ts'

export interface Presenting {
  /** x5t#S256 of the certificate that the call presents (RFC 8705 §3.1), or "none"; absent: not known */
  readonly thumbprint?: string | undefined
}

/** A call as it is about to leave; `clientId` and `softwareId` are those that the environment names. */
export interface CallAbout extends By, About, Presenting {
  readonly effect: Change
  readonly method: string
  readonly url: string
  /** the registration access token that it carries */
  readonly token?: string | undefined
  /** of a registration: whether the run means to delete the client again; default: it is kept */
  readonly purpose?: Purpose | undefined
}

export interface KeptAnswer {
  readonly registration: Registration
  /** an earlier token was replaced by a different one */
  readonly rotated: boolean
  /** something else in the vault cannot be read; the answer is safe all the same */
  readonly problem: Problem | undefined
}

/** A call that was written down. Disposing it unclosed leaves it open. */
export interface AnnouncedCall extends AsyncDisposable {
  readonly id: string
  /** the client that it is about, as far as that was known when it left */
  readonly clientId: string
  /**
   * Durable when it resolves; undefined where it registers nothing. `onWritten` is called before, as soon as it is written: then
   * it may be parsed. @throws VAULT_UNWRITABLE; it stays open then
   */
  keep(answer: RawAnswer, onWritten?: () => void): Promise<KeptAnswer | undefined>
  /**
   * `answered`: settled by the answer that was kept, unless that does not say how the call ended (a 5xx, a registration
   * without its token). `not-sent`: only where the transport says that nothing left. `unknown`: stays open. The first counts.
   */
  close(outcome: 'answered' | 'not-sent' | 'unknown'): Promise<void>
}

/**
 * Writes down, durably, that a call is about to leave. One process at a time changes one client: another waits.
 *
 * @throws VAULT_UNWRITABLE, VAULT_UNREADABLE; USAGE where it is not clear which client is meant; then nothing may be sent
 */
export async function announce(store: Store, call: CallAbout): Promise<AnnouncedCall> {
  for (let waited = 0; ; waited += POLL_MS) {
    const result = await store.exclusively(() => tried(store, call))
    if ('announced' in result) {
      const { announced } = result
      await store.flush().catch(async (error: unknown) => {
        await announced.close('not-sent')
        throw error
      })
      return announced
    }
    if (waited >= store.waitMs) {
      const { clientId, step, runId, at } = result.busy
      fail({
        code: 'VAULT_UNWRITABLE',
        message: `client "${clientId}" is being changed by another process`,
        found: `step "${step}" of run ${runId}, which left at ${at} and has no answer yet`,
        hint: 'let the other run end, or stop it',
      })
    }
    await sleep(POLL_MS)
  }
}

/**
 * Keeps, durably, any 2xx answer that carries registration_access_token or registration_client_uri at whatever depth.
 * Undefined: it carries neither. @throws VAULT_UNWRITABLE
 */
export async function keepAnswer(
  store: Store,
  { status, body, coding, message, runId, step, thumbprint, ...about }: RawAnswer & By & About & Presenting,
  onWritten?: () => void,
): Promise<KeptAnswer | undefined> {
  const raw = rawOf({ body, coding, message })
  if (!isRegistrationAnswer({ status, ...raw })) return undefined
  return await durably(store, onWritten, () => {
    store.ensure()
    const { clientId: askedAs, softwareId } = about
    const [found, ...others] = store.state.candidates(about)
    const known = others.length === 0 ? found?.id : undefined
    const clientId = credentialsIn(raw).clientId ?? known ?? askedAs ?? unknownClient({ runId, step })
    const client = store.state.client(clientId)
    const settles = store.free(clientId)
    const of = { clientId, askedAs, softwareId, thumbprint, runId, step, settles }
    const event: AnswerEvent = { kind: 'answer', at: store.at(), status, ...raw, ...of }
    const { registrationAccessToken: current, thumbprint: proven } = client?.registration() ?? {}
    const isOther = thumbprint !== undefined && proven !== thumbprint && credentialsIn(raw).token === current?.reveal()
    // A server that is only read says the same each time; the log need not grow by it.
    const isNews = !client?.isLive || !isSame(client.newestAnswer, raw) || settles.length > 0 || isOther
    if (isNews) store.write(event)
    return { written: isNews ? event : undefined, kept: kept(store, event) }
  })
}

/** Waits for the disk while the rest of this process goes on. Where the disk fails, the answer is written again. */
async function durably(
  store: Store,
  onWritten: (() => void) | undefined,
  write: () => { readonly written: AnswerEvent | undefined; readonly kept: KeptAnswer | undefined },
): Promise<KeptAnswer | undefined> {
  const { written, kept } = await store.exclusively(write)
  onWritten?.()
  if (written !== undefined) await store.flush().catch(() => store.exclusively(() => store.writeAgain(written)))
  store.demandSame()
  return kept
}

function tried(store: Store, call: CallAbout): { readonly announced: AnnouncedCall } | { readonly busy: Call } {
  const { token, purpose = 'kept', clientId: askedAs, ...rest } = call
  store.demandNotGone()
  store.ensure()
  store.demandReadable()
  const managed = call.effect === 'register' ? undefined : store.state.managed(call.url, token)
  const clientId = (managed ?? store.state.find(call))?.id ?? askedAs ?? unknownClient(call)
  const busy = store.state.openOf(clientId).find((one) => store.isOnTheWay(one))
  if (busy !== undefined) return { busy }
  store.makeRoom()
  const writer = store.writer.begin()
  const of = { clientId, askedAs, purpose, writer }
  const event: CallEvent = { kind: 'call', at: store.at(), id: randomUUID(), ...rest, ...of }
  store.begin(event)
  return { announced: announced(store, event) }
}

function announced(
  store: Store,
  { id, clientId, askedAs, softwareId, thumbprint, effect, purpose, runId, step, writer }: CallEvent,
): AnnouncedCall {
  let isClosed = false
  const close: AnnouncedCall['close'] = async (outcome) => {
    if (isClosed) return
    isClosed = true
    store.over(id)
    // Any other end follows from the answer that was kept.
    const how = outcome === 'unknown' ? 'unanswered' : outcome
    if (how !== 'answered') await store.exclusively(() => store.end(id, how)).catch(() => undefined)
  }
  const keep: AnnouncedCall['keep'] = async ({ status, ...answer }, onWritten) =>
    await durably(store, onWritten, () => {
      store.ensure()
      // All that is needed of the call, should it be gone.
      const of = { call: id, clientId, askedAs, softwareId, thumbprint, effect, purpose, runId, step, writer }
      const event: AnswerEvent = { kind: 'answer', at: store.at(), status, ...rawOf(answer), ...of }
      store.write(event)
      return { written: event, kept: isSuccess(status) ? kept(store, event) : undefined }
    })
  return { id, clientId, keep, close, [Symbol.asyncDispose]: () => close('unknown') }
}

function kept(store: Store, event: AnswerEvent): KeptAnswer | undefined {
  const client = store.state.client(clientOf(event))
  const registration = client?.isLive ? client.registration() : undefined
  if (client === undefined || registration === undefined) return undefined
  const rotated = client.history.some(({ at, what }) => at === event.at && what === 'rotated')
  return { registration, rotated, problem: store.log.problems[0] }
}

function unknownClient({ runId, step }: By): string {
  return `unknown (run ${runId}, step ${step})`
}

function isSame(a: AnswerEvent | undefined, b: Pick<AnswerEvent, 'body' | 'encoding' | 'coding'>): boolean {
  return a?.body === b.body && a.encoding === b.encoding && a.coding === b.coding
}
