/** The resource servers: one read call each, with every check of the access token. */
import products from '../../fixtures/thredd/products.json' with { type: 'json' }
import { json } from '../content.ts'
import { thumbprint } from '../digest.ts'
import { hostsOf } from '../hosts.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call, type Route } from '../route.ts'

/** No page names the scope of these calls; this is the nearest. */
const SCOPE = 'cards.read'
/** 0 default, 1 EMEA, 2 APAC. */
const REGIONS = ['0', '1', '2']

export const apiRoutes: readonly Route[] = [
  {
    operation: 'cardsSmoke',
    method: 'GET',
    hosts: hostsOf('cards'),
    path: /^\/api\/v1\/products$/,
    handle(call) {
      authorize(call, SCOPE)
      return json(products)
    },
  },
  {
    operation: 'listProducts',
    method: 'GET',
    hosts: hostsOf('api-hub'),
    path: /^\/core\/api\/v1\/products$/,
    handle(call) {
      authorize(call, SCOPE)
      if (!REGIONS.includes(call.request.headers.get('x-region') ?? '')) {
        refuse('apiValidation', 'header X-Region is missing or unknown', {
          traceId: call.trace,
          errors: { 'X-Region': ['The X-Region header must be 0, 1 or 2.'] },
        })
      }
      return json(products)
    },
  },
]

/** @see [RFC 8705 3](https://www.rfc-editor.org/rfc/rfc8705.html#section-3) */
function authorize(call: Call, scope: string): void {
  const { state, switches, certificate } = call
  const value = bearerToken(call)
  if (value === undefined && call.breaks('api-token-is-needed')) return
  if (value === undefined) refuse('apiTokenAbsent', 'no bearer token')
  if (call.breaks('registration-token-opens-no-api') && state.isRegistrationToken(value)) return
  const token = state.livingToken(value)
  if (token === undefined) refuse('apiToken', 'the token is unknown, was revoked or has expired')
  const { clientId, claims } = token
  const isBound = certificate !== undefined && claims.cnf['x5t#S256'] === thumbprint(certificate)
  if (!isBound && !call.breaks('token-is-bound-to-the-certificate')) {
    refuse(
      'apiToken',
      certificate === undefined ? 'no client certificate' : 'the token is bound to another certificate',
    )
  }
  if (!claims.scp.includes(scope)) refuse('apiScope', `the token lacks scope ${scope}`)
  if (switches.requirePmMetadata && state.clients.get(clientId)?.metadata === undefined) {
    refuse('apiMetadata', 'Programme Manager metadata is not set', { traceId: call.trace })
  }
  call.note(`token of ${clientId} accepted`)
}
