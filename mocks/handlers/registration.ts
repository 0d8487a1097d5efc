/** Registration of clients (RFC 7591) and its management (RFC 7592). The rules of client metadata are in metadata.ts. */
import { type Answer, empty, type Headings, json } from '../content.ts'
import { digestOf, thumbprint } from '../digest.ts'
import { AUTHORIZATION } from '../hosts.ts'
import { type Json, MEMBERS, type Registration, register } from '../metadata.ts'
import type { Client, RegistrationToken } from '../model.ts'
import { publishedClaim } from '../publish.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call, mediaType, NO_STORE } from '../route.ts'
import { managed } from './managed.ts'
import { coveredScopes, verifyStatement } from './statement.ts'

/** Members that an update must not carry (RFC 7592 2.2). */
const NOT_IN_UPDATE = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

/** @see [RFC 7591 3.1](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.1) */
export async function create(call: Call): Promise<Answer> {
  const initial = initialAccessToken(call)
  const body = await readMetadata(call)
  const key = call.switches.idempotencyKey ? call.request.headers.get('x-idempotency-key') : null
  if (key === null) return information(await enrol(call, body, initial), 201)
  return await once(call, key, body, () => enrol(call, body, initial))
}

/** The product's idempotency: for a minute the same key gets the same answer, with a header that says so. */
async function once(call: Call, key: string, body: Json, act: () => Promise<Json>): Promise<Answer> {
  const { state } = call
  if (key.length < 32 || key.length > 255) refuse('request', 'X-Idempotency-Key must have 32 to 255 characters')
  const request = digestOf(JSON.stringify(body))
  const earlier = state.idempotent.get(key)
  if (earlier !== undefined && earlier.until > state.now().getTime()) {
    if (earlier.request !== request) refuse('request', 'the idempotency key was used for another registration')
    const members = await earlier.answer
    call.note('answered again to the same idempotency key')
    return information(members, 201, { 'x-idempotent-replayed': 'true' })
  }
  const answer = act()
  state.idempotent.set(key, { request, answer, until: state.now().getTime() + REPLAY_MS })
  try {
    return information(await answer, 201)
  } catch (error) {
    // A refusal is not kept, so the key can be used again.
    state.idempotent.delete(key)
    throw error
  }
}

const REPLAY_MS = 60_000

async function enrol(call: Call, body: Json, initial: string | undefined): Promise<Json> {
  const { state, switches } = call
  if ('x_unknown_member' in body && call.breaks('unknown-member-is-ignored')) {
    refuse('metadataInvalid', 'a member is unknown')
  }
  const { application, statement } = await verifyStatement(call, body.software_statement)
  const registration = register(body, statement, coveredScopes(application, statement, call, body.scopes), call)

  // No await from here on: of two registrations at the same time exactly one succeeds.
  if (state.clients.has(application.clientId) && !call.breaks('one-client-for-an-application')) {
    const reason = 'the application already has a client'
    if (switches.secondRegistrationStatus === '400') refuse('alreadyRegistered', reason)
    refuse('conflict', reason, { error_hint: `Object with ID ${application.clientId} exists` })
  }
  if (initial !== undefined && !state.initialAccessTokens.delete(initial)) {
    refuse('initialTokenInvalid', 'the initial access token was used by another request meanwhile')
  }
  const now = state.now()
  const identifier = switches.uriForm === 'raw' ? application.clientId : encodeURIComponent(application.clientId)
  const client: Client = {
    clientId: application.clientId,
    softwareId: application.softwareId,
    registrationClientUri: `${AUTHORIZATION[switches.uriHost]}/oauth2/register/${identifier}`,
    members: {
      ...registration.members,
      software_statement: body.software_statement,
      client_id_issued_at: Math.floor(now.getTime() / 1000),
      created_at: nanoseconds(call, now),
      updated_at: '',
      client_secret: state.token(),
      hashed_secret: state.hex(128),
    },
    scopes: registration.scopes,
    registrationToken: newRegistrationToken(call),
    metadata: undefined,
  }
  client.members = { ...client.members, updated_at: client.members.created_at }
  state.clients.set(client.clientId, client)
  if (switches.metadataSet === 'at-once') state.setMetadata(client.clientId)
  call.note(`registered ${client.clientId} with ${scopesInWords(registration)}`)
  return membersOf(client, call)
}

export function read(call: Call): Answer {
  const client = managed(call)
  // The answer to HEAD could not hand the new token over.
  if (call.switches.rotateOnRead && call.request.method !== 'HEAD')
    client.registrationToken = newRegistrationToken(call)
  call.note(`read ${client.clientId}`)
  return information(membersOf(client, call), 200)
}

/** @see [RFC 7592 2.2](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.2) */
export async function update(call: Call): Promise<Answer> {
  const { state, switches } = call
  const before = managed(call)
  const body = await readMetadata(call)
  checkUpdate(body, before, call)
  const hasStatement = body.software_statement !== undefined || switches.updateNeedsStatement
  // Where the statement may be left out, that of the registration is used.
  const stated = hasStatement ? body.software_statement : before.members.software_statement
  const { application, statement } = await verifyStatement(call, stated)
  if (application.clientId !== before.clientId && !call.breaks('statement-is-of-the-client')) {
    refuse('statementInvalid', 'the software statement is of another application')
  }
  const registration = register(body, statement, coveredScopes(application, statement, call, body.scopes), call)

  // Looked up again, since the client may have been deleted or its token rotated meanwhile. No await from here on.
  const client = managed(call)
  const former = { members: client.members, scopes: client.scopes }
  const isMerged = call.breaks('update-replaces')
  const scopes = isMerged ? [...new Set([...client.scopes, ...registration.scopes])] : registration.scopes
  const asked = Object.entries(registration.members).filter(([name]) => name in body || !isMerged)
  client.members = {
    ...client.members,
    ...Object.fromEntries(asked),
    ...{ scopes, scope: scopes.join(' ') },
    software_statement: stated,
    updated_at: nanoseconds(call, state.now()),
  }
  client.scopes = scopes
  // Documented: a PUT removes the metadata that Thredd has set.
  if (!call.breaks('update-removes-metadata')) client.metadata = undefined
  if (switches.rotateOnUpdate) client.registrationToken = newRegistrationToken(call)
  if (switches.tokensAfterUpdate === 'revoked') state.revokeTokens(client.clientId)
  call.note(`updated ${client.clientId} with ${scopesInWords(registration)}`)
  const answer = information(membersOf(client, call), 200)
  if (call.breaks('update-takes-effect')) Object.assign(client, former)
  return answer
}

/** @see [RFC 7592 2.3](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.3) */
export function remove(call: Call): Answer {
  const client = managed(call)
  call.state.deleteClient(client.clientId, call.switches.tokensAfterDelete)
  call.note(`deleted ${client.clientId}`)
  return empty(204, NO_STORE)
}

function checkUpdate(body: Json, client: Client, call: Call): void {
  const { updateBody } = call.switches
  const wrong: (name: string, reason: string) => never = (name, reason) =>
    refuse('metadataInvalid', reason, { error_hint: name })
  if (updateBody !== 'acp') {
    const forbidden = NOT_IN_UPDATE.find((name) => body[name] !== undefined)
    if (forbidden !== undefined) wrong(forbidden, `an update must not carry ${forbidden}`)
    if (updateBody === 'rfc' && body.client_id === undefined) wrong('client_id', 'client_id is missing')
  }
  if (updateBody !== 'acp' && body.client_id !== undefined && body.client_id !== client.clientId) {
    wrong('client_id', 'client_id is of another client')
  }
  const secret = body.client_secret
  if (secret !== undefined && secret !== client.members.client_secret) {
    wrong('client_secret', 'client_secret is not the current one')
  }
}

async function readMetadata(call: Call): Promise<Json> {
  const isJson = mediaType(call.request) === 'application/json'
  if (!isJson && !call.breaks('registration-is-json')) refuse('metadataInvalid', 'the body is not application/json')
  const body: unknown = await call.request.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    refuse('metadataInvalid', 'the body is not a JSON object')
  }
  return body as Json
}

/** RFC 7591 3: checked before the body is read; only a registration that succeeds uses the token up. */
function initialAccessToken(call: Call): string | undefined {
  if (call.switches.initialAccessToken === 'off') return undefined
  const value = bearerToken(call)
  if (value === undefined) refuse('initialTokenAbsent', 'no initial access token')
  const end = call.state.initialAccessTokens.get(value)
  if (end === undefined) refuse('initialTokenInvalid', 'the initial access token is unknown or used up')
  if (end > 0 && end <= call.state.now().getTime()) {
    refuse('initialTokenInvalid', 'the initial access token has expired')
  }
  return value
}

/** Twice 43 characters, as in the samples. */
function newRegistrationToken(call: Call): RegistrationToken {
  const { state, switches, certificate } = call
  const life = switches.registrationTokenSeconds
  return {
    value: `${state.token()}.${state.token()}`,
    expiresAt: life === 0 ? undefined : state.now().getTime() + life * 1000,
    thumbprint: certificate === undefined ? undefined : thumbprint(certificate),
  }
}

/**
 * The client information response: the documented members in the documented order.
 * @see [RFC 7592 3](https://www.rfc-editor.org/rfc/rfc7592.html#section-3)
 */
function membersOf(client: Client, call: Call): Json {
  const all: Json = {
    ...client.members,
    registration_access_token: client.registrationToken.value,
    registration_client_uri: call.publish(client.registrationClientUri),
    registration_access_token_expires_in: call.switches.registrationTokenSeconds,
  }
  return Object.fromEntries(MEMBERS.map((name) => [name, publishedClaim(name, all[name], call.publish)]))
}

function information(members: Json, status: number, headings: Headings = {}): Answer {
  return json(members, status, { ...NO_STORE, ...headings })
}

/** RFC 3339 with nine fractional digits, of which the last six are random. */
function nanoseconds(call: Call, time: Date): string {
  const further = Number.parseInt(call.state.hex(4), 16) % 1_000_000
  return time.toISOString().replace('Z', `${String(further).padStart(6, '0')}Z`)
}

function scopesInWords({ scopes, requested }: Registration): string {
  return requested.length === 0
    ? `${scopes.length} scopes by default`
    : `${scopes.length} scopes, ${requested.length} asked`
}
