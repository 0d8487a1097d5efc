/** The client that a management request is for, if its token may manage it. */
import { thumbprint } from '../digest.ts'
import type { Client } from '../model.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call } from '../route.ts'

/** In characters; the tokens of both samples are longer. */
const LONG = 40

/**
 * The registered client of the configuration URL, if the bearer token is its own.
 * @see [RFC 7592 2.1](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1)
 */
export function managed(call: Call): Client {
  const { state, switches, params } = call
  const value = bearerToken(call)
  const client = findClient(call, params.client ?? '')
  if (value === undefined && client !== undefined && call.breaks('registration-token-is-needed')) return client
  if (value === undefined) refuse('registrationTokenAbsent', 'no registration access token')
  if (client === undefined && switches.unknownClientStatus === '404') {
    const hint = `Object with ID ${plainIdentifier(params.client ?? '')} does not exist`
    refuse('notFound', 'the client does not exist', { error_hint: hint })
  }
  if (client !== undefined && isTolerated(value, client, call)) return client
  if (state.deadTokens.has(value)) refuse('clientDeleted', 'the token of a deleted client')
  const isOwn = client?.registrationToken.value === value
  const owner = isOwn ? client : [...state.clients.values()].find((one) => one.registrationToken.value === value)
  if (owner === undefined && !switches.registrationTokenManagement) return managedByScope(call, value, client)
  if (owner === undefined || client === undefined) {
    refuse('registrationTokenInvalid', 'the registration access token is unknown')
  }
  const { expiresAt, thumbprint: bound } = owner.registrationToken
  if (expiresAt !== undefined && expiresAt <= state.now().getTime()) {
    refuse('registrationTokenInvalid', 'the registration access token has expired')
  }
  if (!switches.registrationTokenManagement) {
    refuse('registrationTokenForeign', 'management by registration access token is switched off')
  }
  if (owner !== client && !call.breaks('registration-token-is-of-the-client')) refuseForeign(call)
  if (switches.certBoundRegistrationToken) {
    if (call.certificate === undefined || thumbprint(call.certificate) !== bound) {
      refuse('registrationTokenInvalid', 'the registration access token is bound to another certificate')
    }
  }
  return client
}

/** A token that only a server which breaks a rule takes. */
function isTolerated(value: string, client: Client, call: Call): boolean {
  if (call.breaks('registration-token-is-checked')) return true
  if (call.breaks('registration-token-is-known')) return value.length >= LONG
  if (call.breaks('registration-token-is-compared-whole')) return value.startsWith(client.registrationToken.value)
  if (call.breaks('access-token-manages-nothing')) return call.state.livingToken(value) !== undefined
  // As this server makes them, so that one which was replaced is among them.
  return call.breaks('replaced-token-is-dead') && /^[\w-]{43}\.[\w-]{43}$/.test(value)
}

/** The product's other way: management by an access token with scope dcr_manage. */
function managedByScope(call: Call, value: string, client: Client | undefined): Client {
  const { state, certificate } = call
  const token = state.livingToken(value)
  if (token === undefined || client === undefined) refuse('registrationTokenInvalid', 'the access token is unknown')
  const { clientId, claims } = token
  if (certificate === undefined || claims.cnf['x5t#S256'] !== thumbprint(certificate)) {
    refuse('registrationTokenInvalid', 'the access token is bound to another certificate')
  }
  if (!claims.scp.includes('dcr_manage')) refuse('registrationTokenForeign', 'the access token lacks scope dcr_manage')
  if (clientId !== client.clientId) refuseForeign(call)
  return client
}

function refuseForeign({ switches }: Call): never {
  return refuse(
    switches.foreignTokenStatus === '403' ? 'registrationTokenForeign' : 'registrationTokenInvalid',
    "another client's token",
  )
}

/** Takes both documented forms of the address, also where a proxy has collapsed `//` or decoded `%2F`. */
function findClient(call: Call, sent: string): Client | undefined {
  const { clients } = call.state
  return clients.get(plainIdentifier(sent)) ?? clients.get(sent)
}

function plainIdentifier(sent: string): string {
  try {
    return decodeURIComponent(sent).replace(/^(https?:)\/+/, '$1//')
  } catch {
    return sent
  }
}
