/** Loopback servers for tests: each picks a free port, logs what arrived and takes every open socket down with it. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttps, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer as createNet, type Server, type Socket } from 'node:net'
import { createServer as createTls, type TLSSocket, type TlsOptions } from 'node:tls'

export interface TestServer extends AsyncDisposable {
  readonly port: number
}

export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** common name of the client certificate the server saw */
  readonly client: string | undefined
  readonly isSessionReused: boolean
}

export interface HttpsTestServer extends TestServer {
  readonly requests: readonly LoggedRequest[]
  /** how many TLS sessions were resumed instead of fully negotiated */
  readonly connections: readonly { readonly isSessionReused: boolean }[]
}

export async function startHttps(
  options: ServerOptions,
  respond: (request: LoggedRequest, response: ServerResponse) => void,
): Promise<HttpsTestServer> {
  const requests: LoggedRequest[] = []
  const connections: { isSessionReused: boolean }[] = []
  const server = createHttps(options, async (request, response) => {
    const socket = request.socket as TLSSocket
    let body = ''
    for await (const chunk of request) body += chunk
    const logged = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body,
      client: socket.getPeerX509Certificate()?.subject.split('CN=')[1],
      isSessionReused: socket.isSessionReused(),
    }
    requests.push(logged)
    respond(logged, response)
  })
  server.on('secureConnection', (socket) => connections.push({ isSessionReused: socket.isSessionReused() }))
  server.on('tlsClientError', () => {})
  return { ...(await listen(server)), requests, connections }
}

/** A TLS server that speaks whatever `talk` says, for answers that are not HTTP. `tcp` is the bare socket below. */
export async function startTls(
  options: TlsOptions,
  talk: (socket: TLSSocket, tcp: Socket) => void,
): Promise<TestServer> {
  const below = new Map<number | undefined, Socket>()
  const server = createTls(options, (socket) => {
    const tcp = below.get(socket.remotePort)
    socket.on('error', () => {})
    if (tcp !== undefined) talk(socket, tcp)
  })
  server.on('connection', (tcp) => below.set(tcp.remotePort, tcp))
  server.on('tlsClientError', () => {})
  return await listen(server)
}

/** A bare TCP server. */
export async function startTcp(talk: (socket: Socket) => void): Promise<TestServer> {
  return await listen(
    createNet((socket) => {
      socket.on('error', () => {})
      talk(socket)
    }),
  )
}

async function listen(server: Server): Promise<TestServer> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
