/** Who answers a run, the embedded twin or the named hosts, and the connection to it. */
import type { Environment } from '../environment/index.ts'
import { demandAllowed } from '../guard/hosts.ts'
import type { Identity } from '../identity/certificate.ts'
import { fail } from '../record/errors.ts'
import { LIMITS } from '../record/limits.ts'
import { Secret } from '../secret/index.ts'
import { inProcess } from '../transport/in-process.ts'
import { createTransport } from '../transport/index.ts'
import { proxyUrl } from '../transport/proxy.ts'
import type { Transport } from '../transport/transport.ts'
import type { Caller, Counterparty } from './caller.ts'
import type { ClientNames } from './request.ts'

/**
 * Whether the embedded twin answers. In class mock nothing leaves this machine: servers on loopback are called, and the twin
 * stands for every other name. It has no clients when a run begins, and loses those of the run when the run ends.
 */
export function usesTwin(environment: Environment): boolean {
  return environment.class === 'mock' && ![...environment.servers.values()].every(isLoopback)
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname)
}

/** The embedded twin, started, or undefined where the named hosts answer. */
export async function startCounterparty(
  environment: Environment,
  { twin }: Pick<Caller, 'twin'>,
  ofRow?: ClientNames,
): Promise<Counterparty | undefined> {
  if (!usesTwin(environment)) return undefined
  if (twin !== undefined) return twin(environment, ofRow)
  return fail({
    code: 'TWIN',
    message: `environment "${environment.name}" is of class mock, and there is no twin to answer for its servers`,
    hint: 'name servers on localhost, or run without --env on the embedded twin',
  })
}

export interface Connection {
  readonly identities: ReadonlyMap<string, Identity>
  /** PEM texts of CA_FILE */
  readonly authorities: readonly string[]
  readonly proxy: ProxySettings | undefined
  readonly counterparty: Counterparty | undefined
}

export interface ProxySettings {
  readonly httpsProxy: Secret | undefined
  readonly noProxy: string | undefined
}

export function connect(
  environment: Environment,
  { identities, authorities, proxy, counterparty }: Connection,
): Transport {
  const gate = {
    identities,
    demandAllowed: demandAllowed(environment.allowedHosts),
    maxBodyBytes: LIMITS.bodyBytes.value,
  }
  if (counterparty?.kind === 'twin-in-process')
    return inProcess({ ...gate, answer: (request, certificate) => counterparty.answer(request, certificate) })
  return createTransport({
    ...gate,
    ca: authorities,
    // The twin's certificate is issued by its own authority; loading all others would take longer than its answers.
    onlyOwnAuthorities: environment.class === 'mock',
    minTlsVersion: environment.minTlsVersion,
    maxTlsVersion: environment.maxTlsVersion,
    connectTo: counterparty?.connectTo,
    proxy: counterparty === undefined ? proxy : undefined,
  })
}

/** The URL as a whole is a secret, since it may hold a password. Throws ENV_INVALID, which shows no part of it. */
export function proxyOf(given: Caller['proxy']): ProxySettings | undefined {
  if (given === undefined) return undefined
  const { httpsProxy = '', noProxy } = given
  if (httpsProxy === '') return { httpsProxy: undefined, noProxy }
  if (proxyUrl(httpsProxy) === undefined) {
    const scheme = /^socks\w*(?=:\/\/)/i.exec(httpsProxy)?.[0].toLowerCase()
    if (scheme !== undefined) {
      fail({
        code: 'ENV_INVALID',
        message: `HTTPS_PROXY names a proxy of scheme ${scheme}://, which cannot be used; its value is not shown, since it may hold a password`,
        expected: 'http:// or https://',
        hint: 'name an HTTP proxy (one that understands CONNECT), or unset HTTPS_PROXY',
      })
    }
    fail({
      code: 'ENV_INVALID',
      message: 'HTTPS_PROXY cannot be used; its value is not shown, since it may hold a password',
      expected: 'http:// or https://, user:password@ where the proxy asks for them, host:port',
      hint: 'write each character of user and password that is no letter and no digit as % and two hexadecimal digits: @ as %40, # as %23, \\ as %5C',
    })
  }
  return { httpsProxy: new Secret(httpsProxy, 'HTTPS_PROXY'), noProxy }
}

/** The password of the proxy's URL, and the header value that is made of it. */
export function proxySecrets(
  proxy: ProxySettings | undefined,
): readonly { readonly value: string; readonly name: string }[] {
  const { username = '', password = '' } = proxyUrl(proxy?.httpsProxy?.reveal() ?? '') ?? {}
  if (password === '') return []
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)]
  return [
    { value: secret, name: 'proxy_password' },
    { value: Buffer.from(`${user}:${secret}`).toString('base64'), name: 'proxy_credentials' },
  ]
}
