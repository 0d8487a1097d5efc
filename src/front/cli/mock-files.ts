/** The files that `thredd mock` writes for its clients: environment files, a curl script, a Postman environment. */
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Pki, RunningTwin, SeededApplication } from '../../../mocks/index.ts'
import { fail } from '../../record/errors.ts'
import { dotenv } from '../../record/foreign.ts'
import { replaceFile } from '../../record/replace-file.ts'

export const CURL_FILE = 'curl.sh'
export const POSTMAN_FILE = 'twin.postman_environment.json'
const AUTHORIZATION = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients'
/** The application of the documentation's sample response (Using DCR Endpoint Data, 3.3.3). */
const SOFTWARE_ID = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const ORG_ID = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
const CLIENT_ID = `https://rp.directory.sandbox.threddid.com/openid_relying_party/${SOFTWARE_ID}`
export const DOCUMENTED: SeededApplication = {
  name: 'twin',
  roles: ['ws', 'programme-manager', 'bulk-cards'],
  claims: { client_id: CLIENT_ID, org_id: ORG_ID, software_id: SOFTWARE_ID },
}
const SERVERS = {
  DIRECTORY: 'https://auth.directory.sandbox.threddid.com',
  DIRECTORY_MTLS: 'https://matls-auth.directory.sandbox.threddid.com',
  DIRECTORY_API: '',
  KEYSTORE: 'https://keystore.directory.sandbox.threddid.com',
  AUTHORIZATION,
  CARDS: 'https://api.uat.threddpay.com',
  API_HUB: 'https://api-uat.thredd.com',
}

/** Writes an environment file for each application, the curl script and the Postman environment. */
export async function writeClientFiles(
  folder: string,
  running: RunningTwin,
  pki: Pki,
  applications: readonly SeededApplication[],
): Promise<void> {
  // Which host hands out software statements is a switch of the twin.
  const [directoryApi = ''] = running.twin.operations.get('getSoftwareStatementAssertion') ?? []
  const documented = { ...SERVERS, DIRECTORY_API: `https://${directoryApi}` }
  const servers = Object.entries(documented).map(([name, url]) => [name, running.publish(url)] as const)
  const at = Object.fromEntries(servers) as Record<keyof typeof SERVERS, string>
  const files = {
    ...Object.fromEntries(
      applications.map((application) => [`.env.${application.name}`, environment(servers, running, pki, application)]),
    ),
    [CURL_FILE]: curlLines(at, pki),
    [POSTMAN_FILE]: postman(at, pki, await readFile(pki.identities.signing.keyFile, 'utf8')),
  }
  for (const [name, text] of Object.entries(files)) {
    await replaceFile(join(folder, name), text, name.endsWith('.sh') ? 0o700 : 0o600)
  }
}

function environment(
  servers: readonly (readonly [string, string])[],
  running: RunningTwin,
  pki: Pki,
  { name, roles, claims }: SeededApplication,
): string {
  const { transport, signing, signingKid } = pki.applications[name] ?? { ...pki.identities, signingKid: pki.signingKid }
  const path = (file: string) => `pki/${basename(file)}`
  return `# Written by thredd mock: the offline twin on ${running.origin}.
ENV_CLASS=mock

${servers.map(([source, url]) => `SERVER_${source}=${url}`).join('\n')}

CLIENT_ID=${written(claims.client_id)}
ORG_ID=${claims.org_id}
SOFTWARE_ID=${claims.software_id}
ROLES=${written(roles.join(' '))}

TRANSPORT_CERT_FILE=${path(transport.certificateFile)}
TRANSPORT_KEY_FILE=${path(transport.keyFile)}
CA_FILE=pki/ca.crt
${['renewed', 'other', 'expired', 'clone']
  .map(
    (name) =>
      `IDENTITY_${name.toUpperCase()}_CERT_FILE=pki/${name}.crt\nIDENTITY_${name.toUpperCase()}_KEY_FILE=pki/${name}.key`,
  )
  .join('\n')}

SIGNING_KEY_FILE=${path(signing.keyFile)}
SIGNING_KID=${signingKid}
RENEWED_SIGNING_KEY_FILE=pki/renewed-signing.key
RENEWED_SIGNING_KID=${pki.renewedSigningKid}
EXPECTED_TOKEN_ISSUER=${running.publish(AUTHORIZATION.replace('.mtls', ''))}
VAULT_DIR=vault
SACRIFICIAL_CLIENT=true
`
}

/** A value of the seed file as the environment file has it. */
function written(value: string): string {
  return (
    dotenv(value) ??
    fail({
      code: 'USAGE',
      message: `no environment file can hold the value "${value}" of the seed`,
      expected: 'a value without quotes, line breaks and characters that cannot be seen',
    })
  )
}

/** The documented calls as shell commands, each using what the one before has answered. */
function curlLines(at: Record<keyof typeof SERVERS, string>, pki: Pki): string {
  return `#!/bin/sh
# Written by thredd mock: the documented registration with curl and openssl, then an API access token and a call.
set -eu
cd "$(dirname "$0")"
client_id='${CLIENT_ID}'
call() { curl --silent --show-error --fail-with-body --path-as-is --cacert pki/ca.crt --cert pki/transport.crt --key pki/transport.key "$@"; }
member() { sed -n 's/.*"'"$1"'":"\\([^"]*\\)".*/\\1/p'; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# 2.1 RC Access Token
directory_token=$(call --data grant_type=client_credentials --data scope=directory:software --data-urlencode "client_id=$client_id" \\
  '${at.DIRECTORY_MTLS}/token' | member access_token)

# 2.2 Get RC SSA
ssa=$(call --header "Authorization: Bearer $directory_token" \\
  '${at.DIRECTORY_API}/organisations/${ORG_ID}/softwarestatements/${SOFTWARE_ID}/assertion')

# 2.3 Dynamic Client Registration
registration=$(call --header 'Content-Type: application/json' --data '{
  "grant_types": ["client_credentials"], "application_types": ["service", "dcr"], "application_type": "service",
  "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "RS256",
  "scopes": ["cards.read", "cards.write", "pin.read"], "tls_client_certificate_bound_access_tokens": true,
  "request_object_signing_alg": "RS256", "response_types": "token", "software_statement": "'"$ssa"'"}' \\
  '${at.AUTHORIZATION}/oauth2/register')
echo "$registration"
registration_access_token=$(echo "$registration" | member registration_access_token)
registration_client_uri=$(echo "$registration" | member registration_client_uri)

# Get Access Token
now=$(date +%s)
header=$(printf '{"alg":"PS256","typ":"JWT","kid":"${pki.signingKid}"}' | base64url)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s","jti":"%s","iat":%s,"exp":%s}' "$client_id" "$client_id" \\
  '${at.AUTHORIZATION}/oauth2/token' "$(openssl rand -hex 16)" "$now" "$((now + 300))" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign pki/signing.key \\
  -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -binary | base64url)
access_token=$(call --data grant_type=client_credentials \\
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
  --data "client_assertion=$header.$claims.$signature" '${at.AUTHORIZATION}/oauth2/token' | member access_token)

call --header "Authorization: Bearer $access_token" '${at.CARDS}/api/v1/products'
echo

# DCR DELETE, so that the script can be run again
call --request DELETE --header "Authorization: Bearer $registration_access_token" "$registration_client_uri"
`
}

/** Variables by the names of the documented Postman collection. Holds the signing key, as that collection does. */
function postman(at: Record<keyof typeof SERVERS, string>, pki: Pki, signingKey: string): string {
  const values = {
    org_id: ORG_ID,
    ssa_id: SOFTWARE_ID,
    client_id: CLIENT_ID,
    kid: pki.signingKid,
    private_key: signingKey,
    directory: at.DIRECTORY,
    directory_mtls: at.DIRECTORY_MTLS,
    directory_api: at.DIRECTORY_API,
    authorization: at.AUTHORIZATION,
    cards: at.CARDS,
    ssa: '',
    registration_access_token: '',
    registration_client_uri: '',
  }
  const secret = ['private_key', 'ssa', 'registration_access_token']
  const document = {
    name: 'Offline twin',
    values: Object.entries(values).map(([key, value]) => ({
      key,
      value,
      type: secret.includes(key) ? 'secret' : 'default',
      enabled: true,
    })),
    _postman_variable_scope: 'environment',
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}
