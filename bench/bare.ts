/**
 * The server of the bench: mutual TLS, answers each documented call at once with bytes made beforehand, and checks nothing, so that
 * nearly all of the measured time is the client's.
 */
import { hash } from 'node:crypto'
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
  /** application ids by the signature of their statements */
  const signed = new Map<string, string>()
  const server = createServer(
    { ca, cert: certificate, key, requestCert: true, rejectUnauthorized: true },
    (incoming, outgoing) => {
      const { method, url = '' } = incoming
      let sent = ''
      incoming.on('data', (chunk: Buffer) => (sent += chunk.toString('latin1')))
      incoming.once('end', () => {
        count += 1
        const path = url.startsWith('/oauth2/register/') ? '/oauth2/register/:client' : url.replace(/[\w-]{36}/g, ':id')
        const { status, type, template, places } = answers.get(`${method} ${path}`) ?? NOT_FOUND
        const id = idIn(url) ?? signed.get(signatureIn(sent)) ?? ID
        const signature = randomLike(id)
        signed.set(signature, id)
        // A copy, since answers to other connections may not have left yet.
        const body = Buffer.from(template)
        const own = { token: randomLike(String(count)), signature, id }
        for (const [part, at] of places) body.write(own[part], at)
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

/** Stands for a token, which is new in each answer. */
const TOKEN = '#'.repeat(43)
/** Stands for the end of the signature of a statement, which is that of its application. */
const SIGNATURE = '%'.repeat(43)
/** The application of the samples; an answer about another one has the id of that. */
const ID = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const PARTS = { token: TOKEN, signature: SIGNATURE, id: ID }

interface Answer {
  readonly status: number
  readonly type: string
  readonly template: Buffer
  /** what is written into each answer, and where, in bytes */
  readonly places: readonly (readonly [keyof typeof PARTS, number])[]
}

const NOT_FOUND: Answer = { status: 404, ...answerOf('text/plain', 'not part of the bench') }

/** The answers of the six calls, from the documented samples; only the addresses, ids and tokens differ. */
function documented(origin: string): ReadonlyMap<string, Answer> {
  const client = sample('dcr-response-2024-08.json') as { client_id: string; software_statement: string }
  const statement = client.software_statement.slice(0, -SIGNATURE.length) + SIGNATURE
  const registration = json({
    ...client,
    software_statement: statement,
    registration_access_token: TOKEN,
    registration_client_uri: `${origin}/oauth2/register/${encodeURIComponent(client.client_id)}`,
  })
  return new Map([
    ['POST /token', { status: 200, ...json({ ...sample('directory-token-response.json'), access_token: TOKEN }) }],
    [
      'GET /organisations/:id/softwarestatements/:id/assertion',
      { status: 200, ...answerOf('application/jwt', statement) },
    ],
    ['POST /oauth2/register', { status: 201, ...registration }],
    ['GET /oauth2/register/:client', { status: 200, ...registration }],
    ['PUT /oauth2/register/:client', { status: 200, ...registration }],
    ['DELETE /oauth2/register/:client', { status: 204, ...answerOf('application/json', '') }],
  ])
}

function json(value: object): Omit<Answer, 'status'> {
  return answerOf('application/json', JSON.stringify(value))
}

function answerOf(type: string, text: string): Omit<Answer, 'status'> {
  const places = (['token', 'signature', 'id'] as const).flatMap((name) =>
    [...text.matchAll(new RegExp(PARTS[name], 'g'))].map(({ index }) => [name, index] as const),
  )
  return { type, template: Buffer.from(text), places }
}

/** The last UUID of a path: of the application. */
function idIn(path: string): string | undefined {
  return path.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g)?.at(-1)
}

/** The end of the signature of the statement in a body. */
function signatureIn(body: string): string {
  return /"software_statement":\s*"[^"]*([\w-]{43})"/.exec(body)?.[1] ?? ''
}

/** 43 characters, as random as those of a real server, and others for each text. */
function randomLike(text: string): string {
  return hash('sha256', text, 'base64url')
}

function sample(file: string): object {
  return JSON.parse(readFileSync(new URL(`../fixtures/thredd/${file}`, import.meta.url), 'utf8')) as object
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
