/**
 * Signs with a program of the user's, for keys that may not be files: the bytes to be signed go to its standard input, the
 * signature comes from its standard output. No signature leaves that the public key does not verify.
 */
import { spawn } from 'node:child_process'
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, randomBytes, verify } from 'node:crypto'
import { isAbsolute, resolve } from 'node:path'
import { fail, type Problem } from '../record/errors.ts'
import { Redactor } from '../secret/index.ts'
import { isTheTransportCertificate, isTransport, loadSigningCertificates } from './certificate.ts'
import { childrenOf, elementAt, TAG } from './der.ts'
import { materialOf } from './material.ts'
import { ALGORITHMS, FORMS, misfit, type SigningAlg, type SigningKey } from './signing.ts'

/** A program with its arguments, split into words as a shell would; no shell runs it. */
export interface SigningCommand {
  readonly line: string
  /** where it runs, and where a relative path of the program starts */
  readonly folder: string
}

interface CommandSpec {
  readonly command: SigningCommand
  readonly alg: SigningAlg
  readonly kid: string
  /** the certificate of the key; needed where `jwk` is not given */
  readonly certificateFile?: string | undefined
  /** the public key: JWK or PEM */
  readonly jwk?: string | undefined
  /** SHA-256 of the transport certificate, which is not the certificate of the key */
  readonly transport?: string | undefined
  readonly timeoutMs?: number | undefined
}

/** @throws ToolError KEY_UNUSABLE, IDENTITY_UNREADABLE, or ENV_MISSING where no public key is named */
export async function loadSigningCommand(spec: CommandSpec): Promise<SigningKey> {
  const { command, alg, kid, timeoutMs = 30_000 } = spec
  const publicKey = await publicKeyOf(spec)
  if (!ALGORITHMS[alg].fits(publicKey)) return fail(misfit('the public key of SIGNING_COMMAND', alg, publicKey))
  return {
    alg,
    kid,
    publicKey,
    secret: undefined,
    sign: async (bytes) => signatureIn(await outputOf(command, bytes, timeoutMs), bytes, { alg, publicKey }),
  }
}

/** The words of a command line; undefined where a quote is not closed. A backslash is a character like any other. */
export function wordsOf(line: string): readonly string[] | undefined {
  const words = [...line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word)
  const rest = line.replaceAll(/(?:[^\s"']|"[^"]*"|'[^']*')+|\s+/g, '')
  if (rest !== '') return undefined
  return words.map((word) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single))
}

async function publicKeyOf({ certificateFile, jwk, transport }: CommandSpec): Promise<KeyObject> {
  if (jwk !== undefined) {
    try {
      const [block] = materialOf(Buffer.from(jwk)).blocks
      if (block !== undefined && 'jwk' in block) return createPublicKey({ key: block.jwk as JsonWebKey, format: 'jwk' })
      return createPublicKey(jwk.replaceAll('\\n', '\n'))
    } catch (cause) {
      return fail(
        { code: 'KEY_UNUSABLE', message: 'SIGNING_JWK is no public key', expected: 'a JWK or a public key in PEM' },
        cause,
      )
    }
  }
  if (certificateFile !== undefined) {
    const certificates = await loadSigningCertificates(certificateFile)
    if (isTransport(certificates, transport))
      return fail({ code: 'KEY_UNUSABLE', message: isTheTransportCertificate(certificateFile) })
    return certificates[0].publicKey
  }
  return fail({
    code: 'ENV_MISSING',
    message: 'SIGNING_COMMAND is set without the public key that its signatures are verified with',
    hint: 'set SIGNING_CERT_FILE to the signing certificate, or SIGNING_JWK to its public key',
  })
}

const MOST_OUTPUT = 64 * 1024

interface Output {
  readonly stdout: Buffer
  readonly stderr: string | undefined
}

async function outputOf({ line, folder }: SigningCommand, input: Uint8Array, timeoutMs: number): Promise<Output> {
  const [named = '', ...options] = wordsOf(line) ?? []
  const program = /[\\/]/.test(named) && !isAbsolute(named) ? resolve(folder, named) : named
  const { promise, resolve: end } = Promise.withResolvers<{ reason: string; hint?: string } | undefined>()
  const child = spawn(program, options, { cwd: folder, windowsHide: true })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  let size = 0
  const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
    size += chunk.length
    if (size > MOST_OUTPUT) end({ reason: `wrote more than ${MOST_OUTPUT} bytes` })
    else chunks.push(chunk)
  }
  child.stdout.on('data', keep(stdout))
  child.stderr.on('data', keep(stderr))
  // A program that does not read its input closes it; what it answers decides.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const limit = setTimeout(() => end({ reason: `did not end within ${timeoutMs} ms` }), timeoutMs)
  child.once('error', (error: NodeJS.ErrnoException) =>
    end({ reason: START[error.code ?? ''] ?? `could not be started (${error.code})` }),
  )
  child.once('close', (code, signal) => {
    if (code === 0) end(undefined)
    else end({ reason: signal === null ? `ended with exit code ${code}` : `was ended by ${signal}` })
  })
  const failure = await promise
  clearTimeout(limit)
  const said = quoted(Buffer.concat(stderr).toString())
  if (failure === undefined) return { stdout: Buffer.concat(stdout), stderr: said }
  child.kill('SIGKILL')
  // What the program has started itself may hold the pipes open.
  for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy()
  return unusable(failure.reason, { found: said })
}

const START: Readonly<Record<string, string>> = {
  ENOENT: 'names a program that does not exist',
  EACCES: 'names a file that this user may not run',
}

/** Standard error of a program, for a message: one line, cut, without what has the shape of a secret. */
function quoted(text: string): string | undefined {
  const plain = new Redactor(randomBytes(32)).sentence(text.slice(0, MOST_OUTPUT))
  const line = plain.replace(/[^\x20-\x7e]+/g, ' ').trim()
  if (line === '') return undefined
  return `on its standard error: "${line.length <= 300 ? line : `${line.slice(0, 299)}…`}"`
}

/** The signature that the output holds: raw, DER, or one of them in base64 or hexadecimal. */
function signatureIn(
  { stdout, stderr }: Output,
  bytes: Uint8Array,
  { alg, publicKey }: Pick<SigningKey, 'alg' | 'publicKey'>,
): Buffer {
  const candidates = formsOf(stdout).flatMap((form) => [form, ...(alg === 'ES256' ? fromDer(form) : [])])
  const found = candidates.find((one) => verify('sha256', bytes, { key: publicKey, ...FORMS[alg] }, one))
  if (found !== undefined) return found
  if (stdout.length === 0) return unusable('wrote no signature to its standard output', { found: stderr })
  const [, instead] =
    INSTEAD.find(([check]) => candidates.some((one) => holds(() => check(bytes, publicKey, one)))) ?? []
  return unusable(`wrote no ${alg} signature of its input that the public key verifies`, {
    expected: `a ${alg} signature over the bytes of its standard input: raw, DER, base64 or hexadecimal`,
    found:
      instead ?? (candidates.some(({ length }) => length === lengthOf(publicKey)) ? OTHER : `${stdout.length} bytes`),
    hint: 'compare SIGNING_CERT_FILE or SIGNING_JWK with the key that the program uses; docs/environment.md shows the command for openssl',
  })
}

const OTHER = 'a signature of the right length, made with another key or of other bytes'

/** Of a signature in bytes, as JWS has it. */
function lengthOf({ asymmetricKeyDetails }: KeyObject): number {
  const { modulusLength } = asymmetricKeyDetails ?? {}
  return modulusLength === undefined ? 64 : Math.ceil(modulusLength / 8)
}

function formsOf(stdout: Buffer): readonly Buffer[] {
  const text = stdout.toString('latin1').trim()
  return [
    stdout,
    ...(stdout.at(-1) === 0x0a ? [stdout.subarray(0, -1)] : []),
    ...(/^[A-Za-z0-9+/_\s-]+=*$/.test(text) ? [Buffer.from(text, 'base64')] : []),
    ...(/^(?:[0-9a-fA-F]{2}[\s:]?)+$/.test(text) ? [Buffer.from(text.replace(/[\s:]/g, ''), 'hex')] : []),
  ]
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) as two numbers of 32 bytes, which JWS has. */
function fromDer(der: Buffer): readonly Buffer[] {
  const numbers = childrenOf(elementAt(der))
  if (der[0] !== TAG.sequence || numbers.length !== 2) return []
  const fixed = numbers.map(({ content }) => Buffer.concat([Buffer.alloc(32), content]).subarray(-32))
  return [Buffer.concat(fixed)]
}

type Check = (bytes: Uint8Array, key: KeyObject, signature: Buffer) => boolean
const rsaOnly =
  (check: Check): Check =>
  (bytes, key, signature) =>
    key.asymmetricKeyType === 'rsa' && check(bytes, key, signature)
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** What the signature is instead. */
const INSTEAD: readonly (readonly [check: Check, words: string])[] = [
  [
    rsaOnly((bytes, key, one) => verify('sha256', bytes, { key, ...FORMS.RS256 }, one)),
    'an RS256 signature (PKCS#1 v1.5 padding)',
  ],
  [rsaOnly((bytes, key, one) => verify('sha256', bytes, { key, ...FORMS.PS256 }, one)), 'a PS256 signature'],
  [
    rsaOnly((bytes, key, one) => verify('sha256', bytes, { key, padding: FORMS.PS256.padding }, one)),
    'a PS256 signature whose salt is not as long as the hash (openssl: -sigopt rsa_pss_saltlen:digest)',
  ],
  ...['sha1', 'sha384', 'sha512'].map(
    (hash) =>
      [
        (bytes: Uint8Array, key: KeyObject, one: Buffer) => verify(hash, bytes, key, one),
        `a signature with ${hash}`,
      ] as const,
  ),
  [
    (bytes, key, one) => verify('sha256', digestOf(bytes), key, one),
    'a signature over the hash of the input, hashed twice',
  ],
  [
    rsaOnly((bytes, key, one) => verify('sha256', digestOf(bytes), { key, ...FORMS.PS256 }, one)),
    'a signature over the hash of the input, hashed twice',
  ],
]

function holds(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

function unusable(reason: string, more: Pick<Problem, 'expected' | 'found' | 'hint'>): never {
  return fail({ code: 'KEY_UNUSABLE', message: `the program of SIGNING_COMMAND ${reason}`, ...more })
}
