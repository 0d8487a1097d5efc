/** A client of the twin that knows nothing but addresses: node:https with a certificate, one connection a request. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { importPKCS8, SignJWT } from 'jose'
import type { Pki } from '../../mocks/index.ts'
import type { PkiIdentity } from '../../mocks/pki.ts'
import { CLIENT_ID } from './twin.ts'

export interface Asked {
  readonly as?: PkiIdentity | 'none'
  readonly method?: string
  readonly bearer?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
  readonly json?: unknown
  /** in place of the path of the address, byte for byte */
  readonly path?: string
}

export interface Told {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export type Ask = (address: string, asked?: Asked) => Promise<Told>

/** Rejects where the connection ends without an answer. `port`: connect there whatever the address says. */
export function outsideClient(pki: Pki, port?: number): Ask {
  return async (address, { as = 'transport', method, bearer, headers = {}, form, json, path } = {}) => {
    const url = new URL(address)
    const body = json !== undefined ? JSON.stringify(json) : form && new URLSearchParams(form).toString()
    const agent = new Agent({ maxCachedSessions: 0 })
    const outgoing = request({
      agent,
      host: '127.0.0.1',
      port: port ?? url.port,
      servername: url.hostname,
      ca: pki.ca,
      ...(as === 'none'
        ? {}
        : { cert: pki.identities[as].certificate, key: await readFile(pki.identities[as].keyFile) }),
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      // Not the URL's pathname, which is no longer what was written.
      path: path ?? address.slice(url.origin.length),
      headers: {
        host: url.host,
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
    })
    try {
      outgoing.end(body)
      const [incoming] = await once(outgoing, 'response')
      let text = ''
      for await (const chunk of incoming.setEncoding('utf8')) text += chunk
      return { status: incoming.statusCode, headers: incoming.headers, text }
    } finally {
      agent.destroy()
    }
  }
}

export async function outsideAssertion(pki: Pki, audience: string, clientId = CLIENT_ID): Promise<string> {
  const key = await importPKCS8(await readFile(pki.identities.signing.keyFile, 'utf8'), 'PS256')
  return await new SignJWT({ iss: clientId, sub: clientId, aud: audience, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'PS256', kid: pki.signingKid, typ: 'JWT' })
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(key)
}
