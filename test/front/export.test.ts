/** Requests for other tools: no secret in them, and each value of an answer set by the request that gets it. */
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { curlScript, harArchive, postmanCollection } from '../../src/front/export/formats.ts'
import { type Exported, requestsOfPreview, requestsOfRun, variablesToSet } from '../../src/front/export/requests.ts'
import type { RunRecord } from '../../src/record/index.ts'

type Workflows = Parameters<typeof requestsOfPreview>[0]

const step = (stepId: string, more: Partial<Workflows[number]['steps'][number]> = {}) => ({
  ...{ stepId, identity: 'transport', method: 'GET', url: 'https://api.example.com/x', headers: [], body: undefined },
  unknown: undefined,
  ...more,
})
const FORM = [['content-type', 'application/x-www-form-urlencoded']] as const
const workflows: Workflows = [
  {
    workflowId: 'w',
    summary: undefined,
    effect: 'read',
    inputs: [
      { name: 'assertion', source: 'minted', value: '[assertion]' },
      { name: 'pin', source: 'env', value: '[pin]' },
    ],
    steps: [
      step('part/token', {
        method: 'POST',
        headers: FORM,
        body: 'grant_type=client_credentials\nassertion=[assertion]',
      }),
      step('part/statement', { headers: [['authorization', 'Bearer {$steps.token.outputs.access_token}']] }),
      step('send', {
        method: 'POST',
        body: '{"pin": "[pin]", "list": "[other]", "it\'s": "{$steps.part.outputs.statement}"}',
      }),
    ],
  },
]
const exported = requestsOfPreview(workflows)
const named = { title: 'sample', toSet: variablesToSet(exported) }

test('secrets and minted inputs are variables to set; values of answers are not', () => {
  expect(named.toSet).toEqual(['assertion_part_token', 'pin'])
  expect(exported.wanted).toEqual([
    { variable: 'part_token_access_token', stepId: 'part/token', output: 'access_token' },
    { variable: 'part_statement', stepId: 'part', output: 'statement' },
  ])
  expect(exported.requests.map(({ form, body }) => form ?? body)).toEqual([
    [
      ['grant_type', 'client_credentials'],
      ['assertion', '{{assertion_part_token}}'],
    ],
    undefined,
    '{"pin": "{{pin}}", "list": "[other]", "it\'s": "{{part_statement}}"}',
  ])
})

test('a collection captures what the expression names', () => {
  const after = {
    status: 200,
    captures: [
      { variable: 'v', expression: '$response.body#/a/b' },
      { variable: 'h', expression: '$response.header.X-Id' },
    ],
  }
  const { item } = JSON.parse(postmanCollection(exported, named, () => after))

  expect(item[0].item[0].event[0].script.exec).toEqual([
    "pm.test('status 200', () => pm.response.to.have.status(200))",
    "pm.environment.set('v', pm.response.json()['a']['b'])",
    "pm.environment.set('h', pm.response.headers.get('X-Id'))",
  ])
})

describe('curl', () => {
  test('a shell reads each word as it was', () => {
    const script = curlScript(exported, named, () => ({ status: undefined, captures: [] })).replaceAll(
      /^curl /gm,
      'printf "<%s>" ',
    )
    const said = execFileSync('/bin/sh', ['-c', script], {
      env: { DCR_PIN: 'p i$n', DCR_PART_STATEMENT: 's', DCR_TRANSPORT_CERT_FILE: 'c' },
    }).toString()

    expect(said).toContain(`<{"pin": "p i$n", "list": "[other]", "it's": "s"}>`)
    expect(said).toContain('<--cert><c>')
  })
})

const JWT = 'eyJh.eyJi.[signature#01020304]'
const GET = { method: 'GET', headers: [], body: { bytes: 0 } }
const RECORD = {
  security: { ownAuthorities: true },
  workflows: [
    {
      workflowId: 'w',
      steps: [
        {
          stepId: 'token',
          exchanges: [
            {
              request: {
                method: 'POST',
                url: 'https://api.example.com/x?t=[token#0a0b0c0d]',
                headers: FORM,
                body: { text: `{"assertion":"${JWT}","n":["1","2"]}`, bytes: 1 },
              },
              response: {
                status: 201,
                body: { text: '{"a":{"t":"[access_token#11111111]"},"other":"[pin#22222222]"}' },
              },
            },
          ],
        },
        {
          stepId: 'statement',
          exchanges: [
            {
              request: {
                ...GET,
                url: 'https://api.example.com/s',
                headers: [['authorization', 'Bearer [access_token#11111111]']],
              },
              response: { status: 200, body: { text: 'eyJh.eyJi.[software_statement#33333333]' } },
            },
          ],
        },
        {
          stepId: 'use',
          exchanges: [{ request: { ...GET, url: 'https://api.example.com/u?s=[software_statement#33333333]' } }],
        },
      ],
    },
  ],
} as unknown as RunRecord

describe('of a stored run', () => {
  const ofRun: Exported = requestsOfRun(RECORD)
  const ofIt = { title: 'run', toSet: variablesToSet(ofRun) }
  const afterOf = ({ after }: Exported['requests'][number]) => after ?? { status: undefined, captures: [] }

  test('the masks are variables', () => {
    expect(ofRun.requests[0]).toMatchObject({
      url: 'https://api.example.com/x?t={{token_0a0b0c0d}}',
      form: [
        ['assertion', '{{signature_01020304}}'],
        ['n', '1'],
        ['n', '2'],
      ],
    })
    expect(JSON.parse(harArchive(ofRun, '0')).log.entries).toHaveLength(3)
  })

  test('what an answer gave to a later request is taken from the answer again; a person sets the rest', () => {
    const { item } = JSON.parse(postmanCollection(ofRun, ofIt, afterOf))

    expect(ofIt.toSet).toEqual(['signature_01020304', 'token_0a0b0c0d'])
    expect(
      item[0].item.map(({ event }: { event?: [{ script: { exec: string[] } }] }) => event?.[0].script.exec),
    ).toEqual([
      [
        "pm.test('status 201', () => pm.response.to.have.status(201))",
        "pm.environment.set('access_token_11111111', pm.response.json()['a']['t'])",
      ],
      [
        "pm.test('status 200', () => pm.response.to.have.status(200))",
        "pm.environment.set('software_statement_33333333', pm.response.text())",
      ],
      undefined,
    ])
  })

  test('a shell hands the values on as well, and trusts the servers that the run trusted', () => {
    const script = curlScript(ofRun, ofIt, afterOf)
    const said = execFileSync('/bin/sh', ['-c', `curl() { printf '{"a":{"t":"TOK"},"args":"%s"}' "$*"; }\n${script}`], {
      env: { PATH: process.env.PATH, DCR_CA_FILE: 'ca.pem', DCR_TOKEN_0A0B0C0D: 'T', DCR_SIGNATURE_01020304: 'J' },
    }).toString()

    expect(script).toContain('# to be set: DCR_CA_FILE, DCR_SIGNATURE_01020304, DCR_TOKEN_0A0B0C0D\n')
    expect(said).toContain('https://api.example.com/x?t=T --cacert ca.pem')
    expect(said).toContain('authorization: Bearer TOK')
    expect(said).toMatch(/u\?s=\{"a":\{"t":"TOK"\}/)
  })
})
