/** Steps of ours that get what an imported request needs of a documented call: an access token, a software statement. One table. */
import type { CallName } from './recognise.ts'
import type { Capture } from './script.ts'
import type { Input } from './values.ts'

export interface Canned {
  readonly stepId: string
  /** its URL starts at the folder flows */
  readonly source: { readonly name: string; readonly url: string; readonly type: 'openapi' | 'arazzo' }
  readonly inputs: readonly Input[]
  readonly data: Readonly<Record<string, unknown>>
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const hidden = (mint: object): Input['schema'] => ({ type: 'string', format: 'password', 'x-dcr': mint })

const API_TOKEN: Canned = {
  stepId: 'api-token',
  source: { name: 'authorization', url: 'apis/authorization.openapi.yaml', type: 'openapi' },
  inputs: [{ name: 'client_assertion', schema: hidden({ mint: 'client_assertion' }), isRequired: false }],
  data: {
    stepId: 'api-token',
    description: 'Get Access Token',
    operationId: '$sourceDescriptions.authorization.token',
    requestBody: {
      contentType: 'application/x-www-form-urlencoded',
      payload: {
        grant_type: 'client_credentials',
        client_assertion_type: JWT_BEARER,
        client_assertion: '$inputs.client_assertion',
      },
    },
    successCriteria: [{ condition: '$statusCode == 200' }],
    outputs: { access_token: '$response.body#/access_token' },
  },
}

const BY_ASSERTION = { when: "$inputs.directory_auth_method == 'private_key_jwt'" }

const DIRECTORY_TOKEN: Canned = {
  stepId: 'directory-token',
  source: { name: 'directory_mtls', url: 'apis/directory.openapi.yaml', type: 'openapi' },
  inputs: [
    { name: 'client_id', schema: { type: 'string' }, isRequired: true },
    {
      name: 'directory_auth_method',
      schema: { enum: ['tls_client_auth', 'private_key_jwt'], default: 'tls_client_auth' },
      isRequired: false,
    },
    {
      name: 'directory_assertion_type',
      schema: { const: JWT_BEARER, default: JWT_BEARER, 'x-dcr': BY_ASSERTION },
      isRequired: false,
    },
    { name: 'directory_assertion', schema: hidden({ mint: 'client_assertion', ...BY_ASSERTION }), isRequired: false },
  ],
  data: {
    stepId: 'directory-token',
    description: 'RC Access Token',
    operationId: '$sourceDescriptions.directory_mtls.directoryToken',
    requestBody: {
      contentType: 'application/x-www-form-urlencoded',
      payload: {
        grant_type: 'client_credentials',
        scope: 'directory:software',
        client_id: '$inputs.client_id',
        client_assertion_type: '$inputs.directory_assertion_type',
        client_assertion: '$inputs.directory_assertion',
      },
    },
    successCriteria: [{ condition: '$statusCode == 200' }],
    outputs: { access_token: '$response.body#/access_token' },
  },
}

const STATEMENT: Canned = {
  stepId: 'software-statement',
  source: { name: 'ssa', url: 'parts/software-statement.arazzo.yaml', type: 'arazzo' },
  inputs: [],
  data: {
    stepId: 'software-statement',
    workflowId: '$sourceDescriptions.ssa.software-statement',
    outputs: { software_statement: '$outputs.software_statement' },
  },
}

interface Gets {
  /** what the request must capture in Postman */
  readonly captures: (from: Capture['from']) => boolean
  readonly step: Canned
  readonly output: string
}

const isAccessToken = (from: Capture['from']) =>
  typeof from === 'object' && 'pointer' in from && from.pointer === '/access_token'

const GETS: Readonly<Partial<Record<CallName, Gets>>> = {
  'api-token': { captures: isAccessToken, step: API_TOKEN, output: 'access_token' },
  'directory-token': { captures: isAccessToken, step: DIRECTORY_TOKEN, output: 'access_token' },
  statement: { captures: (from) => from === 'body', step: STATEMENT, output: 'software_statement' },
}

export function cannedFor(
  call: CallName,
  from: Capture['from'],
): { readonly expression: string; readonly steps: readonly Canned[] } | undefined {
  const gets = GETS[call]
  if (gets === undefined || !gets.captures(from)) return undefined
  return { expression: `$steps.${gets.step.stepId}.outputs.${gets.output}`, steps: [gets.step] }
}
