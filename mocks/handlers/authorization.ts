/** The authorization server under both its names: its operations and their paths. */
import { exportJWK } from 'jose'
import discovery from '../../fixtures/thredd/well-known-authorization-server.json' with { type: 'json' }
import { type Answer, json } from '../content.ts'
import { AUTHORIZATION } from '../hosts.ts'
import { publishedDocument } from '../publish.ts'
import type { Call, Route } from '../route.ts'
import { create, read, remove, update } from './registration.ts'
import { introspect, revoke, token } from './tokens.ts'

/** The same operations under both names; only the old one has the tenant in its paths. */
export const authorizationRoutes: readonly Route[] = Object.values(AUTHORIZATION).flatMap((base) => {
  const { hostname, pathname } = new URL(base)
  const at = (path: string) => ({ hosts: [hostname], path: new RegExp(`^${pathname}${path}$`) })
  const configuration = at('/oauth2/register/(?<client>.+)')
  const routes: readonly Route[] = [
    {
      operation: 'authorizationDiscovery',
      method: 'GET',
      ...at('/\\.well-known/openid-configuration'),
      /** Published for the old name; the custom domain answers with its own addresses. */
      handle: publishedDocument(discovery, [AUTHORIZATION.old, base]),
    },
    { operation: 'authorizationJwks', method: 'GET', ...at('/\\.well-known/jwks\\.json'), handle: jwks },
    { operation: 'registerClient', method: 'POST', ...at('/oauth2/register'), handle: create },
    { operation: 'readClient', method: 'GET', ...configuration, handle: read },
    { operation: 'updateClient', method: 'PUT', ...configuration, handle: update },
    { operation: 'deleteClient', method: 'DELETE', ...configuration, handle: remove },
    { operation: 'token', method: 'POST', ...at('/oauth2/token'), handle: token },
    { operation: 'introspect', method: 'POST', ...at('/oauth2/introspect'), handle: introspect },
    { operation: 'revoke', method: 'POST', ...at('/oauth2/revoke'), handle: revoke },
  ]
  return routes
})

async function jwks(call: Call): Promise<Answer> {
  const { publicKey, kid } = call.state.tokenSigner
  return json({ keys: [{ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' }] })
}
