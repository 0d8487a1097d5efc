/**
 * The server of the bench: mutual TLS, answers each documented call at once with bytes made beforehand, and checks nothing, so that
 * nearly all of the measured time is the client's.
 */

import { createHash } from 'node:crypto'
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
        const { status, type, body, tokenAt } = answers.get(`${incoming.method} ${path}`) ?? NOT_FOUND
        if (tokenAt !== undefined) body.write(tokenOf(count), tokenAt)
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
  /** where the token stands, in bytes */
  readonly tokenAt?: number | undefined
}

/** Stands for a token, which is new in each answer. */
const TOKEN = '#'.repeat(43)

const NOT_FOUND: Answer = { status: 404, type: 'text/plain', body: Buffer.from('not part of the bench') }

/** The answers of the six calls, from the documented samples; only the addresses differ. */
function documented(origin: string): ReadonlyMap<string, Answer> {
  const client = sample('dcr-response-2024-08.json')
  const { client_id: id } = client as { client_id: string }
  const registration = json({
    ...client,
    registration_access_token: TOKEN,
    registration_client_uri: `${origin}/oauth2/register/${encodeURIComponent(id)}`,
  })
  const { software_statement: statement } = client as { software_statement: string }
  return new Map([
    [
      'POST /token',
      {
        status: 200,
        ...json({ ...sample('directory-token-response.json'), access_token: TOKEN }),
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

/** As random as the token of a real server, and new for each number. */
function tokenOf(number: number): string {
  return createHash('sha256').update(String(number)).digest('base64url')
}

function sample(file: string): object {
  return JSON.parse(readFileSync(new URL(`../fixtures/thredd/${file}`, import.meta.url), 'utf8')) as object
}

function json(value: object): Omit<Answer, 'status'> {
  const body = Buffer.from(JSON.stringify(value))
  return { type: 'application/json', body, tokenAt: body.indexOf(TOKEN) }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
