/** Thredd's hosts: which server each is, and of which environment. Sources: docs/environment.md and the comments of .env.uat and .env.prod. */

/** Names of servers as in SERVER_<NAME>. */
export type ServerName =
  | 'DIRECTORY'
  | 'DIRECTORY_MTLS'
  | 'DIRECTORY_API'
  | 'KEYSTORE'
  | 'AUTHORIZATION'
  | 'CARDS'
  | 'API_HUB'

const SERVERS: readonly (readonly [RegExp, ServerName])[] = [
  [/^matls-auth\.directory\.(?:sandbox\.)?threddid\.com$/, 'DIRECTORY_MTLS'],
  [/^matls-api\.directory\.(?:sandbox\.)?threddid\.com$/, 'DIRECTORY_API'],
  [/^auth\.directory\.(?:sandbox\.)?threddid\.com$/, 'DIRECTORY'],
  [/^keystore\.directory\.(?:sandbox\.)?threddid\.com$/, 'KEYSTORE'],
  [/\.authz\.cloudentity\.io$|^auth\.(?:uat\.)?threddid\.com$/, 'AUTHORIZATION'],
  [/^(?:api\.uat|coreapi)\.threddpay\.com$/, 'CARDS'],
  [/^(?:api-uat|uat-mtls|uat-api|mtls|api)\.thredd\.com$/, 'API_HUB'],
]

/** One host each for both environments. */
const OF_BOTH = /^(?:jwks\.|ocsp\.|rp\.directory\.|www\.)?threddid\.com$/
const OF_THREDD =
  /(?:^|\.)(?:threddid\.com|threddpay\.com|thredd\.com|thredd\.net|globalprocessing\.net|authz\.cloudentity\.io)$/
const FOR_TESTS = /(?:^|[.-])(?:uat|sandbox|test)|uat/

/** The server that an address belongs to, by its host; an address of the twin has that host as the start of its path. */
export function serverOf(url: string): ServerName | undefined {
  for (const name of namesIn(url)) {
    const found = SERVERS.find(([pattern]) => pattern.test(name))
    if (found !== undefined) return found[1]
  }
  return undefined
}

/** Undefined for a host that is not Thredd's, or that serves both. */
export function classOf(url: string): 'uat' | 'prod' | undefined {
  const host = URL.parse(url)?.hostname ?? ''
  if (!OF_THREDD.test(host) || OF_BOTH.test(host)) return undefined
  return FOR_TESTS.test(host) ? 'uat' : 'prod'
}

/** Whether a documented call may go to this address: a host of Thredd, this machine, or a variable without a value yet. */
export function mayBeThredd(url: string): boolean {
  if (/^\{\{/.test(url)) return true
  const host = URL.parse(url)?.hostname ?? ''
  return OF_THREDD.test(host) || /^(?:localhost|127\.|\[::1\])/.test(host)
}

function namesIn(url: string): readonly string[] {
  const parsed = URL.parse(url)
  return parsed === null ? [] : [parsed.hostname, parsed.pathname.split('/')[1] ?? '']
}
