/** The public keystore: keys and certificates per application and organisation, active and inactive. */
import type { X509Certificate } from 'node:crypto'
import { exportJWK } from 'jose'
import { type Answer, json, text } from '../content.ts'
import { thumbprint } from '../digest.ts'
import { hostsOf, KEYSTORE } from '../hosts.ts'
import type { Application, ListedCertificate } from '../model.ts'
import type { Call, Route } from '../route.ts'

const UUID = '[0-9A-Fa-f-]{36}'
const ORGANISATION = `/(?<organisation>${UUID})`
const APPLICATION = `${ORGANISATION}/(?<software>${UUID})`

export const keystoreRoutes: readonly Route[] = [
  jwks('applicationJwks', APPLICATION, 'application.jwks', 'sig', true),
  jwks('transportJwks', APPLICATION, 'transport.jwks', 'tls', true),
  jwks('inactiveApplicationJwks', APPLICATION, 'inactive/application.jwks', 'sig', false),
  jwks('inactiveTransportJwks', APPLICATION, 'inactive/transport.jwks', 'tls', false),
  jwks('organisationApplicationJwks', ORGANISATION, 'application.jwks', 'sig', true),
  jwks('organisationTransportJwks', ORGANISATION, 'transport.jwks', 'tls', true),
  jwks('organisationInactiveApplicationJwks', ORGANISATION, 'inactive/application.jwks', 'sig', false),
  jwks('organisationInactiveTransportJwks', ORGANISATION, 'inactive/transport.jwks', 'tls', false),
  {
    operation: 'redirectUris',
    ...at(`${APPLICATION}/redirect_uris\\.json`),
    /** OpenID Connect Registration 5: a JSON array. */
    handle(call) {
      const [application] = applicationsOf(call)
      return application === undefined ? notFound(call) : json(application.claims.redirect_uris)
    },
  },
  {
    operation: 'certificate',
    ...at(`${APPLICATION}/(?<x5t>[0-9A-Za-z_-]{43})\\.pem`),
    handle(call) {
      const listed = applicationsOf(call)
        .flatMap((application) => application.certificates)
        .find(({ certificate }) => thumbprint(certificate) === call.params.x5t)
      if (listed === undefined) return notFound(call)
      return text(listed.certificate.toString(), 200, { 'content-type': 'application/x-pem-file' })
    },
  },
]

function jwks(operation: string, owner: string, name: string, use: ListedCertificate['use'], active: boolean): Route {
  return {
    operation,
    ...at(`${owner}/${name.replace('.', '\\.')}`),
    async handle(call) {
      const applications = applicationsOf(call)
      if (applications.length === 0) return notFound(call)
      const keys = applications.flatMap((application) =>
        application.certificates
          .filter((listed) => listed.use === use && listed.active === active)
          .map((listed) => toJwk(application, listed, call)),
      )
      return json({ keys: await Promise.all(keys) })
    },
  }
}

function at(path: string): Pick<Route, 'method' | 'hosts' | 'path'> {
  return { method: 'GET', hosts: hostsOf('keystore'), path: new RegExp(`^${path}$`) }
}

function applicationsOf(call: Call): readonly Application[] {
  const { organisation, software } = call.params
  return [...call.state.applications.values()].filter(
    (application) =>
      application.organisationId === organisation && (software === undefined || application.softwareId === software),
  )
}

/** Members and order of the documented sample; no `alg`. */
async function toJwk(application: Application, listed: ListedCertificate, call: Call): Promise<object> {
  const { certificate, kid, use } = listed
  const { kty, ...key } = await exportJWK(certificate.publicKey)
  const x5t = thumbprint(certificate)
  const base = `${KEYSTORE}/${application.organisationId}/${application.softwareId}`
  return {
    kty,
    use,
    x5c: [certificate.raw.toString('base64')],
    ...key,
    kid,
    x5u: call.publish(`${base}/${x5t}.pem`),
    'x5t#S256': x5t,
    x5dn: distinguishedName(certificate),
  }
}

/** RFC 4514 2.1: the most specific name first. */
function distinguishedName(certificate: X509Certificate): string {
  return certificate.subject.split('\n').reverse().join(',')
}

function notFound(call: Call): Answer {
  call.note('the keystore has nothing at this address')
  return json({ error: 'not_found', error_description: 'no such key set' }, 404)
}
