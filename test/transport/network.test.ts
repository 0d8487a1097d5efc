/** Faults of the network: each has an outcome of its own, no run hangs, and no call is repeated that must not be. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { beforeAll, expect, test } from 'vitest'
import { type LocalPki, type LocalRun, makeLocalPki, runLocally } from '../support/local.ts'
import { notPassed } from '../support/run.ts'
import { startHttps, startTcp, startTls } from '../support/servers.ts'

let pki: LocalPki
beforeAll(async () => {
  pki = await makeLocalPki()
})

const STATUS = { stepId: 'call', operationId: 'status', 'x-dcr': { identity: 'none' } }
const READ = {
  stepId: 'call',
  operationId: 'readClient',
  'x-dcr': { identity: 'none' },
  parameters: [{ name: 'client_id', in: 'path', value: 'ours' }],
}
const MUTUAL = { stepId: 'call', operationId: 'mutual' }
const REGISTER = {
  stepId: 'call',
  operationId: 'registerClient',
  'x-dcr': { identity: 'none' },
  requestBody: { contentType: 'application/json', payload: { client_name: 'own' } },
}

const HTML = '<!DOCTYPE html><html><title>Sorry</title></html>'
const SUSPICION = 'it may demand a client certificate, and identity "none" presents none'

interface Row {
  readonly fault: string
  readonly step: object
  /** what the server writes once it has the request; the connection is ended after it unless `open` */
  readonly talk: string | ((socket: TLSSocket, tcp: Socket) => unknown)
  readonly outcome: string
  readonly exitCode: 1 | 3
  readonly sent?: 'unknown'
  readonly hint?: string
}

const SILENCE = () => {}
const TIMEOUT_HINT = 'raise TIMEOUT_MS if the host is known to be slow'

const FAULTS: readonly Row[] = [
  {
    fault: 'no answer',
    step: STATUS,
    talk: () => {},
    outcome: 'TIMEOUT: "<host>" did not answer within 2000 ms',
    exitCode: 3,
    sent: 'unknown',
    hint: TIMEOUT_HINT,
  },
  {
    fault: 'headers that come byte by byte',
    step: STATUS,
    talk: (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-slow: '),
    outcome: 'TIMEOUT: "<host>" did not finish its answer within 2000 ms',
    exitCode: 3,
    sent: 'unknown',
    hint: TIMEOUT_HINT,
  },
  {
    fault: 'a body that comes byte by byte',
    step: STATUS,
    talk: (socket) => drip(socket, 'HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n'),
    outcome: 'TIMEOUT: "<host>" did not finish its answer within 2000 ms',
    exitCode: 3,
    sent: 'unknown',
    hint: TIMEOUT_HINT,
  },
  {
    fault: 'a body that is cut in the middle',
    step: READ,
    talk: 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"client_id"',
    outcome: 'PEER_CLOSED: "<host>" closed the connection in the middle of its answer',
    hint: 'run again; where it is cut each time, send Thredd the time and the trace id of the call',
    exitCode: 3,
    sent: 'unknown',
  },
  {
    fault: 'a reset connection',
    step: STATUS,
    talk: (_, tcp) => tcp.resetAndDestroy(),
    outcome: `PEER_CLOSED: "<host>" closed the connection without an answer; ${SUSPICION}`,
    hint: 'where it is closed each time, check that the certificate is the one that Thredd knows and that this machine is on the allow-list',
    exitCode: 3,
    sent: 'unknown',
  },
  {
    fault: 'a huge body',
    step: READ,
    talk: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n')
      flood(socket)
    },
    outcome: 'TOO_LARGE: the answer of "<host>" is larger than 10485760 bytes',
    exitCode: 3,
    sent: 'unknown',
  },
  {
    fault: 'something that is not HTTP',
    step: STATUS,
    talk: '220 mail.example ESMTP\r\n',
    outcome: 'PROTOCOL: the answer of "<host>" is not HTTP',
    exitCode: 3,
    sent: 'unknown',
  },
  {
    fault: 'JSON that is none',
    step: READ,
    talk: answer(200, 'application/json', '{"client_id": '),
    outcome: 'schema: expected JSON, found text that is not JSON',
    exitCode: 1,
  },
  {
    fault: 'an empty answer instead of JSON',
    step: READ,
    talk: 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
    outcome: 'content-type: expected application/json, found none',
    exitCode: 1,
  },
  {
    fault: 'an HTML page with status 200',
    step: READ,
    talk: answer(200, 'text/html', HTML),
    outcome: 'content-type: expected application/json, found text/html',
    exitCode: 1,
  },
  {
    fault: 'an HTML page with status 404',
    step: STATUS,
    talk: answer(404, 'text/html', HTML),
    outcome: 'status: expected one of 200, found 404 | success: expected a 2xx status, found 404',
    exitCode: 1,
  },
  {
    fault: 'the HTML page of a proxy that refuses the certificate',
    step: MUTUAL,
    talk: answer(400, 'text/html; charset=utf-8', HTML),
    outcome:
      'TLS_CLIENT_REFUSED: "<host>" answered 400 with an HTML page instead of its own error; a proxy there seems to refuse the certificate of identity "transport"',
    exitCode: 3,
    hint: 'check that the certificate is the one Thredd issued for this host and is within its dates',
  },
  {
    fault: 'the HTML page of a server that asks for the certificate after the request',
    step: MUTUAL,
    talk: answer(403, 'text/html; charset=iso-8859-1', HTML),
    outcome:
      'TLS_CLIENT_REFUSED: "<host>" answered 403 with an HTML page instead of its own error; a proxy there seems to refuse the certificate of identity "transport"',
    exitCode: 3,
    hint: 'where it asks for the certificate only after the request, as some servers do for a part of a site, set TLS_MAX_VERSION=1.2; else check that the certificate is the one Thredd issued for this host',
  },
  {
    fault: '429 with Retry-After',
    step: STATUS,
    talk: answer(429, 'text/plain', 'slow down', 'retry-after: 7'),
    outcome: 'THROTTLED: "<host>" answered 429: too many requests',
    exitCode: 3,
    hint: 'it asks to wait: Retry-After 7',
  },
  {
    fault: 'a server error',
    step: READ,
    talk: answer(500, 'application/json', '{"error":"server_error"}'),
    outcome: 'SERVER_ERROR: "<host>" answered 500, which is no verdict',
    exitCode: 3,
  },
  {
    fault: 'the HTML page of a gateway',
    step: MUTUAL,
    talk: answer(502, 'text/html', HTML),
    outcome: 'SERVER_ERROR: "<host>" answered 502, which is no verdict',
    exitCode: 3,
  },
  {
    fault: 'maintenance',
    step: STATUS,
    talk: answer(503, 'text/plain', '', 'retry-after: Fri, 02 Jan 2026 03:04:05 GMT'),
    outcome: 'SERVER_ERROR: "<host>" answered 503, which is no verdict',
    exitCode: 3,
    hint: 'it asks to wait: Retry-After Fri, 02 Jan 2026 03:04:05 GMT',
  },
  {
    fault: 'a redirect, which is not followed',
    step: STATUS,
    talk: answer(302, 'text/plain', '', 'location: /clients/ours'),
    outcome: 'status: expected one of 200, found 302 | success: expected a 2xx status, found 302',
    exitCode: 1,
  },
]

test.for(FAULTS)('$fault: exit $exitCode, $outcome', async ({ step, talk, outcome, exitCode, sent = 'yes', hint }) => {
  const requests: string[] = []
  await using server = await startTls(pki.server, (socket, tcp) => {
    socket.on('data', (data) => {
      requests.push(...(data.toString('latin1').match(/^(?:GET|POST) \S+ HTTP/gm) ?? []))
      if (typeof talk === 'string') socket.end(talk)
      else talk(socket, tcp)
    })
  })

  const after = { ...STATUS, stepId: 'after' }
  // Short only where silence is what is tested: a busy machine needs its time for a large answer.
  const settings = { TIMEOUT_MS: outcome.startsWith('TIMEOUT') ? '2000' : '20000' }
  const ran = await runLocally(pki, { port: server.port, steps: [step, after], settings })

  expect(outcomeOf(ran, server.port)).toBe(outcome)
  expect(ran.record).toMatchObject({ exitCode, verdict: exitCode === 1 ? 'non-conformant' : 'inconclusive' })
  const status = exitCode === 1 ? 'failed' : 'errored'
  expect(ran.steps).toMatchObject([
    { status, exchanges: [{ sent }] },
    { status: 'skipped', because: `step "call" ${status}` },
  ])
  expect(ran.steps[0]?.error?.hint).toBe(hint)
  // No redirect is followed, the next step does not run, and nothing is tried again.
  expect(requests).toHaveLength(1)
})

test('no two faults of the network have the same outcome, apart from those with the same meaning for a reader', () => {
  const outcomes = FAULTS.map(({ outcome, hint }) => `${outcome} ${hint}`)
  const repeated = FAULTS.filter(({ outcome, hint }, index) => outcomes.indexOf(`${outcome} ${hint}`) !== index)

  expect(repeated.map(({ fault }) => fault)).toEqual(['a body that comes byte by byte'])
})

test('a server that never finishes the TLS handshake: exit 3, and nothing was sent', async () => {
  await using server = await startTcp(() => {})

  const ran = await runLocally(pki, { port: server.port, steps: [STATUS], settings: { TIMEOUT_MS: '2000' } })

  expect(outcomeOf(ran, server.port)).toBe('TIMEOUT: no TLS connection to "<host>" within 2000 ms')
  expect(ran.record.exitCode).toBe(3)
  expect(ran.steps[0]?.exchanges).toMatchObject([{ sent: 'no' }])
})

test('a stop ends the wait for a TLS handshake at once', async () => {
  const control = new AbortController()
  await using server = await startTcp(() => control.abort())

  const ran = await runLocally(pki, { port: server.port, steps: [STATUS], signal: control.signal })

  expect(ran.record).toMatchObject({ exitCode: 3, workflows: [{ error: { code: 'INTERRUPTED' } }] })
  expect(ran.steps[0]?.exchanges).toMatchObject([{ sent: 'no', error: { code: 'INTERRUPTED' } }])
})

test('a timeout of the step wins over that of the environment', async () => {
  await using server = await startTls(pki.server, () => {})

  const ran = await runLocally(pki, { port: server.port, steps: [{ ...STATUS, timeout: 2000 }] })

  expect(outcomeOf(ran, server.port)).toBe('TIMEOUT: "<host>" did not answer within 2000 ms')
})

const NOT_REPEATED =
  'it was not repeated: the server may have acted on it; set x-dcr: { retrySafe: true } where a repetition does no harm'
const AGAIN = [{ name: 'again', type: 'retry', retryAfter: 0, retryLimit: 2 }]

/** Faults after which it is unknown whether the server has registered the client. */
const UNKNOWN_FATES: readonly (readonly [string, Row['talk'], string])[] = [
  ['is never answered', SILENCE, 'TIMEOUT'],
  ['is answered with a closed connection', (socket) => socket.end(), 'PEER_CLOSED'],
  ['is answered with a reset', (_, tcp) => tcp.resetAndDestroy(), 'PEER_CLOSED'],
  ['is answered with half an answer', 'HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{', 'PEER_CLOSED'],
  ['is answered with a server error', answer(500, 'text/plain', 'oh'), 'SERVER_ERROR'],
  ['is answered by a gateway that waited too long', answer(504, 'text/html', HTML), 'SERVER_ERROR'],
]

test.for(UNKNOWN_FATES)('a registration that %s is not sent again, whatever the flow says', async ([, talk, code]) => {
  const { ran, requests } = await againstTalk(talk, { ...REGISTER, onFailure: AGAIN })

  expect(requests).toEqual(['POST /clients'])
  expect(ran.events.filter(({ type }) => type === 'retry')).toEqual([])
  expect(ran.steps[0]).toMatchObject({ status: 'errored', error: { code, hint: NOT_REPEATED } })
  expect(ran.record.exitCode).toBe(3)
})

test.for(UNKNOWN_FATES)('a registration that %s is sent again where its author calls that safe', async ([, talk]) => {
  const step = { ...REGISTER, 'x-dcr': { identity: 'none', retrySafe: true }, onFailure: AGAIN }
  const { ran, requests } = await againstTalk(talk, step)

  expect(requests).toEqual(['POST /clients', 'POST /clients', 'POST /clients'])
  expect(ran.steps[0]?.exchanges).toHaveLength(3)
  expect(ran.record.exitCode).toBe(3)
})

test('a registration that was never sent may be tried again: the server is not there yet', async () => {
  let connections = 0
  await using server = await startTcp((socket) => {
    connections += 1
    socket.once('data', () => socket.destroy())
  })

  const ran = await runLocally(pki, { port: server.port, steps: [{ ...REGISTER, onFailure: AGAIN }] })

  expect(connections).toBe(3)
  expect(ran.steps[0]?.exchanges.map(({ sent }) => sent)).toEqual(['no', 'no', 'no'])
})

test.for([
  ['a read', READ, 503, ['GET /clients/ours', 'GET /clients/ours']],
  ['a throttled registration', REGISTER, 429, ['POST /clients', 'POST /clients']],
] as const)('%s is tried again, and what comes then decides', async ([, step, status, expected]) => {
  let answered = 0
  await using server = await startHttps(pki.server, ({ method }, response) => {
    answered += 1
    const success = method === 'POST' ? 201 : 200
    response.writeHead(answered === 1 ? status : success, { 'content-type': 'application/json', 'retry-after': '0' })
    response.end('{"client_id":"ours"}')
  })

  const ran = await runLocally(pki, { port: server.port, steps: [{ ...step, onFailure: AGAIN }] })

  expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(expected)
  expect(ran.record).toMatchObject({ verdict: 'conformant', exitCode: 0 })
  expect(ran.steps[0]?.exchanges.map(({ response }) => response?.status)).toEqual([status, step === READ ? 200 : 201])
  expect(ran.screen).toContain('call: retry 1 in 0 ms')
})

test('without an action that says so nothing is tried again', async () => {
  const { requests } = await againstTalk(answer(503, 'text/plain', ''), STATUS)

  expect(requests).toEqual(['GET /status'])
})

/** Retry-After header, wait of the flow in seconds, resulting wait in milliseconds. */
const WAITS: readonly (readonly [string | undefined, number, number])[] = [
  ['3', 60, 3000],
  ['0', 60, 0],
  [undefined, 5, 5000],
  ['soon', 5, 5000],
  ['Fri, 02 Jan 2026 03:04:05 GMT', 5, 0],
  // A server cannot make us wait for a day.
  ['86400', 5, 120_000],
  ['Fri, 02 Jan 2099 03:04:05 GMT', 5, 120_000],
  ['9'.repeat(400), 5, 120_000],
  // No form that RFC 9110 has: as if the header were absent.
  ['-5', 5, 5000],
  ['1.5', 5, 5000],
  ['1e9', 5, 5000],
  ['Fri, 02 Jan 275761 03:04:05 GMT', 5, 5000],
  ['Fri, 99 Jan 2026 03:04:05 GMT', 5, 5000],
]

test.for(WAITS)('after Retry-After %s, and %i s in the flow, the wait is %i ms, and a stop ends it', async (row) => {
  const [header, retryAfter, expected] = row
  const lines = header === undefined ? [] : [`retry-after: ${header}`]
  const control = new AbortController()
  let waited: number | undefined
  const { ran, requests } = await againstTalk(
    answer(503, 'text/plain', '', ...lines),
    { ...STATUS, onFailure: [{ name: 'again', type: 'retry', retryAfter, retryLimit: 1 }] },
    {
      signal: control.signal,
      onEvent: (event) => {
        if (event.type !== 'retry') return
        waited = event.delayMs
        control.abort()
      },
    },
  )

  expect(waited).toBe(expected)
  expect(requests).toEqual(['GET /status'])
  expect(ran.record).toMatchObject({ exitCode: 3, workflows: [{ error: { code: 'INTERRUPTED' } }] })
})

/** One step against a server that answers every request alike. */
async function againstTalk(
  talk: Row['talk'],
  step: object,
  more: Partial<Parameters<typeof runLocally>[1]> = {},
): Promise<{ readonly ran: LocalRun; readonly requests: readonly string[] }> {
  const requests: string[] = []
  await using server = await startTls(pki.server, (socket, tcp) => {
    socket.on('data', (data) => {
      const heads = [...data.toString('latin1').matchAll(/^((?:GET|POST) \S+) HTTP/gm)]
      requests.push(...heads.map(([, head = '']) => head))
      if (heads.length === 0) return
      if (typeof talk === 'string') socket.end(talk)
      else talk(socket, tcp)
    })
  })
  const settings = { TIMEOUT_MS: talk === SILENCE ? '2000' : '20000' }
  const ran = await runLocally(pki, { port: server.port, steps: [step], settings, ...more })
  return { ran, requests }
}

/** The error of the first step, or its failed checks, in one line. */
function outcomeOf({ steps: [step] }: LocalRun, port: number): string {
  if (step === undefined) throw new Error('no step')
  const { error } = step
  const text =
    error === undefined
      ? notPassed(step)
          .map(({ id, expected, actual }) => `${id}: expected ${expected}, found ${actual}`)
          .join(' | ')
      : `${error.code}: ${error.message}`
  return text.replaceAll(`localhost:${port}`, '<host>')
}

function answer(status: number, type: string, body: string, ...headers: readonly string[]): string {
  const lines = [`HTTP/1.1 ${status} Something`, `content-type: ${type}`, `content-length: ${body.length}`, ...headers]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Sends single bytes until the client closes the connection. */
function drip(socket: TLSSocket, head: string): void {
  socket.write(head)
  const timer = setInterval(() => socket.write('x'), 20)
  socket.once('close', () => clearInterval(timer))
}

/** Sends without end, as fast as the client reads. */
function flood(socket: TLSSocket): void {
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('drain', more)
  more()
}
