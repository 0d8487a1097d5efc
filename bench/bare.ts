/**
 * The server of the bench: mutual TLS, answers each documented call at once with bytes made beforehand, and checks nothing, so that
 * nearly all of the measured time is the client's.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Pki } from '../mocks/index.ts'

export interface Bare extends AsyncDisposable {
  readonly port: number
  /** requests answered so far */
  answered(): number
}

export async function startBare({ ca, server: { certificate, key } }: Pki): Promise<Bare> {
  let answers: ReadonlyMap<string, Answer> = new Map()
  let count = 0
  const server = createServer(
    { ca, cert: certificate, key, requestCert: true, rejectUnauthorized: true },
    (incoming, outgoing) => {
      incoming.resume()
      incoming.once('end', () => {
        count += 1
        const path = incoming.url?.startsWith('/oauth2/register/')
          ? '/oauth2/register/:client'
          : incoming.url?.replace(/[\w-]{36}/g, ':id')
        const { status, type, body, serials = [] } = answers.get(`${incoming.method} ${path}`) ?? NOT_FOUND
        for (const at of serials) body.write(scattered(count), at)
        outgoing.writeHead(status, {
          'content-type': type,
          'cache-control': 'no-store',
          pragma: 'no-cache',
          'content-length': body.length,
        })
        outgoing.end(body)
      })
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  answers = documented(`https://localhost:${port}`)
  return { port, answered: () => count, [Symbol.asyncDispose]: () => closed(server) }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
  /** offsets at which the number of the answer is written, so that tokens are new each time, like a real server's */
  readonly serials?: readonly number[]
}

/** The part of a token that is replaced with the number of the answer. */
const SERIAL = '########'

const NOT_FOUND: Answer = { status: 404, type: 'text/plain', body: Buffer.from('not part of the bench') }

/** The answers of the six calls, from the documented samples; only the addresses differ. */
function documented(origin: string): ReadonlyMap<string, Answer> {
  const client = sample('dcr-response-2024-08.json')
  const { client_id: id } = client as { client_id: string }
  const registration = json({
    ...client,
    registration_access_token: `${SERIAL}-registration-access-token-of-the-bench`,
    registration_client_uri: `${origin}/oauth2/register/${encodeURIComponent(id)}`,
  })
  const { software_statement: statement } = client as { software_statement: string }
  return new Map([
    [
      'POST /token',
      {
        status: 200,
        ...json({ ...sample('directory-token-response.json'), access_token: `${SERIAL}-directory-token-of-the-bench` }),
      },
    ],
    [
      'GET /organisations/:id/softwarestatements/:id/assertion',
      { status: 200, type: 'application/jwt', body: Buffer.from(statement) },
    ],
    ['POST /oauth2/register', { status: 201, ...registration }],
    ['GET /oauth2/register/:client', { status: 200, ...registration }],
    ['PUT /oauth2/register/:client', { status: 200, ...registration }],
    ['DELETE /oauth2/register/:client', { status: 204, type: 'application/json', body: Buffer.alloc(0) }],
  ])
}

/** Gives tokens different beginnings, like random ones; no two are the same, since the multiplier is odd. */
function scattered(number: number): string {
  return (Math.imul(number, 2_654_435_761) >>> 0).toString(16).padStart(SERIAL.length, '0')
}

function sample(file: string): object {
  return JSON.parse(readFileSync(new URL(`../fixtures/thredd/${file}`, import.meta.url), 'utf8')) as object
}

function json(value: object): Omit<Answer, 'status'> {
  const body = Buffer.from(JSON.stringify(value))
  const serial = body.indexOf(SERIAL)
  return { type: 'application/json', body, serials: serial < 0 ? [] : [serial] }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
