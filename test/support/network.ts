/**
 * The documented hosts as a real process meets them: a proxy on loopback whose tunnels all lead to the twin, so that TLS,
 * server names and certificates are those of the network. An environment of class uat is then as close to UAT as it gets.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Pki, type Switches, startTwin, type Twin } from '../../mocks/index.ts'
import { sharedPki } from './twin.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Network extends AsyncDisposable {
  readonly twin: Twin
  readonly pki: Pki
  /** of the twin itself, on 127.0.0.1 */
  readonly port: number
  /** text of an environment file of class uat */
  readonly environment: string
  /** for the process: its proxy, its certificates and a vault key */
  readonly variables: Readonly<Record<string, string>>
  /** of the variables, 32 bytes */
  readonly vaultKey: Uint8Array
  /** hosts whose tunnels are refused, as when a host is down: nothing can have left */
  readonly down: Set<string>
  /** registrations, updates and deletions that the twin was asked for, as the log has them */
  changes(): readonly string[]
  /** bytes of the twin's answers, with those of TLS, that have been passed on to the process */
  passedOn(): number
  /** how many connections there were to each host and port */
  tunnels(): ReadonlyMap<string, number>
}

/** `authorities`: further ones that the twin trusts to issue certificates of clients, PEM. */
export async function startNetwork(switches: Partial<Switches> = {}, authorities = ''): Promise<Network> {
  const pki = await sharedPki()
  const running = await startTwin({
    pki: { ...pki, ca: `${pki.ca}${authorities}` },
    switches: { metadataSet: 'at-once', ...switches },
  })
  const { twin, port } = running
  const down = new Set<string>()
  const open = new Set<Socket>()
  const tunnels = new Map<string, number>()
  let passedOn = 0
  const proxy = createServer()
  proxy.on('connect', (request, near: Socket) => {
    near.on('error', () => near.destroy())
    tunnels.set(request.url ?? '', (tunnels.get(request.url ?? '') ?? 0) + 1)
    if (down.has(request.url?.replace(/:\d+$/, '') ?? '')) {
      near.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    const far = connect(port, '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n')
      near.pipe(far).pipe(near)
    })
    far.on('error', () => near.destroy())
    far.on('data', ({ length }) => {
      passedOn += length
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.once('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const vaultKey = randomBytes(32)
  const { certificateFile, keyFile } = pki.identities.transport
  return {
    twin,
    pki,
    port,
    environment: (await readFile(join(ROOT, '.env.mock'), 'utf8')).replace('ENV_CLASS=mock', 'ENV_CLASS=uat'),
    variables: {
      HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      THREDD_TRANSPORT_CERT_FILE: certificateFile,
      THREDD_TRANSPORT_KEY_FILE: keyFile,
      THREDD_CA_FILE: pki.caFile,
      THREDD_SIGNING_KEY_FILE: pki.identities.signing.keyFile,
      THREDD_SIGNING_CERT_FILE: pki.identities.signing.certificateFile,
      THREDD_VAULT_KEY: vaultKey.toString('base64url'),
    },
    vaultKey,
    down,
    changes: () =>
      twin.log
        .filter(({ method, url }) => url.includes('/oauth2/register') && method !== 'GET')
        .map(({ method, status }) => `${method} ${status}`),
    passedOn: () => passedOn,
    tunnels: () => tunnels,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
      await running.close()
    },
  }
}
