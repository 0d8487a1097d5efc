/** Answers as they come: codings, charsets, numbers and sizes. None stops a run, its clean-up or its record. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { type LocalPki, type LocalRun, makeLocalPki, runLocally } from '../support/local.ts'
import { notPassed } from '../support/run.ts'
import { startTls } from '../support/servers.ts'

let pki: LocalPki
beforeAll(async () => {
  pki = await makeLocalPki()
})

const REGISTER = {
  stepId: 'call',
  operationId: 'registerClient',
  'x-dcr': { identity: 'none' },
  requestBody: { contentType: 'application/json', payload: { client_name: 'own' } },
}
/** No deletion: which client was registered is not known from an answer that cannot be read. */
const UNDO = {
  stepId: 'undo',
  operationId: 'uploadLogo',
  'x-dcr': { identity: 'none', finally: true },
  requestBody: { contentType: 'text/plain', payload: 'none' },
}
const CREATED = 'HTTP/1.1 201 Created\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'
const TOKEN = 'registration-token-0123456789'
const ANSWER = JSON.stringify({
  client_id: 'ours',
  registration_access_token: TOKEN,
  registration_client_uri: 'https://localhost/clients/ours',
})

/** The first request gets the answer, each further one 204; `requests` are the first lines of both. */
async function answeredBy(answer: Buffer | string, steps: readonly object[] = [REGISTER, UNDO]) {
  const requests: string[] = []
  const bodies: string[] = []
  const talked = Buffer.from(answer as string, 'latin1')
  await using server = await startTls(pki.server, (socket) => {
    socket.on('data', (data) => {
      const text = data.toString('latin1')
      requests.push(text.split(' HTTP')[0] ?? '')
      bodies.push(text.split('\r\n\r\n')[1] ?? '')
      if (requests.length === 1) socket.write(talked)
      else socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    })
  })
  const ran = await runLocally(pki, { port: server.port, steps, settings: { TIMEOUT_MS: '20000' } })
  return { ran, requests, bodies, host: `localhost:${server.port}` }
}

function whole(body: Buffer | string, headers = JSON_TYPE): Buffer {
  const bytes = Buffer.from(body as string)
  return Buffer.concat([Buffer.from(`${CREATED}${headers}Content-Length: ${bytes.length}\r\n\r\n`), bytes])
}

function errorOf({ steps: [step] }: LocalRun, host: string): string {
  return `${step?.error?.code}: ${step?.error?.message.replaceAll(host, '<host>')}`
}

const kept = ({ events }: LocalRun) =>
  events.flatMap((event) => (event.type === 'registration-kept' ? [[event.clientId, event.news]] : []))

test.for<[string, (text: string) => Buffer]>([
  ['gzip', gzipSync],
  ['GZIP', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['identity', Buffer.from],
  ['gzip, br', (text) => brotliCompressSync(gzipSync(text))],
  ['gzip\r\nContent-Encoding: br', (text) => brotliCompressSync(gzipSync(text))],
  ['', Buffer.from],
])('an answer coded as "%s" is judged by what it says', async ([coding, encode]) => {
  const { ran } = await answeredBy(whole(encode(ANSWER), `${JSON_TYPE}Content-Encoding: ${coding}\r\n`))

  expect(ran.steps.flatMap(notPassed)).toEqual([])
  expect(kept(ran)).toEqual([['ours', 'registered']])
  const body = ran.steps[0]?.exchanges[0]?.response?.body
  expect(body?.bytes).toBe(encode(ANSWER).length)
  expect(body?.text).toContain('"client_id": "ours"')
})

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const coded = (coding: string) => `${JSON_TYPE}Content-Encoding: ${coding}\r\n`

test.for<[string, Buffer, string]>([
  [
    'an unknown coding',
    whole('abc', coded('compress')),
    'ANSWER_UNREADABLE: the answer of "<host>" is coded as "compress", which is not known',
  ],
  [
    'a coding named like a member of every object',
    whole('abc', coded('constructor')),
    'ANSWER_UNREADABLE: the answer of "<host>" is coded as "constructor", which is not known',
  ],
  [
    'text that is said to be gzip',
    whole(ANSWER, coded('gzip')),
    'ANSWER_UNREADABLE: the answer of "<host>" is not what its Content-Encoding "gzip" says',
  ],
  [
    'gzip that is cut',
    whole(gzipSync(ANSWER).subarray(0, 60), coded('gzip')),
    'ANSWER_UNREADABLE: the answer of "<host>" is not what its Content-Encoding "gzip" says',
  ],
  [
    'a few bytes that become many',
    whole(gzipSync(Buffer.alloc(10 * 1024 * 1024 + 1)), coded('gzip')),
    'TOO_LARGE: the answer of "<host>" is larger than 10485760 bytes when it is decoded',
  ],
  [
    'the same in brotli, within gzip',
    whole(gzipSync(brotliCompressSync(Buffer.alloc(10 * 1024 * 1024 + 1))), coded('br, gzip')),
    'TOO_LARGE: the answer of "<host>" is larger than 10485760 bytes when it is decoded',
  ],
  [
    'five codings',
    whole('abc', coded('gzip, gzip, gzip, gzip, gzip')),
    'TOO_LARGE: the answer of "<host>" is coded more than 4 times',
  ],
  ...[101, 3000, 100_000].map((levels): [string, Buffer, string] => [
    `${levels} levels of JSON`,
    whole(nested(levels)),
    'TOO_LARGE: the answer of "<host>" is JSON nested more than 100 levels deep',
  ]),
  [
    'a million elements',
    whole(`[${'1,'.repeat(1_000_000)}1]`),
    'TOO_LARGE: the answer of "<host>" is JSON of more than 50000 members and elements',
  ],
  [
    'a number beyond all measure',
    whole('{"client_id": "ours", "big": 1e400}'),
    'ANSWER_UNREADABLE: the answer of "<host>" is JSON with the number 1e400, which cannot be kept as it is written',
  ],
  [
    'a large number with a fraction',
    whole('{"big": 9007199254740993.5}'),
    'ANSWER_UNREADABLE: the answer of "<host>" is JSON with the number 9007199254740993.5, which cannot be kept as it is written',
  ],
])('%s: the step is errored, the clean-up is done and the record written', async ([, answer, error]) => {
  const { ran, requests, host } = await answeredBy(answer)

  expect(errorOf(ran, host)).toBe(error)
  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
  expect(ran.steps).toMatchObject([{ status: 'errored' }, { status: 'passed' }])
  expect(requests).toEqual(['POST /clients', 'PUT /logo'])
  // Nothing is known of the secrets in it, so none of it is shown.
  expect(ran.steps[0]?.exchanges[0]?.response?.body).not.toHaveProperty('text')
})

test.for([
  ['a number that cannot be kept', '"n":1e999'],
  ['more levels than are read', `"n":${nested(150)}`],
])('a secret in JSON with %s is hidden where a header repeats it', async ([, member]) => {
  const secret = '91vhe5gbWIWzo8zLTT&H2Ood/wHGU&xrE0F4'
  const body = JSON.stringify({ data: [{ 'x-api-key': secret }] }).replace('{', `{${member},`)
  const { ran } = await answeredBy(whole(body, `${JSON_TYPE}X-Debug: got '${secret}'\r\n`))

  const headers = new Map(ran.steps[0]?.exchanges[0]?.response?.headers)
  expect(headers.get('X-Debug') ?? headers.get('x-debug')).toMatch(/^got '\[x[_-]api[_-]key#[0-9a-f]{8}\]'$/)
})

const LATIN = Buffer.from(`{"client_name":"Z\xfcrich",${ANSWER.slice(1)}`, 'latin1')

test.for<[string, Buffer, string, string]>([
  ['ISO 8859-1', LATIN, '', ''],
  ['ISO 8859-1, as it says', LATIN, '; charset=ISO-8859-1', '; its charset is said to be "ISO-8859-1"'],
  ['UTF-16', Buffer.from(ANSWER, 'utf16le'), '; charset="utf-16le"', '; its charset is said to be "utf-16le"'],
  ['UTF-16 that nothing tells', Buffer.from(ANSWER, 'utf16le'), '', ''],
  ['UTF-16 in the other order', Buffer.from(ANSWER, 'utf16le').swap16(), '', ''],
])('JSON in %s fails its check, and the vault reads it all the same', async ([, body, parameter, charset]) => {
  const { ran } = await answeredBy(whole(body, `Content-Type: application/json${parameter}\r\n`))

  expect(ran.steps.flatMap(notPassed)).toMatchObject([
    {
      id: 'schema',
      expected: 'JSON in UTF-8 (RFC 8259 section 8.1)',
      actual: `text that is not in UTF-8${charset}`,
    },
  ])
  expect(kept(ran)).toEqual([['ours', 'registered']])
})

test.for(['12345678901234567890', '-9007199254740993', '123456789012345678901234567890'])(
  'the number %s arrives, is compared, shown and sent on as it is',
  async (digits) => {
    const steps = [
      {
        ...REGISTER,
        successCriteria: [
          { condition: '$statusCode == 201' },
          { condition: `$response.body#/big == ${digits}` },
          { condition: `$response.body#/big != ${digits.slice(0, -1)}1` },
          { condition: '$response.body#/big > 5 || $response.body#/big < -5' },
          { condition: `$response.body#/big == '${digits}'` },
        ],
        outputs: { big: '$response.body#/big' },
      },
      {
        ...REGISTER,
        stepId: 'again',
        requestBody: {
          contentType: 'application/json',
          payload: { number: '$steps.call.outputs.big', text: 'is {$steps.call.outputs.big}', own: 1 },
        },
        successCriteria: [{ condition: '$statusCode == 204' }],
      },
    ]
    const { ran, bodies } = await answeredBy(whole(`{"big": ${digits}, "list": [1, 1.5, ${digits}]}`), steps)

    expect(ran.steps[0]).toMatchObject({ status: 'passed', outputs: { big: digits } })
    expect(ran.steps[0]?.exchanges[0]?.response?.body.text).toBe(
      `{\n  "big": ${digits},\n  "list": [\n    1,\n    1.5,\n    ${digits}\n  ]\n}`,
    )
    expect(bodies[1]).toBe(`{"number":${digits},"text":"is ${digits}","own":1}`)
    expect(ran.steps[1]?.exchanges[0]?.request.body.text).toContain(`"number": ${digits}`)
  },
)

test('a number of a flow is sent as it is written', async () => {
  // The files of a local run are JSON, which YAML can read.
  const payload = { id: '<digits>' }
  const step = { ...REGISTER, requestBody: { contentType: 'application/json', payload } }
  const raw = JSON.parse(JSON.stringify(step), (_, value) =>
    value === '<digits>'
      ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('12345678901234567890')
      : value,
  )

  const { bodies } = await answeredBy(whole(ANSWER), [raw])

  expect(bodies[0]).toBe('{"id":12345678901234567890}')
})

test('a card number of nineteen digits is hidden as a shorter one is', async () => {
  const { ran } = await answeredBy(whole('{"number": 6304000000000000000}'))

  expect(JSON.stringify(ran.record)).not.toContain('6304000000000000000')
})

test.for<[string, string]>([
  ['a header name with a blank', `${CREATED}X Powered By: a\r\n${JSON_TYPE}\r\n${ANSWER}`],
  ['equal lengths', `${CREATED}Content-Length: ${ANSWER.length}\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`],
  ['bare line feeds', `HTTP/1.1 201 Created\nContent-Length: ${ANSWER.length}\n\n${ANSWER}`],
  [
    'a chunk of no size',
    `${CREATED}Transfer-Encoding: chunked\r\n\r\n${ANSWER.length.toString(16)}\r\n${ANSWER}\r\nzz\r\n`,
  ],
  [
    'chunks that cut its members',
    `${CREATED}Transfer-Encoding: chunked\r\n\r\n28\r\n${ANSWER.slice(0, 40)}\r\n${(ANSWER.length - 40).toString(16)}\r\n${ANSWER.slice(40)}\r\nzz\r\n`,
  ],
  [
    'both lengths',
    `${CREATED}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n${ANSWER.length.toString(16)}\r\n${ANSWER}\r\n0\r\n\r\n`,
  ],
  ['a header that is folded', `${CREATED}X-A: b\r\n c\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`],
  ['gzip and a bad header', `${CREATED}Content-Encoding: gzip\r\nX A: b\r\n\r\n${gzipSync(ANSWER).toString('latin1')}`],
])('a registration whose answer has %s is in the vault', async ([, answer]) => {
  const { ran, host } = await answeredBy(answer)

  expect(errorOf(ran, host)).toMatch(
    /^PROTOCOL: the answer of "<host>" breaks a rule of HTTP: .*; the \d+ bytes that arrived are in the vault$/,
  )
  expect(kept(ran)).toEqual([['ours', 'registered']])
  expect(ran.record).toMatchObject({ verdict: 'inconclusive', exitCode: 3 })
})
