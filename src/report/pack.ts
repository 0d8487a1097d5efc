/**
 * The evidence pack of a run: its record, reports and exchanges in a folder or zip archive, a manifest with the SHA-256 of
 * each file, and a signature over the manifest. Making and verifying one needs no environment and no network.
 */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { type PublicKey, publicKeyOf, signDetached, verifyDetached } from '../identity/jwt.ts'
import { keySigner, type SigningAlg } from '../identity/signing.ts'
import { fail } from '../record/errors.ts'
import { RECORD_FILE, type RunRecord } from '../record/index.ts'
import { demandOrdinaryFolder, readRegularFile, readTextFile, remedyFor, whyUnread } from '../record/regular-file.ts'
import { REQUIREMENTS } from '../record/requirements.ts'
import { shapeOf } from '../record/shape.ts'
import { shapesOfSecrets } from '../secret/index.ts'
import { FORMATS } from './index.ts'
import { recordJson } from './json.ts'
import { contradictions, factsOf, judged, type Manifest, manifestShape, standingsOf } from './manifest.ts'
import { reportedRun } from './summary.ts'
import { unzip, zip } from './zip.ts'

const MANIFEST = 'manifest.json'
const SIGNATURE = 'manifest.jws'
const SIGNER = 'signer.jwk.json'

export interface ReportKey {
  readonly alg: SigningAlg
  readonly privateKey: KeyObject
}

/**
 * Writes a folder, or an archive where the name ends in ".zip"; never overwrites anything. Returns the public key of the
 * signature. Throws REPORT_UNWRITABLE, or SECRET_LEAK after removing the pack.
 */
export async function writePack(
  record: RunRecord,
  { pack, key, now }: { readonly pack: string; readonly key: ReportKey; readonly now: Date },
): Promise<PublicKey> {
  const own = keySigner(key.privateKey, { alg: key.alg, kid: '' })
  const signer = publicKeyOf(own)
  const evidence = evidenceOf(record)
  const { workflows, ...head } = record
  const run = reportedRun(head, workflows)
  const files = new Map<string, string>([
    [RECORD_FILE, [...recordJson(head, workflows)].join('')],
    ...Object.values(FORMATS).map(({ file, convert }): [string, string] => [file, [...convert(run)].join('')]),
    ['requirements.json', json(REQUIREMENTS)],
    ['judged.json', json(judged(run))],
    ['detection.json', json(run.summary.detections)],
    ...(record.decisions === undefined ? [] : [['decisions.json', json(record.decisions)] as [string, string]]),
    [SIGNER, json(signer.jwk)],
    ...evidence,
  ])
  const manifest: Manifest = {
    manifestVersion: 4,
    ...factsOf(record),
    ...standingsOf(run),
    createdAt: now.toISOString(),
    files: [...files].map(([path, text]) => ({ path, bytes: Buffer.byteLength(text), sha256: sha256(text) })),
    chain: chainOf(evidence.map(([path, text]) => ({ path, sha256: sha256(text) }))),
  }
  const signed = json(manifest)
  files.set(MANIFEST, signed)
  files.set(SIGNATURE, `${await signDetached(Buffer.from(signed), own)}\n`)
  await write(pack, files)
  await searchForSecrets(pack)
  return signer
}

/** Searches the written pack for texts with the shape of a secret: the secrets of a stored run themselves are not known any more. */
async function searchForSecrets(pack: string): Promise<void> {
  const { paths, read } = await open(pack, [])
  for (const path of paths) {
    const found = shapesOfSecrets(Buffer.from(await read(path)).toString('utf8'))
    if (found.length === 0) continue
    await rm(pack, { recursive: true, force: true })
    fail({
      code: 'SECRET_LEAK',
      message: `"${path}" of the evidence pack held ${found.join(', ')}; the pack was removed`,
      hint: 'was the record edited, or written by another version? run again, and pack that run',
    })
  }
}

export interface Verification {
  /** empty for a complete and unchanged pack */
  readonly problems: readonly string[]
  /** what the manifest says */
  readonly manifest: Manifest
  /** the key of the signature; absent where no signature is valid */
  readonly signer?: PublicKey | undefined
}

/**
 * Checks the signature over the manifest, the size and hash of each file, the chain, that no file is missing or added, and that
 * the manifest says of the run what record.json does.
 * Throws PACK_UNREADABLE where there is no manifest.
 */
export async function verifyPack(
  pack: string,
  expected: { readonly kid?: string | undefined } = {},
): Promise<Verification> {
  const problems: string[] = []
  const { paths: present, read } = await open(pack, problems)
  const bytes = await read(MANIFEST)
  const manifest = manifestOf(bytes, pack)
  const listed = new Set([MANIFEST, SIGNATURE])
  for (const { path, bytes: size, sha256: hash } of manifest.files) {
    if (listed.has(path)) problems.push(`"${path}" is listed twice`)
    listed.add(path)
    // Only files found in the pack are opened, so that a path in the manifest cannot lead out of it.
    if (!present.has(path)) problems.push(`"${path}" is missing`)
    else problems.push(...differences(path, await read(path), { size, hash }))
  }
  for (const path of present) if (!listed.has(path)) problems.push(`"${path}" is not part of the pack`)

  const signer = await signerOf({ paths: present, read }, bytes)
  if (signer === undefined) problems.push(`${SIGNATURE} is not a signature over ${MANIFEST} by the key in ${SIGNER}`)
  if (expected.kid !== undefined && signer !== undefined && signer.kid !== expected.kid)
    problems.push(`it was signed by another key: expected "${expected.kid}", got "${signer.kid}"`)
  const hashes = new Map(manifest.files.map((file) => [file.path, file.sha256]))
  const chain = chainOf(manifest.chain.map(({ path }) => ({ path, sha256: hashes.get(path) ?? '' })))
  if (JSON.stringify(chain) !== JSON.stringify(manifest.chain)) problems.push('the chain of exchanges is broken')
  if (present.has(RECORD_FILE))
    problems.push(...contradictions(manifest, Buffer.from(await read(RECORD_FILE)).toString('utf8')))
  return { problems, manifest, signer }
}

function storedKey(file: string): string | undefined {
  try {
    return readTextFile(file)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : unusable(file, error)
  }
}

/** The key that signs packs: read from `file`, or made there on first use. Throws KEY_UNUSABLE. */
export async function reportKey(file: string): Promise<ReportKey & { readonly made: boolean }> {
  const stored = storedKey(file)
  if (stored !== undefined) return { ...parsedKey(stored, file), made: false }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    return unusable(file, error)
  }
  return { alg: 'ES256', privateKey, made: true }
}

function parsedKey(pem: string, file: string): ReportKey {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(pem)
  } catch (error) {
    return unusable(file, error)
  }
  const { modulusLength = 0, namedCurve } = privateKey.asymmetricKeyDetails ?? {}
  if (privateKey.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return { alg: 'ES256', privateKey }
  if (privateKey.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return { alg: 'PS256', privateKey }
  return unusable(file, undefined)
}

function unusable(file: string, cause: unknown): never {
  const { syscall } = cause as NodeJS.ErrnoException
  return fail(
    {
      code: 'KEY_UNUSABLE',
      message: `report key "${file}" cannot be used${syscall === undefined ? '' : `: ${whyUnread(cause)}`}`,
      expected: 'an unencrypted PEM key, EC on P-256 or RSA of at least 2048 bits',
      hint: 'make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out <file>',
    },
    cause,
  )
}

/** One file for each exchange, numbered in the order of the run. */
function evidenceOf(record: RunRecord): [path: string, text: string][] {
  const exchanges = record.workflows.flatMap(({ workflowId, row, steps }) =>
    steps.flatMap(({ stepId, exchanges }) =>
      exchanges.map((exchange, index) => ({ workflowId, row: row?.number, stepId, attempt: index + 1, exchange })),
    ),
  )
  const width = String(exchanges.length).length
  return exchanges.map((one, index) => {
    const name = [
      String(index + 1).padStart(width, '0'),
      one.workflowId,
      ...(one.row === undefined ? [] : [`row-${one.row}`]),
      one.stepId,
      ...(one.attempt > 1 ? [one.attempt] : []),
    ]
    return [
      `evidence/${name
        .join('-')
        .replace(/[^A-Za-z0-9_-]/g, '_')
        .slice(0, 120)}.json`,
      json(one),
    ]
  })
}

function chainOf(files: readonly { readonly path: string; readonly sha256: string }[]): Manifest['chain'] {
  let link = ''
  return files.map(({ path, sha256: hash }) => {
    link = sha256(`${link}\n${hash}`)
    return { path, link }
  })
}

async function write(pack: string, files: ReadonlyMap<string, string>): Promise<void> {
  const part = `${pack}.part`
  try {
    // Written under another name first, so that the pack is there whole or not at all.
    demandOrdinaryFolder(dirname(pack))
    await rm(part, { recursive: true, force: true })
    if (isArchive(pack)) {
      await mkdir(dirname(pack), { recursive: true })
      await writeFile(part, zip(new Map([...files].map(([path, text]) => [path, Buffer.from(text)]))), { flag: 'wx' })
      await writeFile(pack, '', { flag: 'wx' })
      await rename(part, pack)
      return
    }
    await mkdir(dirname(part), { recursive: true })
    // Follows no link that somebody laid there meanwhile.
    await mkdir(part)
    for (const [path, text] of files) {
      const file = join(part, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text, { flag: 'wx' })
    }
    if ((await readdir(pack).catch(() => [])).length > 0)
      throw Object.assign(new Error('the folder is not empty'), { code: 'EEXIST' })
    await rename(part, pack)
  } catch (cause) {
    await rm(part, { recursive: true, force: true }).catch(() => undefined)
    const isTaken = (cause as NodeJS.ErrnoException).code === 'EEXIST'
    fail(
      {
        code: 'REPORT_UNWRITABLE',
        message: `"${pack}" cannot be written: ${isTaken ? 'there is something of that name' : whyUnread(cause)}`,
        hint: `${isTaken ? '' : `${remedyFor(cause)}, or `}choose another name with --pack`,
      },
      cause,
    )
  }
}

function isArchive(pack: string): boolean {
  return pack.endsWith('.zip')
}

function manifestOf(bytes: Uint8Array, pack: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    value = undefined
  }
  const shaped = shapeOf(manifestShape, value)
  if (shaped.ok) return shaped.value
  return fail({
    code: 'PACK_UNREADABLE',
    message: `the ${MANIFEST} of "${pack}" is cut or changed: it cannot be read`,
    found: shaped.faults[0] && `${shaped.faults[0].path || 'the root'}: ${shaped.faults[0].message}`,
    hint: 'take the pack from where it was first kept',
  })
}

async function signerOf({ paths, read }: Contents, manifest: Uint8Array): Promise<PublicKey | undefined> {
  if (!paths.has(SIGNATURE) || !paths.has(SIGNER)) return undefined
  const jws = Buffer.from(await read(SIGNATURE)).toString('latin1')
  // Exactly one line: added white space is a change too.
  if (!/^[\w.-]+\n$/.test(jws)) return undefined
  try {
    return await verifyDetached(jws.trim(), manifest, JSON.parse(Buffer.from(await read(SIGNER)).toString('utf8')))
  } catch {
    return undefined
  }
}

function differences(path: string, bytes: Uint8Array, { size, hash }: { size: number; hash: string }): string[] {
  if (bytes.length !== size) return [`"${path}" has changed: expected ${size} bytes, got ${bytes.length}`]
  return sha256(bytes) === hash ? [] : [`"${path}" has changed: its SHA-256 is another`]
}

/** The files of a pack, in a folder or an archive. */
interface Contents {
  /** with "/" */
  readonly paths: ReadonlySet<string>
  /** Throws PACK_UNREADABLE. */
  readonly read: (path: string) => Promise<Uint8Array>
}

/** In bytes: enough for a pack of thousands of calls, and little enough to be read into memory. */
const LARGEST_ARCHIVE = 512 * 1024 * 1024

async function open(pack: string, problems: string[]): Promise<Contents> {
  const entry = await stat(pack).catch((cause) => unreadable(pack, cause))
  if (entry.isDirectory())
    return { paths: await filesBelow(pack, problems), read: async (path) => await readIn(pack, path) }
  if (entry.size > LARGEST_ARCHIVE) return damaged(pack, `it is larger than ${LARGEST_ARCHIVE} bytes`)
  const files = unzip(readOrSay(pack))
  if ('problem' in files) return damaged(pack, files.problem)
  return { paths: new Set(files.keys()), read: async (path) => files.get(path) ?? unreadable(pack, { code: 'ENOENT' }) }
}

function damaged(pack: string, why: string): never {
  return fail({
    code: 'PACK_UNREADABLE',
    message: `"${pack}" is no archive of an evidence pack as this tool writes it: ${why}`,
    hint: 'take it from where it was first kept; one that was packed anew can be unpacked and verified as a folder',
  })
}

/** Every file below the folder. A link is a problem: its target could be changed without being noticed. */
async function filesBelow(folder: string, problems: string[]): Promise<ReadonlySet<string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) =>
    unreadable(folder, cause),
  )
  const found = new Set<string>()
  for (const entry of entries) {
    const path = relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/')
    if (entry.isFile()) found.add(path)
    else if (!entry.isDirectory()) problems.push(`"${path}" is no file`)
  }
  return found
}

async function readIn(folder: string, path: string): Promise<Uint8Array> {
  const file = join(folder, path)
  try {
    if (!(await lstat(file)).isFile()) throw Object.assign(new Error('no file'), { code: 'EINVAL' })
    return readRegularFile(file)
  } catch (cause) {
    return unreadable(folder, cause)
  }
}

function readOrSay(pack: string): Uint8Array {
  try {
    return readRegularFile(pack, LARGEST_ARCHIVE)
  } catch (cause) {
    return unreadable(pack, cause)
  }
}

function unreadable(pack: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException
  return fail(
    {
      code: 'PACK_UNREADABLE',
      message:
        code === 'ENOENT'
          ? `"${pack}" is no evidence pack: it has no ${MANIFEST}`
          : `"${pack}" cannot be read: ${whyUnread(cause)}`,
      hint: 'name a folder or archive that was written with --pack',
    },
    cause,
  )
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
