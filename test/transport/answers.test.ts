/** Answers as they come: interim ones before the final one, large headers, and what breaks the rules of HTTP. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { demandAllowed } from '../../src/guard/hosts.ts'
import { createTransport } from '../../src/transport/index.ts'
import type { Delivery } from '../../src/transport/transport.ts'
import { makeTestPki, SERVER_NAME, type TestPki } from '../support/certificates.ts'
import { startTls } from '../support/servers.ts'

let made: TestPki

beforeAll(async () => {
  made = await makeTestPki()
})
afterAll(async () => {
  await made[Symbol.asyncDispose]()
})

/** Each answer is sent in its pieces, one a turn, over one connection where the server leaves it open. */
async function answersTo(...answers: readonly (readonly string[])[]): Promise<readonly Delivery[]> {
  let connections = 0
  let number = 0
  const server = { cert: made.pki.server.certificate, key: made.pki.server.key }
  await using tls = await startTls(server, (socket) => {
    connections += 1
    socket.on('data', async () => {
      for (const piece of answers[number++] ?? []) {
        if (piece === END) socket.end()
        else socket.write(piece, 'latin1')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
  })
  await using transport = createTransport({
    identities: made.identities,
    ca: [made.pki.ca],
    minTlsVersion: 'TLSv1.2',
    demandAllowed: demandAllowed(new Set([SERVER_NAME])),
    connectTo: () => ({ host: '127.0.0.1', port: tls.port }),
    maxBodyBytes: 10_000,
  })
  const deliveries: Delivery[] = []
  for (const _ of answers) {
    const request = { method: 'POST', url: `https://${SERVER_NAME}/`, headers: [], body: 'a' }
    const options = { identity: 'transport', timeoutMs: 3000, signal: new AbortController().signal }
    deliveries.push(await transport.send(request, options))
  }
  if (answers.every((pieces) => !pieces.includes(END))) expect(connections).toBe(1)
  return deliveries
}

const END = '<end>'
const OK = 'HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok'

function answered(delivery: Delivery | undefined): readonly [number, string] {
  if (delivery?.kind !== 'answered') throw new Error(delivery?.problem.message)
  return [delivery.answer.status, Buffer.from(delivery.answer.body).toString()]
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'

test.for<[string, readonly string[]]>([
  ['100 Continue', [CONTINUE, OK]],
  ['102 Processing', ['HTTP/1.1 102 Processing\r\n\r\n', OK]],
  ['103 Early Hints', [HINTS, OK]],
  ['several, with the answer in the same piece', [`${CONTINUE}${HINTS}${CONTINUE}${OK}`]],
  ['one character at a time', [...CONTINUE, ...OK]],
  ['100 of HTTP/1.0, cut within its end', ['HTTP/1.0 100 Continue\r\n\r', `\n${OK}`]],
])('the answer that follows an interim one is the answer: %s', async ([, pieces]) => {
  const deliveries = await answersTo(pieces, [OK], pieces)

  expect(deliveries.map(answered)).toEqual([
    [201, 'ok'],
    [201, 'ok'],
    [201, 'ok'],
  ])
})

test('a body that looks like an interim answer is a body', async () => {
  const [delivery] = await answersTo([`HTTP/1.1 200 OK\r\nContent-Length: ${CONTINUE.length}\r\n\r\n`, CONTINUE])

  expect(answered(delivery)).toEqual([200, CONTINUE])
})

test('a connection that ends after an interim answer is no refusal of the certificate', async () => {
  const [delivery] = await answersTo([CONTINUE, END])

  expect(delivery).toMatchObject({
    kind: 'failed',
    sent: 'unknown',
    problem: { code: 'PEER_CLOSED', message: `"${SERVER_NAME}" closed the connection after an interim answer (1xx)` },
    received: { status: 0 },
  })
})

test('headers of 200 KiB are accepted', async () => {
  const [delivery] = await answersTo([
    `HTTP/1.1 201 Created\r\nContent-Security-Policy: ${'x'.repeat(200 * 1024)}\r\nContent-Length: 2\r\n\r\nok`,
  ])

  expect(answered(delivery)).toEqual([201, 'ok'])
})

const CREATED = 'HTTP/1.1 201 Created\r\n'
const LENGTH = 'Content-Length: 2\r\n'
const CHUNKED = `${CREATED}Transfer-Encoding: chunked\r\n\r\n`

/** What undici's parser refuses, and the rule that it breaks. */
const BROKEN: readonly (readonly [answer: string, fault: string])[] = [
  [`${CREATED}${LENGTH}X Powered By: gateway\r\n\r\nok`, 'the header name "X Powered By" holds a blank'],
  [`${CREATED}X-Powered-By : gateway\r\n${LENGTH}\r\nok`, 'the header name "X-Powered-By " holds a blank'],
  [`${CREATED}X-\xe9: 1\r\n${LENGTH}\r\nok`, 'the header name "X-\\u00e9" holds a character that no name may have'],
  [`${CREATED}: 1\r\n${LENGTH}\r\nok`, 'a header has no name'],
  [`${CREATED}X-Powered-By\r\n${LENGTH}\r\nok`, 'a line of its headers has no colon: "X-Powered-By"'],
  [`${CREATED}X-A: b\0c\r\n${LENGTH}\r\nok`, 'the value of header "X-A" holds a control character'],
  [`${CREATED}X-A: b\r${LENGTH}\r\nok`, 'the value of header "X-A" holds a control character'],
  [`${CREATED}X-A: b\r\n c\r\n${LENGTH}\r\nok`, 'a header is folded over several lines'],
  [`${CREATED}${LENGTH}${LENGTH}\r\nok`, 'Content-Length stands 2 times: 2, 2'],
  [`${CREATED}${LENGTH}Content-Length: 3\r\n\r\nok`, 'Content-Length stands 2 times: 2, 3'],
  [`${CREATED}Content-Length: 2, 2\r\n\r\nok`, 'its Content-Length is "2, 2"'],
  [`${CREATED}Content-Length: -2\r\n\r\nok`, 'its Content-Length is "-2"'],
  [`${CREATED}Content-Length: 99999999999999999999\r\n\r\nok`, 'its Content-Length is "99999999999999999999"'],
  [
    `${CREATED}${LENGTH}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    'it has both Content-Length and Transfer-Encoding',
  ],
  [`HTTP/1.1 201 Created\n${LENGTH}\r\nok`, 'a line of its headers ends with LF alone instead of CR LF'],
  [`HTTP/1.1 201 Created\nContent-Length: 2\n\nok`, 'a line of its headers ends with LF alone instead of CR LF'],
  [`HTTP/3.0 201 Created\r\n${LENGTH}\r\nok`, 'its version is "HTTP/3.0"'],
  [`HTTP/1.1 2010 Created\r\n${LENGTH}\r\nok`, 'its status line is "HTTP/1.1 2010 Created"'],
  [`${CHUNKED}zz\r\nok\r\n0\r\n\r\n`, 'invalid character in chunk size'],
  [`${CHUNKED}ffffffffffffffffff\r\nok\r\n0\r\n\r\n`, 'chunk size overflow'],
  [`${CHUNKED}2\r\nokX0\r\n\r\n`, 'expected LF after chunk data'],
  [`${CHUNKED}2\nok\n0\n\n`, 'missing expected CR after chunk size'],
]

test.for(BROKEN)('%j breaks a rule of HTTP: %s', async ([answer, fault]) => {
  const [delivery] = await answersTo([CONTINUE, answer, END])

  expect(delivery).toMatchObject({
    kind: 'failed',
    sent: 'unknown',
    problem: { code: 'PROTOCOL', message: `the answer of "${SERVER_NAME}" breaks a rule of HTTP: ${fault}` },
  })
  if (delivery?.kind !== 'failed') return
  const { bytes = Buffer.alloc(0), bodyAt = 0, status } = delivery.received ?? {}
  // As it came, from the interim answer on, and with what can be told of it.
  expect(Buffer.from(bytes).toString('latin1')).toBe(CONTINUE + answer)
  expect(Buffer.from(bytes.slice(bodyAt)).toString()).toContain('ok')
  expect(status).toBe(answer.includes('2010') ? 0 : 201)
})

test.each(['X Powered By: gateway\r\nContent-Length: 20\r\n', 'Content-Length: 20\r\nContent-Length: 20\r\n'])(
  'of an answer with the headers %j the body is kept that comes after them, a piece at a time',
  async (headers) => {
    const head = `${CREATED}${headers}\r\n`
    const body = '{"the":"whole body"}'

    for (const end of [[], [END]]) {
      const [delivery] = await answersTo([head, ...body, ...end])

      if (delivery?.kind !== 'failed') throw new Error('it was taken for an answer')
      expect(Buffer.from(delivery.received?.bytes ?? []).toString()).toBe(head + body)
      expect(delivery.problem.code).toBe('PROTOCOL')
    }
  },
)

test.for<[string, readonly string[], Partial<Delivery & { received: object }>]>([
  ['ends within its headers', [`${CREATED}Content-`, END], { received: { status: 201, isChunked: false } }],
  ['ends within a chunk', [`${CHUNKED}5\r\nhalf`, END], { received: { status: 201, isChunked: true } }],
  [
    'is larger than allowed',
    [`${CREATED}Content-Length: 99999\r\n\r\n${'x'.repeat(20_000)}`],
    { received: { status: 201 } },
  ],
  ['stops', [`${CREATED}Content-Encoding: br\r\nContent-Length: 9\r\n\r\nhalf`], { received: { coding: 'br' } }],
])('of an answer that %s the bytes are handed over', async ([, pieces, expected]) => {
  const [delivery] = await answersTo(pieces)

  expect(delivery).toMatchObject({ kind: 'failed', ...expected })
})
