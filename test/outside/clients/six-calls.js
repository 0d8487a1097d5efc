// What the benches of other runners send: the bodies and ids of the six documented calls.
export const CLIENT_ID =
  'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
export const STATEMENT_PATH =
  '/organisations/99b2b599-8cc2-499e-b805-e3d84233ae8e/softwarestatements/b9f04639-cdeb-425b-a310-450d3d293fd4/assertion'

export const TOKEN_REQUEST = {
  grant_type: 'client_credentials',
  scope: 'directory:software',
  client_id: CLIENT_ID,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  // The server of the bench checks none, and neither runner can sign with RSA-PSS.
  client_assertion: 'e30.e30.c2lnbmF0dXJl',
}

export const METADATA = {
  grant_types: ['client_credentials'],
  application_types: ['service', 'dcr'],
  application_type: 'service',
  token_endpoint_auth_method: 'private_key_jwt',
  id_token_signed_response_alg: 'RS256',
  tls_client_certificate_bound_access_tokens: true,
  request_object_signing_alg: 'RS256',
  response_types: 'token',
}
