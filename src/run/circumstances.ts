/**
 * What a record says of the circumstances of its run: environment and settings, how carefully servers were checked, what
 * makes the evidence weaker than it looks, and the keys that signed. Pure.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { basename } from 'node:path'
import { type Environment, hostsOf, placeOf } from '../environment/index.ts'
import { factsOf, publicKeyFacts } from '../identity/facts.ts'
import { publicKeyOf } from '../identity/jwt.ts'
import type { SigningKey } from '../identity/signing.ts'
import type { IdentityRecord, RunRecord, SigningKeyRecord } from '../record/index.ts'

/** Base URLs and settings, each with the file and line or the variable it came from. */
export function environmentRecord(environment: Environment): RunRecord['environment'] {
  const settings = environment.settings.map(({ name, value, origin }) => ({ name, value, from: placeOf(origin) }))
  return {
    name: environment.name,
    ...(environment.flags.length === 0 ? {} : { flags: [...environment.flags] }),
    class: environment.class,
    files: environment.files.map((file) => basename(file)),
    servers: [...environment.servers].map(([source, url]) => {
      const { origin } = environment.setting(`server_${source}`) ?? {}
      return { source, url, from: origin === undefined ? 'default' : placeOf(origin) }
    }),
    settings,
    settingsSha256: createHash('sha256').update(JSON.stringify(settings)).digest('hex'),
  }
}

/** `authorities` are the certificates of CA_FILE as PEM. */
export function securityRecord(
  circumstances: Circumstances & { readonly authorities: readonly string[] },
): NonNullable<RunRecord['security']> {
  const { environment, authorities, proxy } = circumstances
  return {
    minTlsVersion: environment.minTlsVersion,
    ownAuthorities: environment.ca !== undefined,
    authorities: authorities.map((pem) => factsOf(new X509Certificate(pem))),
    proxy,
    weaknesses: weaknessesOf(circumstances),
  }
}

/** One entry for each key, whatever it signs with; `certificate` is that of the current one. */
export function signingKeyRecords(
  keys: readonly SigningKey[],
  certificate: IdentityRecord | undefined,
): SigningKeyRecord[] {
  return [...Map.groupBy(keys, ({ kid }) => kid).values()].flatMap(([key, ...others]) => {
    if (key === undefined) return []
    const facts = publicKeyFacts(key.publicKey)
    const isOfCertificate = certificate?.key === undefined || certificate.key.spkiSha256 === facts.spkiSha256
    return {
      kid: key.kid,
      algorithms: [key, ...others].map(({ alg }) => alg),
      key: facts,
      thumbprint: publicKeyOf(key).kid,
      certificate: isOfCertificate ? certificate : undefined,
    }
  })
}

type Weakness = NonNullable<NonNullable<RunRecord['security']>['weaknesses']>[number]

interface Circumstances {
  readonly environment: Environment
  readonly counterparty: RunRecord['counterparty']
  readonly proxy: boolean
  /** those of the process */
  readonly variables: Readonly<Record<string, string | undefined>>
}

function weaknessesOf(circumstances: Circumstances): Weakness[] {
  const { counterparty } = circumstances
  // The embedded twin is nobody's server: how carefully it was checked is no evidence.
  if (counterparty !== 'network') return [COUNTERPARTY[counterparty], ...ofNode(circumstances)]
  return [...ofEnvironment(circumstances), ...ofNode(circumstances)]
}

const COUNTERPARTY: Readonly<Record<'twin' | 'twin-in-process', Weakness>> = {
  twin: { flag: 'offline twin', means: 'the twin on this machine answered in place of the named servers' },
  'twin-in-process': {
    flag: 'offline twin without TLS',
    means: 'the twin answered within the process: nothing here is evidence for mutual TLS',
  },
}

function ofEnvironment({ environment, proxy }: Circumstances): Weakness[] {
  const usual = new Set(hostsOf(environment))
  const wider = [...environment.allowedHosts].filter((host) => !usual.has(host))
  const lowered = environment.settings.some(
    ({ name, value, instead }) => name === 'TLS_MIN_VERSION' && value === '1.2' && instead === '1.3',
  )
  // What a file says can be looked up later; what was typed or set for one run cannot.
  const typed = environment.settings.filter(({ name, origin }) => name.startsWith('SERVER_') && origin.at === undefined)
  return [
    ...typed.map(({ name, value, origin, instead }) => ({
      flag: `${name} by ${origin.label}`,
      means: `"${value}" was called${instead === undefined ? '' : ` in place of "${instead}"`}`,
    })),
    ...(wider.length === 0 ? [] : [{ flag: 'ALLOWED_HOSTS', means: `calls to ${wider.join(', ')} were allowed too` }]),
    ...(lowered ? [{ flag: 'TLS_MIN_VERSION', means: 'lowered to 1.2, where the environment asks for 1.3' }] : []),
    ...(environment.ca === undefined
      ? []
      : [{ flag: 'CA_FILE', means: 'servers with certificates of further authorities were trusted' }]),
    ...onThisMachine(environment),
    ...(proxy ? [{ flag: 'HTTPS_PROXY', means: 'calls went through a proxy, whose own checks nobody sees here' }] : []),
  ]
}

/** Hosts of UAT or production that are no hosts of Thredd. */
function onThisMachine({ class: kind, servers }: Environment): Weakness[] {
  if (kind === 'mock') return []
  const local = [...servers].filter(([, url]) => LOOPBACK.test(URL.parse(url)?.hostname ?? ''))
  if (local.length === 0) return []
  const names = local.map(([source]) => `SERVER_${source.toUpperCase()}`).join(', ')
  return [{ flag: 'loopback', means: `${names} is on this machine: what answers there is not Thredd` }]
}

const LOOPBACK = /^(?:localhost|.*\.localhost|127(?:\.\d+){1,3}|\[::1\])$/i

/** What makes the evidence weaker than it looks and can be told before the first call, as warnings for a person. */
export function weaknessWarnings({
  environment,
  variables,
}: Pick<Circumstances, 'environment' | 'variables'>): readonly string[] {
  if (environment.class === 'mock') return []
  return [...onThisMachine(environment), ...ofNode({ variables })].map(({ flag, means }) => `${flag}: ${means}`)
}

/** Variables that make Node.js itself less careful, or make it load code that nobody reviewed. */
const OF_NODE: readonly (readonly [variable: string, pattern: RegExp, means: string])[] = [
  ['NODE_TLS_REJECT_UNAUTHORIZED', /^0$/, 'set, without effect: server certificates were verified all the same'],
  ['NODE_EXTRA_CA_CERTS', /./, 'servers with certificates of further authorities were trusted'],
  ['NODE_USE_SYSTEM_CA', /^1$/, 'the authorities of the operating system were trusted too'],
  ['OPENSSL_CONF', /./, 'another configuration of OpenSSL may allow weak keys and ciphers'],
  [
    'NODE_OPTIONS',
    /--(?:tls-|openssl|use-(?:openssl|system)-ca|require|import|loader|experimental-loader|inspect)|(?:^|\s)-r\b/,
    'options that change TLS, load further code or open a debugger',
  ],
]

function ofNode({ variables }: Pick<Circumstances, 'variables'>): Weakness[] {
  return OF_NODE.flatMap(([flag, pattern, means]) => (pattern.test(variables[flag] ?? '') ? [{ flag, means }] : []))
}
