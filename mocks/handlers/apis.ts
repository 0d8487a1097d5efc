/** The resource servers, far enough to prove a token: one read call each, with every check a real one makes. */
import { jwtVerify } from 'jose'
import { json } from '../content.ts'
import { hostsOf } from '../hosts.ts'
import { refuse } from '../refusals.ts'
import { bearerToken, type Call, type Route } from '../route.ts'
import { thumbprint } from '../state.ts'
import { RESOURCE_AUDIENCE } from './authorization.ts'

/** 0 default, 1 EMEA, 2 APAC. */
const REGIONS = ['0', '1', '2']

export const apiRoutes: readonly Route[] = [
  {
    operation: 'cardsSmoke',
    method: 'GET',
    hosts: hostsOf('cards'),
    path: /^\/api\/v1\/cards$/,
    async handle(call) {
      await authorize(call, 'cards.read')
      return answer(call, { cards: [] })
    },
  },
  {
    operation: 'listProducts',
    method: 'GET',
    hosts: hostsOf('api-hub'),
    path: /^\/core\/api\/v1\/products$/,
    async handle(call) {
      // No page names the scope of this call; the reading of cards is the nearest.
      await authorize(call, 'cards.read')
      if (!REGIONS.includes(call.request.headers.get('x-region') ?? '')) {
        refuse('apiValidation', 'header X-Region is missing or unknown', {
          traceId: traceId(call),
          errors: { 'X-Region': ['The X-Region header must be 0, 1 or 2.'] },
        })
      }
      return answer(call, { products: [] })
    },
  },
]

/** @see [RFC 8705 3](https://www.rfc-editor.org/rfc/rfc8705.html#section-3) */
async function authorize(call: Call, scope: string): Promise<void> {
  const { state, switches } = call
  const token = bearerToken(call.request)
  if (token === undefined) refuse('apiTokenAbsent', 'no bearer token')
  // No issuer is asked for: it moves with the address of the twin, and what is signed here was issued here.
  const claims = await jwtVerify(token, state.tokenSigner.publicKey, {
    algorithms: ['ES256'],
    audience: RESOURCE_AUDIENCE,
    requiredClaims: ['jti', 'exp', 'cnf', 'scp', 'sub'],
    currentDate: state.now(),
  }).then(
    ({ payload }) => payload,
    () => refuse('apiToken', 'the token is not valid or has expired'),
  )
  if (!state.accessTokens.has(String(claims.jti))) refuse('apiToken', 'the token was revoked')
  const { cnf, scp, sub } = claims as { cnf?: { 'x5t#S256'?: unknown }; scp?: unknown; sub?: string }
  if (call.certificate === undefined) refuse('apiToken', 'no client certificate')
  if (cnf?.['x5t#S256'] !== thumbprint(call.certificate))
    refuse('apiToken', 'the token is bound to another certificate')
  if (!(Array.isArray(scp) && scp.includes(scope))) refuse('apiScope', `the token lacks scope ${scope}`)
  if (switches.requirePmMetadata && state.clients.get(String(sub))?.metadata === undefined) {
    refuse('apiMetadata', 'Programme Manager metadata is not set', { traceId: traceId(call) })
  }
  call.note(`token of ${sub} accepted`)
}

function answer(call: Call, body: Record<string, unknown>): Response {
  return json(body, 200, { 'x-trace-id': traceId(call) })
}

/** The form of the documented sample: a W3C traceparent. */
function traceId(call: Call): string {
  return `00-${call.state.hex(16)}-${call.state.hex(8)}-00`
}
