/** A list of applications, as the twin knows them and as a file of rows has them. */
import { readSeed } from '../../mocks/index.ts'
import type { Network } from './network.ts'
import { ORGANISATION } from './twin.ts'

/** They share the certificates of the documented application, so the directory must authenticate by assertion. */
export const SHARED_CERTIFICATE = { directoryAuthMethod: 'private_key_jwt' } as const
export const SHARED_SETTING = 'DIRECTORY_AUTH_METHOD=private_key_jwt\n'

export function softwareId(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

export function clientId(number: number): string {
  return `https://rp.directory.sandbox.threddid.com/openid_relying_party/${softwareId(number)}`
}

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

export function csvOf(rows: readonly number[]): string {
  return rows.reduce(
    (text, number) => `${text}${clientId(number)},${ORGANISATION},${softwareId(number)}\r\n`,
    'CLIENT_ID,ORG_ID,SOFTWARE_ID\r\n',
  )
}

/** The twin then has an application for each of these rows. */
export function addApplications({ twin, pki }: Pick<Network, 'twin' | 'pki'>, rows: readonly number[]): void {
  const { transport, signing } = pki.identities
  const entries = rows.map((number) => ({
    name: `row-${number}`,
    org_id: ORGANISATION,
    software_id: softwareId(number),
    client_id: clientId(number),
  }))
  for (const { claims } of readSeed(JSON.stringify({ applications: entries })).applications) {
    twin.state.addApplication(claims)
    twin.state.listCertificate(claims.software_id, 'tls', transport.certificate)
    twin.state.listCertificate(claims.software_id, 'sig', signing.certificate, pki.signingKid)
  }
}
