/**
 * The subset of Arazzo that two runners share, one rule a case, with the outcome that the standard asks for. Where the other
 * runner comes to another, the clause decides; a difference that is not listed here, or is listed and gone, fails the proof.
 */
export interface Case {
  readonly id: string
  /** section of Arazzo 1.1 */
  readonly clause: string
  /** steps of the workflow `main`, as YAML at indentation 6 */
  readonly steps: string
  /** more members of `main`, at indentation 4, and more workflows, at indentation 2 */
  readonly main?: string
  readonly more?: string
  readonly components?: string
  readonly expected: 'passed' | 'failed'
  /** what the other runner does instead, and why the text is against it */
  readonly known?: string
}

const PET = 'operationId: getPet'
const criterion = (id: string, clause: string, text: string, more: Partial<Case> = {}): Case => ({
  id,
  clause,
  steps: `      - stepId: a\n        ${PET}\n        successCriteria:\n          - ${text}`,
  expected: 'passed',
  ...more,
})
const condition = (id: string, clause: string, text: string, more: Partial<Case> = {}) =>
  criterion(id, clause, `condition: ${JSON.stringify(text)}`, more)
const jsonpath = (id: string, text: string, more: Partial<Case> = {}) =>
  criterion(
    id,
    'JSONPath Conditions',
    `{ context: $response.body, type: jsonpath, condition: ${JSON.stringify(text)} }`,
    more,
  )
const echo = (id: string, clause: string, request: string, check: string, more: Partial<Case> = {}): Case => ({
  id,
  clause,
  steps: `      - stepId: pet
        ${PET}
        outputs: { id: $response.body#/id, name: $response.body#/name, tags: $response.body#/tags }
      - stepId: echo
        operationId: echo
${request.replace(/^/gm, '        ')}
        successCriteria:
          - condition: ${JSON.stringify(check)}`,
  expected: 'passed',
  ...more,
})
const busy = (id: string, clause: string, failures: number, action: string, more: Partial<Case> = {}): Case => ({
  id,
  clause,
  steps: `      - stepId: busy
        operationId: busy
        parameters: [{ name: failures, in: query, value: ${failures} }, { name: key, in: query, value: ${id} }]
        successCriteria: [{ condition: $statusCode == 200 }]
        onFailure:
${action.replace(/^/gm, '          ')}`,
  expected: 'passed',
  ...more,
})

const WRAPPED = 'the body is put into a list first; by RFC 9535 the query is applied to the value itself'

export const CASES: readonly Case[] = [
  condition('status', 'Simple Conditions', '$statusCode == 200'),
  condition('status-wrong', 'Simple Conditions', '$statusCode == 404', { expected: 'failed' }),
  condition('number', 'Simple Conditions', '$response.body#/id >= 7'),
  condition('text', 'Simple Conditions', "$response.body#/name == 'Rex'"),
  condition('text-without-case', 'Operators', "$response.body#/name == 'REX'", {
    known: 'strings are compared with case; "String comparisons MUST be case insensitive"',
  }),
  condition('and', 'Operators', "$statusCode == 200 && $response.body#/name == 'Rex'"),
  condition('or', 'Operators', '$statusCode == 404 || $statusCode == 200'),
  condition('grouping', 'Operators', '($statusCode == 404 || $statusCode == 200) && $response.body#/id == 7', {
    known: 'brackets are no part of a condition; the table of operators has logical grouping',
  }),
  condition('not', 'Operators', '!($statusCode == 404)', {
    known: 'neither brackets nor "!" before them; the table of operators has both',
  }),
  condition('null', 'Simple Conditions', '$response.body#/owner == null'),
  criterion('regex', 'Regex Conditions', "{ context: $response.body#/name, type: regex, condition: '^R' }"),
  jsonpath('jsonpath', '$.tags[*]', { known: WRAPPED }),
  jsonpath('jsonpath-filter', "$.tags[?@ == 'a']", { known: WRAPPED }),
  jsonpath('jsonpath-of-children', "$[?@.name == 'Rex']", { expected: 'failed', known: WRAPPED }),
  {
    id: 'several-criteria',
    clause: 'Multiple Criteria',
    steps: `      - stepId: a\n        ${PET}\n        successCriteria: [{ condition: $statusCode == 200 }, { condition: $response.body#/id == 8 }]`,
    expected: 'failed',
  },
  echo(
    'type-of-an-expression',
    'Runtime Expressions',
    'requestBody: { contentType: application/json, payload: { id: $steps.pet.outputs.id, tags: $steps.pet.outputs.tags } }',
    `$response.body#/body/id == 7 && $response.body#/body/tags/1 == 'b'`,
  ),
  echo(
    'embedded-expression',
    'Runtime Expressions',
    "requestBody: { contentType: application/json, payload: { text: 'no. {$steps.pet.outputs.id} {$steps.pet.outputs.name}' } }",
    `$response.body#/body/text == 'no. 7 Rex'`,
  ),
  echo(
    'text-payload',
    'Request Body Object',
    `requestBody: { contentType: application/json, payload: '{ "name": "{$steps.pet.outputs.name}" }' }`,
    `$response.body#/body/name == 'Rex'`,
    { known: 'nothing is sent; a JSON text with expressions in it is an example of a payload in the standard' },
  ),
  echo(
    'replacement',
    'Payload Replacement Object',
    'requestBody: { contentType: application/json, payload: { a: { b: 1 } }, replacements: [{ target: /a/b, value: $steps.pet.outputs.id }] }',
    `$response.body#/body/a/b == 7`,
  ),
  echo(
    'form',
    'Request Body Object',
    'requestBody: { contentType: application/x-www-form-urlencoded, payload: { name: $steps.pet.outputs.name, id: 1 } }',
    `$response.body#/text == 'name=Rex&id=1'`,
  ),
  echo(
    'json-like-type',
    'Request Body Object',
    'requestBody: { contentType: application/vnd.pets+json, payload: { id: $steps.pet.outputs.id } }',
    `$response.body#/text == '{"id":7}'`,
  ),
  echo(
    'xml-text',
    'Request Body Object',
    "requestBody: { contentType: application/xml, payload: '<id>{$steps.pet.outputs.id}</id>' }",
    `$response.body#/text == '<id>7</id>'`,
  ),
  echo(
    'parts',
    'Request Body Object',
    'requestBody: { contentType: multipart/form-data, payload: { name: $steps.pet.outputs.name, tag: $steps.pet.outputs.tags } }',
    `$response.body#/parts/0 == 'name=Rex' && $response.body#/parts/1 == 'tag=a' && $response.body#/parts/2 == 'tag=b'`,
    { known: 'a list becomes one part, a,b; RFC 7578 4.3: multiple values of a field are parts with the same name' },
  ),
  echo(
    'encoding-of-a-form',
    'Request Body Object',
    'requestBody: { contentType: application/x-www-form-urlencoded, payload: { deep: { a: 1 }, comma: [1, 2] } }',
    `$response.body#/text == 'deep%5Ba%5D=1&comma=1,2'`,
    {
      known:
        'an object becomes [object Object]; OpenAPI Encoding Object: style "follows the same values as query parameters"',
    },
  ),
  echo(
    'style-of-a-parameter',
    'Parameter Object',
    'parameters: [{ name: deep, in: query, value: { a: 1 } }, { name: pipe, in: query, value: [1, 2] }]\nrequestBody: { contentType: application/json, payload: {} }',
    `$response.body#/query == '?deep%5Ba%5D=1&pipe=1%7C2'`,
    {
      known: 'an object becomes [object Object]; OpenAPI Parameter Object: style describes how the value is serialised',
    },
  ),
  echo(
    'content-of-a-parameter',
    'Parameter Object',
    'parameters: [{ name: json, in: query, value: { a: [1] } }]\nrequestBody: { contentType: application/json, payload: {} }',
    `$response.body#/query == '?json=%7B%22a%22%3A%5B1%5D%7D'`,
    {
      known:
        'an object becomes [object Object]; OpenAPI Parameter Object: with content it is serialised as the media type',
    },
  ),
  {
    id: 'anchor',
    clause: 'Resolving URI Fragments',
    main: "    inputs: { type: object, properties: { name: { $ref: '#brief' } }, $defs: { own: { $anchor: brief, type: string, default: told } } }",
    steps: `      - stepId: echo
        operationId: echo
        requestBody: { contentType: application/json, payload: { name: $inputs.name } }
        successCriteria: [{ condition: $response.body#/body/name == 'told' }]`,
    expected: 'passed',
    known: 'the one anchor is found twice; "$ref MUST support … plain-name fragments (defined by $anchor)"',
  },
  echo(
    'parameters',
    'Parameter Object',
    'parameters: [{ name: q, in: query, value: $steps.pet.outputs.name }, { name: X-Any, in: header, value: $steps.pet.outputs.id }]\nrequestBody: { contentType: application/json, payload: {} }',
    `$response.body#/query == '?q=Rex' && $response.body#/any == '7'`,
  ),
  {
    id: 'undefined-output',
    clause: 'Runtime Expressions',
    steps: `      - stepId: pet
        ${PET}
        outputs: { none: $response.body#/none }
      - stepId: next
        operationId: echo
        requestBody: { contentType: application/json, payload: { a: $steps.pet.outputs.none } }`,
    expected: 'failed',
  },
  busy('retry', 'Failure Action Object retryLimit', 2, '- { name: again, type: retry, retryAfter: 0, retryLimit: 2 }'),
  busy('retry-once', 'Failure Action Object retryLimit', 1, '- { name: again, type: retry, retryAfter: 0 }', {
    known: 'without a limit there is no retry; "If not specified then a single retry SHALL be performed"',
  }),
  busy(
    'retry-too-few',
    'Failure Action Object retryLimit',
    3,
    '- { name: again, type: retry, retryAfter: 0, retryLimit: 2 }',
    {
      expected: 'failed',
    },
  ),
  {
    id: 'inherited-action',
    clause: 'Workflow Object failureActions',
    main: '    failureActions: [{ name: again, type: retry, retryAfter: 0, retryLimit: 1 }]',
    steps: `      - stepId: busy
        operationId: busy
        parameters: [{ name: failures, in: query, value: 1 }, { name: key, in: query, value: inherited }]
        successCriteria: [{ condition: $statusCode == 200 }]
        onFailure: [{ name: own, type: end, criteria: [{ condition: $statusCode == 404 }] }]`,
    expected: 'passed',
    known: 'the actions of a step replace those of its workflow; they "override it but can never remove it"',
  },
  {
    id: 'goto',
    clause: 'Success Action Object type goto',
    steps: `      - stepId: a
        ${PET}
        onSuccess: [{ name: skip, type: goto, stepId: c }]
      - stepId: b
        ${PET}
        successCriteria: [{ condition: $statusCode == 404 }]
      - stepId: c
        ${PET}`,
    expected: 'passed',
  },
  {
    id: 'end',
    clause: 'Success Action Object type end',
    steps: `      - stepId: a
        ${PET}
        onSuccess: [{ name: over, type: end, criteria: [{ condition: $statusCode == 200 }] }]
      - stepId: b
        ${PET}
        successCriteria: [{ condition: $statusCode == 404 }]`,
    expected: 'passed',
  },
  {
    id: 'step-runs-workflow',
    clause: 'Step Object workflowId',
    steps: `      - stepId: inner
        workflowId: inner
        parameters: [{ name: text, value: told }]
        outputs: { text: $outputs.text }
      - stepId: echo
        operationId: echo
        requestBody: { contentType: application/json, payload: { text: $steps.inner.outputs.text } }
        successCriteria: [{ condition: $response.body#/body/text == 'told' }]`,
    more: `  - workflowId: inner
    inputs: { type: object, properties: { text: { type: string, default: untold } } }
    steps:
      - stepId: e
        operationId: echo
        requestBody: { contentType: application/json, payload: { text: $inputs.text } }
        outputs: { text: $response.body#/body/text }
    outputs: { text: $steps.e.outputs.text }`,
    expected: 'passed',
  },
  {
    id: 'reusable-parameter',
    clause: 'Reusable Object',
    steps: `      - stepId: echo
        operationId: echo
        parameters: [{ reference: $components.parameters.query, value: over }]
        requestBody: { contentType: application/json, payload: {} }
        successCriteria: [{ condition: $response.body#/query == '?q=over' }]`,
    components: 'components: { parameters: { query: { name: q, in: query, value: under } } }',
    expected: 'passed',
  },
  {
    id: 'operation-path',
    clause: 'Step Object operationPath',
    steps: `      - stepId: a\n        operationPath: '{$sourceDescriptions.pets.url}#/paths/~1pet/get'\n        successCriteria: [{ condition: $statusCode == 200 }]`,
    expected: 'passed',
  },
  {
    id: 'selector',
    clause: 'Selector Object',
    steps: `      - stepId: pet
        ${PET}
        outputs: { tag: { context: $response.body, selector: '$.tags[1]', type: jsonpath } }
      - stepId: echo
        operationId: echo
        requestBody: { contentType: application/json, payload: { tag: $steps.pet.outputs.tag } }
        successCriteria: [{ condition: $response.body#/body/tag == 'b' }]`,
    expected: 'passed',
    known: 'Selector Objects are of 1.1, which it does not read',
  },
]

/** The document of a case; `x-dcr` is ours and means nothing to others. */
export function documentOf({ id, steps, main = '', more = '', components = '' }: Case): string {
  const effect = (text: string) => text.replace(/^( {2}- workflowId: .*)$/gm, '$1\n    x-dcr: { effect: read }')
  return `arazzo: 1.0.1
info: { title: ${JSON.stringify(id)}, version: 1.0.0 }
sourceDescriptions: [{ name: pets, url: pets.openapi.yaml, type: openapi }]
workflows:
${effect(`  - workflowId: main\n${main === '' ? '' : `${main}\n`}    steps:\n${steps}\n${more}`)}
${components}
`
}

export const PETS = (url: string) => `openapi: 3.1.0
info: { title: Pets, version: 1.0.0 }
servers: [{ url: '${url}' }]
paths:
  /pet:
    get:
      operationId: getPet
      responses: { '200': { description: a pet, content: { application/json: { schema: { type: object } } } } }
  /busy:
    get:
      operationId: busy
      parameters: [{ name: failures, in: query, schema: { type: integer } }, { name: key, in: query, schema: { type: string } }]
      responses: { '200': { description: at last }, '503': { description: busy } }
  /echo:
    post:
      operationId: echo
      parameters:
        - { name: q, in: query, schema: { type: string } }
        - { name: X-Any, in: header, schema: { type: string } }
        - { name: deep, in: query, style: deepObject, explode: true, schema: { type: object } }
        - { name: pipe, in: query, style: pipeDelimited, explode: false, schema: { type: array } }
        - { name: json, in: query, content: { application/json: { schema: { type: object } } } }
      requestBody:
        content:
          application/json: {}
          application/vnd.pets+json: {}
          application/xml: {}
          multipart/form-data: { schema: { type: object } }
          application/x-www-form-urlencoded:
            schema: { type: object }
            encoding: { deep: { style: deepObject, explode: true }, comma: { style: form, explode: false } }
      responses: { '200': { description: what was sent, content: { application/json: { schema: { type: object } } } } }
`
