/** The secrets of answers that are not parsed, not kept or no HTTP: a later answer repeats each, and it is hidden there. */
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { damaged } from '../prove/hostile/answers.ts'
import { findCanary } from '../prove/hostile/spellings.ts'
import { type LocalPki, makeLocalPki, runLocally } from '../support/local.ts'
import { startTls } from '../support/servers.ts'

let pki: LocalPki
beforeAll(async () => {
  pki = await makeLocalPki()
})

const CANARY = 'Vq7xM2pLz9Rt4WcK8yNb3HdF'
const CREATED = 'HTTP/1.1 201 Created\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'
const SECRET = JSON.stringify({ data: [{ client_secret: CANARY }] })
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

function whole(body: Buffer | string, headers = JSON_TYPE): Buffer {
  const bytes = Buffer.from(body as string)
  return Buffer.concat([Buffer.from(`${CREATED}${headers}Content-Length: ${bytes.length}\r\n\r\n`), bytes])
}

const many = (count: number) => Array.from({ length: count }, (_, index) => `{"access_token":"decoy-${index}-Zx8Qw2"}`)
const pages = 'a'.repeat(12 * 1024 * 1024)

const FORMS: readonly (readonly [string, Buffer])[] = [
  ['JSON with a number that cannot be kept', whole(`{"n":1e999,"a":${SECRET}}`)],
  ['JSON with more levels than are read', whole(`{"n":${nested(150)},"a":${SECRET}}`)],
  ['JSON with more levels than a stack holds', whole(`{"n":${nested(100_000)},"a":${SECRET}}`)],
  ['JSON with more items than are read', whole(`{"n":[${'1,'.repeat(260_000)}1],"a":${SECRET}}`)],
  ['JSON that is cut', whole(SECRET.slice(0, -3))],
  ['JSON with a member twice', whole(`{"client_secret":"${CANARY}","client_secret":""}`)],
  ['JSON in JSON, with a member twice', whole(JSON.stringify({ note: `{"token":"${CANARY}","token":""}` }))],
  ['JSON in a text that is longer than is read', whole(JSON.stringify({ note: `${SECRET}${' '.repeat(1_100_000)}` }))],
  [
    'JSON in JSON, deeper than is read',
    whole(JSON.stringify({ note: `${'['.repeat(200)}${SECRET}${']'.repeat(200)}` })),
  ],
  ['JSON with a name and a value, cut', whole(`{"a":[{"name":"client_secret","value":"${CANARY}"}`)],
  ['JSON with a value and a name, cut', whole(`{"a":[{"value":"${CANARY}","name":"client_secret"}`)],
  ['JSON in UTF-16', whole(Buffer.from(SECRET, 'utf16le'), 'Content-Type: application/json; charset=utf-16\r\n')],
  ['JSON in UTF-16, the other way round', whole(Buffer.from(SECRET, 'utf16le').swap16())],
  ['JSON in UTF-16 with a byte order mark', whole(Buffer.from(`\ufeff${SECRET}`, 'utf16le'))],
  [
    'a private key in UTF-16 with a byte order mark',
    whole(Buffer.from(`\ufeff${JSON.stringify({ kty: 'RSA', d: CANARY })}`, 'utf16le')),
  ],
  ['JSON in Latin-1', whole(Buffer.from(`{"name":"\u00fc",${SECRET.slice(1)}`, 'latin1'))],
  ['JSON after a byte order mark', whole(`\ufeff${SECRET}`)],
  ['a text in UTF-16', whole(Buffer.from(`client_secret: ${CANARY}`, 'utf16le'), 'Content-Type: text/plain\r\n')],
  ['a coding that is not known', whole(SECRET, `${JSON_TYPE}Content-Encoding: compress\r\n`)],
  ['five codings', whole(SECRET, `${JSON_TYPE}Content-Encoding: br, br, br, br, br\r\n`)],
  ['gzip that is none', whole(SECRET, `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
  ['gzip with a wrong checksum', whole(damaged(gzipSync(SECRET)), `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
  ['gzip that is cut', whole(gzipSync(SECRET).subarray(0, -9), `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
  ['few bytes that become many', whole(gzipSync(`${SECRET}${pages}`), `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
  ['few bytes that become many before', whole(gzipSync(`${pages}${SECRET}`), `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
  ['the same in brotli', whole(brotliCompressSync(`${SECRET}${pages}`), `${JSON_TYPE}Content-Encoding: br\r\n`)],
  [
    'a form of parts',
    whole(
      `--b\r\nContent-Disposition: form-data; name="client_secret"\r\n\r\n${CANARY}\r\n--b--\r\n`,
      'Content-Type: multipart/form-data; boundary=b\r\n',
    ),
  ],
  [
    'a property list',
    whole(`<dict><key>client_secret</key><string>${CANARY}</string></dict>`, 'Content-Type: text/xml\r\n'),
  ],
  ['a parameter of XML', whole(`<param name="client_secret">${CANARY}</param>`, 'Content-Type: text/xml\r\n')],
  ['more secrets than are learned', whole(`[${many(3000).join()},${SECRET}]`)],
  [
    'secrets that begin alike',
    whole(
      `[${Array.from({ length: 40 }, (_, index) => `{"access_token":"token-Vq7xM2p-${index}"}`).join()},{"access_token":"token-Vq7xM2p-Lz9Rt4WcK8yNb3HdF"},${SECRET}]`,
    ),
  ],
  [
    'an interim answer',
    Buffer.concat([Buffer.from(`HTTP/1.1 103 Early Hints\r\nX-Access-Token: ${CANARY}\r\n\r\n`), whole('{}')]),
  ],
  [
    'a cookie of an interim answer',
    Buffer.concat([Buffer.from(`HTTP/1.1 103 x\r\nSet-Cookie: sid=${CANARY}\r\n\r\n`), whole('{}')]),
  ],
  [
    'a trailer',
    Buffer.from(
      `${CREATED}${JSON_TYPE}Transfer-Encoding: chunked\r\nTrailer: X-Access-Token\r\n\r\n2\r\n{}\r\n0\r\nX-Access-Token: ${CANARY}\r\n\r\n`,
    ),
  ],
  ['a body that is shorter than said', Buffer.from(`${CREATED}${JSON_TYPE}Content-Length: 999\r\n\r\n${SECRET}`)],
  ['a chunk that is none', Buffer.from(`${CREATED}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\nzz\r\n${SECRET}`)],
  [
    'chunks that end too early',
    Buffer.from(
      `${CREATED}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${SECRET.length.toString(16)}\r\n${SECRET}\r\n5\r\n`,
    ),
  ],
  [
    'a secret over two chunks, and no third',
    Buffer.from(
      `${CREATED}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n24\r\n${SECRET.slice(0, 36)}\r\n${(SECRET.length - 36).toString(16)}\r\n${SECRET.slice(36)}\r\nzz\r\n`,
    ),
  ],
  [
    'gzip in an answer that is cut',
    Buffer.concat([
      Buffer.from(`${CREATED}${JSON_TYPE}Content-Encoding: gzip\r\nContent-Length: 999\r\n\r\n`),
      gzipSync(SECRET),
    ]),
  ],
  [
    'a header without a colon',
    Buffer.from(`${CREATED}Set-Cookie sid=1\r\nX-Access-Token: ${CANARY}\r\nContent-Length: 0\r\n\r\n`),
  ],
  [
    'a header that is quoted in the error',
    Buffer.from(`${CREATED}client_secret=${CANARY}\r\nContent-Length: 0\r\n\r\n`),
  ],
  [
    'a cookie in headers that cannot be read',
    Buffer.from(`${CREATED}Set-Cookie: sid=${CANARY}; Path=/\r\nno header\r\nContent-Length: 0\r\n\r\n`),
  ],
  ['an answer to no version of HTTP', Buffer.from(`ICY 200 OK\r\n\r\n${SECRET}`)],
  ['a body that is larger than is taken', whole(`${SECRET}${pages}`)],
]

/** A secret of a form is repeated in its own headers, and in a header, a text, a member and a name of the next answer. */
test.for(FORMS)('a secret that came in %s is hidden where it is repeated', async ([, answer]) => {
  const echo = JSON.stringify({
    error_description: `got ${CANARY}`,
    [CANARY]: 1,
    list: [encodeURIComponent(`'${CANARY}'`)],
  })
  let requests = 0
  await using server = await startTls(pki.server, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {
      requests += 1
      const own = `HTTP/1.1 400 Bad\r\nX-Debug: ${CANARY}\r\n${JSON_TYPE}Content-Length: ${echo.length}\r\n\r\n${echo}`
      if (requests === 1) socket.end(answer)
      else socket.end(own)
    })
  })
  const step = { operationId: 'registerClient', 'x-dcr': { identity: 'none' } }
  const requestBody = { contentType: 'application/json', payload: { client_name: 'own' } }
  const undo = {
    stepId: 'undo',
    operationId: 'uploadLogo',
    requestBody: { contentType: 'text/plain', payload: 'none' },
  }
  const ran = await runLocally(pki, {
    port: server.port,
    steps: [
      { stepId: 'call', ...step, requestBody },
      { ...undo, 'x-dcr': { identity: 'none', finally: true } },
    ],
    settings: { TIMEOUT_MS: '20000' },
  })

  expect(requests).toBe(2)
  expect(ran.steps[1]?.exchanges[0]?.response?.status).toBe(400)
  for (const [place, text] of [
    ['the record', JSON.stringify(ran.record)],
    ['the screen', ran.screen],
  ] as const)
    expect([place, findCanary(CANARY, text)]).toEqual([place, undefined])
})
