/** A tunnel through the HTTP proxy of HTTPS_PROXY, unless NO_PROXY exempts the host. Both are read as curl reads them. */
import { BlockList, isIP, type Socket } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Client } from 'undici'
import type { Secret } from '../secret/index.ts'
import { ConnectFailure } from './failure.ts'

export interface ProxySettings {
  /** the URL of HTTPS_PROXY; its user information becomes the proxy credentials and is never printed */
  readonly httpsProxy?: Secret | undefined
  /** NO_PROXY: names (with their subdomains), `host:port`, networks such as `10.0.0.0/8`, or `*`, separated by commas */
  readonly noProxy?: string | undefined
}

interface TunnelOptions {
  /** PEM texts of CA_FILE */
  readonly ca?: readonly string[] | undefined
  readonly timeoutMs: number
  /** called with the attempt while it lasts, so that it can be ended */
  readonly opening: Set<{ destroy(): void }>
}

/** A socket that leads to the host; undefined where no proxy is used. Throws ConnectFailure. */
export async function tunnelTo(
  host: string,
  port: number,
  proxy: ProxySettings | undefined,
  { ca = [], timeoutMs, opening }: TunnelOptions,
): Promise<Socket | undefined> {
  const setting = proxy?.httpsProxy?.reveal() ?? ''
  if (setting === '' || isExempt(host, port, proxy?.noProxy ?? '')) return undefined
  const url = proxyUrl(setting)
  if (url === undefined) throw new ConnectFailure({ phase: 'proxy' }, new Error('HTTPS_PROXY is no URL'))
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  const client = new Client(url.origin, {
    allowH2: false,
    connectTimeout: timeoutMs,
    headersTimeout: timeoutMs,
    connect: { rejectUnauthorized: true, ca: [...getCACertificates('default'), ...ca] },
  })
  const attempt = { destroy: () => void client.destroy() }
  opening.add(attempt)
  try {
    const { socket, statusCode } = await client.connect({
      path: authority,
      headers: { host: authority, ...proxyAuthorization(url) },
    })
    if (statusCode === 200) return socket as Socket
    socket.on('error', () => {}).destroy()
    throw new Error(`proxy "${url.host}" answered ${statusCode}`)
  } catch (cause) {
    const isOurs = cause instanceof Error && cause.message.startsWith('proxy ')
    const reason = isOurs ? cause : new Error(`proxy "${url.host}" cannot be reached`, { cause })
    throw new ConnectFailure({ phase: 'proxy' }, reason)
  } finally {
    opening.delete(attempt)
    // Rejects where the end of the run has destroyed the client before.
    client.close().catch(() => {})
  }
}

/** What `@`, `#`, `/` or a backslash in a password would cut off is taken for the host by some and printed. */
const PROXY =
  /^(?:https?:\/\/)?(?:(?:[^\s@#?/\\%]|%[0-9a-f]{2})*@)?(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?\/?$/i

/** The URL of HTTPS_PROXY; a proxy without a scheme is an http one. Undefined where it is none, or where it is uncertain what is the host. */
export function proxyUrl(setting: string): URL | undefined {
  if (!PROXY.test(setting)) return undefined
  const url = URL.parse(/^https?:\/\//i.test(setting) ? setting : `http://${setting}`) ?? undefined
  try {
    decodeURIComponent(`${url?.username}${url?.password}`)
    return url
  } catch {
    return undefined
  }
}

function isExempt(host: string, port: number, noProxy: string): boolean {
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      if (entry.includes('/')) return isInSubnet(host, entry)
      const [name = '', only] = entry.replace(/^\*?\./, '').split(/:(?=\d+$)/)
      return (host === name || host.endsWith(`.${name}`)) && (only === undefined || Number(only) === port)
    })
}

/** Of addresses alone: no name is looked up for NO_PROXY. */
function isInSubnet(host: string, subnet: string): boolean {
  const [, network = '', bits = ''] = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(subnet) ?? []
  const version = isIP(network)
  if (version === 0 || isIP(host) !== version || Number(bits) > (version === 4 ? 32 : 128)) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(network, Number(bits), family)
  return list.check(host, family)
}

function proxyAuthorization({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '') return {}
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }
}
