/**
 * Hooks and faults over plain HTTP on a port of their own, for clients that do not use the twin as a library. Listens on this
 * machine only and demands a bearer token.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { faultsOf } from './faults/catalogue.ts'
import { HOOKS, performHook } from './hooks.ts'
import { bearerOf } from './route.ts'
import type { Twin } from './twin.ts'

// An import of node:http would load the copy of undici that Node holds, which takes longer than a call.
const { createServer } = process.getBuiltinModule('node:http')

export interface RunningAdmin extends AsyncDisposable {
  /** http://127.0.0.1:PORT */
  readonly origin: string
  /** every request must carry it as a bearer token */
  readonly token: string
  close(): Promise<void>
}

const BODY_BYTES = 64 * 1024
const TIMEOUT_MS = 10_000
const CONNECTIONS = 50

/** Always on 127.0.0.1. `onChange` is awaited after each hook, before it is answered. */
export async function startAdmin(
  twin: Twin,
  options: {
    readonly port?: number
    readonly random?: (size: number) => Uint8Array
    readonly onChange?: () => Promise<void>
  } = {},
): Promise<RunningAdmin> {
  const { port = 0, random = randomBytes, onChange = async () => {} } = options
  const token = Buffer.from(random(32)).toString('base64url')
  const server = createServer({ requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS }, (incoming, outgoing) => {
    respond(incoming, twin, token, onChange)
      .catch((error: unknown): Answer => [400, { error: error instanceof Error ? error.message : String(error) }])
      .then(([status, body]) => send(outgoing, status, body))
      .catch(() => incoming.socket.destroy())
  })
  server.maxConnections = CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the admin port has no number')
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }
  return { origin: `http://127.0.0.1:${address.port}`, token, close, [Symbol.asyncDispose]: close }
}

type Answer = readonly [status: number, body: unknown]

async function respond(
  incoming: IncomingMessage,
  twin: Twin,
  token: string,
  onChange: () => Promise<void>,
): Promise<Answer> {
  // Against DNS rebinding: a web page can make its own host name resolve to this port, but then sends that name as Host.
  if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(incoming.headers.host ?? '')) {
    return [403, { error: 'the Host header must be 127.0.0.1 or localhost' }]
  }
  if (!isSame(bearerOf(incoming.headers.authorization), token))
    return [401, { error: 'the bearer token is missing or wrong' }]
  const { method = '', url = '' } = incoming
  const hook = /^\/hooks\/([a-z-]+)$/.exec(url)?.[1]
  if (method === 'GET' && url === '/hooks') return [200, HOOKS]
  if (method === 'GET' && url === '/log') return [200, twin.log.slice(-1000)]
  if (method === 'GET' && url === '/state') return [200, overview(twin)]
  if (method === 'POST' && hook !== undefined) {
    const result = performHook(twin.state, hook, await readObject(incoming))
    await onChange()
    return [200, result]
  }
  if (method === 'POST' && url === '/faults') {
    const { fault } = await readObject(incoming)
    const faults = faultsOf(String(fault ?? ''), twin.operations)
    for (const one of faults) twin.use(...one.handlers(twin))
    return [200, { faults: faults.map(({ what }) => what) }]
  }
  if (method === 'DELETE' && url === '/faults') {
    twin.reset()
    return [200, {}]
  }
  return [404, { error: `no ${method} ${url.slice(0, 100)} here; GET /hooks lists the hooks` }]
}

/** Without tokens and secrets. */
function overview(twin: Twin): object {
  const { state } = twin
  return {
    now: state.now().toISOString(),
    switches: twin.switches,
    applications: [...state.applications.values()].map(({ softwareId, clientId, roles, status, locked }) => ({
      software_id: softwareId,
      client_id: clientId,
      roles: [...roles],
      status,
      locked,
    })),
    clients: [...state.clients.values()].map(({ clientId, scopes, metadata }) => ({
      client_id: clientId,
      scopes,
      metadata: metadata ?? null,
    })),
  }
}

async function readObject(incoming: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES) throw new Error(`the body is larger than ${BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (size === 0) return {}
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new Error('the body is not JSON')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Error('the body is not a JSON object')
  return body as Readonly<Record<string, unknown>>
}

function isSame(given: string | undefined, expected: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function send(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...(status === 400 ? { connection: 'close' } : {}),
  })
  outgoing.end(JSON.stringify(body))
}
