/** The client metadata that the benches register, but for the scopes. Nothing is imported here: the script by hand loads little. */
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
