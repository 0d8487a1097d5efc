/** The evidence pack: what is in it, and that no change of it goes unnoticed. */
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { performReport } from '../src/cli/report.ts'
import { performVerify } from '../src/cli/verify.ts'
import { reportKey, verifyPack, writePack } from '../src/pack.ts'
import { asked, everyOutcome, hostileRecord, sampleRecord } from './support/reports.ts'

const NOW = new Date('2026-01-03T00:00:00Z')
const KEY = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const

let root: string
let good: string
let pack: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'thredd-pack-'))
  good = join(root, 'good')
  await writePack(sampleRecord(), { folder: good, key: KEY, now: NOW })
})
beforeEach(async () => {
  pack = join(root, 'pack')
  await rm(pack, { recursive: true, force: true })
  await cp(good, pack, { recursive: true })
})
afterAll(async () => await rm(root, { recursive: true, force: true }))

test('a pack holds the record, every report, each exchange, the catalogue and the public key', async () => {
  expect(await filesOf(pack)).toEqual([
    'ctrf.json',
    'evidence/1-register-register.json',
    'junit.xml',
    'manifest.json',
    'manifest.jws',
    'record.json',
    'report.html',
    'report.md',
    'requirements.json',
    'run.har',
    'signer.jwk.json',
  ])
  expect(JSON.parse(await text('signer.jwk.json'))).not.toHaveProperty('d')
  expect(JSON.parse(await text('record.json'))).toEqual(sampleRecord())
})

test('the manifest can be checked without this tool: hashes of files, and a JWS with its payload put back', async () => {
  const bytes = await readFile(join(pack, 'manifest.json'))
  const manifest = JSON.parse(bytes.toString())
  for (const { path, bytes: size, sha256 } of manifest.files) {
    const file = await readFile(join(pack, path))
    expect([path, file.length, createHash('sha256').update(file).digest('hex')]).toEqual([path, size, sha256])
  }
  const [header = '', , signature = ''] = (await text('manifest.jws')).trim().split('.')
  const key = createPublicKey({ key: JSON.parse(await text('signer.jwk.json')), format: 'jwk' })
  const input = Buffer.from(`${header}.${bytes.toString('base64url')}`)

  expect(verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))).toBe(true)
})

test('a whole pack verifies, and names its signer', async () => {
  expect(await verifyPack(pack)).toMatchObject({
    problems: [],
    files: 9,
    runId: sampleRecord().runId,
    verdict: 'conformant',
    createdAt: NOW.toISOString(),
    signer: { alg: 'ES256', kid: expect.stringMatching(/^[\w-]{43}$/) },
  })
})

test('a change of any byte of the signature, and of bytes all over every other file, is found', async () => {
  for (const path of await filesOf(pack)) {
    const original = await readFile(join(pack, path))
    const every = path === 'manifest.jws' ? 1 : Math.max(1, Math.floor(original.length / 12))
    const positions = [
      ...Array.from({ length: Math.ceil(original.length / every) }, (_, index) => index * every),
      original.length - 1,
    ]
    for (const position of positions) {
      const changed = Buffer.from(original)
      changed[position] = (changed[position] ?? 0) ^ 1
      await writeFile(join(pack, path), changed)
      expect(await isFound(pack), `${path} at ${position}`).toBe(true)
    }
    await writeFile(join(pack, path), original)
  }
  expect((await verifyPack(pack)).problems).toEqual([])
})

test('every file that is missing, cut or longer is found and named', async () => {
  for (const path of (await filesOf(pack)).filter((one) => !one.startsWith('manifest'))) {
    const original = await readFile(join(pack, path))
    await rm(join(pack, path))
    expect((await verifyPack(pack)).problems[0]).toBe(`"${path}" is missing`)
    await writeFile(join(pack, path), original.subarray(0, -1))
    expect((await verifyPack(pack)).problems[0]).toBe(
      `"${path}" has changed: expected ${original.length} bytes, found ${original.length - 1}`,
    )
    await writeFile(join(pack, path), Buffer.concat([original, Buffer.from('\n')]))
    expect((await verifyPack(pack)).problems[0]).toBe(
      `"${path}" has changed: expected ${original.length} bytes, found ${original.length + 1}`,
    )
    await writeFile(join(pack, path), original)
  }
})

test('a missing signature is found, and so is white space around it', async () => {
  const jws = await text('manifest.jws')
  for (const changed of [
    '',
    jws.trim(),
    ` ${jws}`,
    `${jws}\n`,
    jws.replace('\n', '\r\n'),
    jws.replace('..', '.e30.'),
  ]) {
    await writeFile(join(pack, 'manifest.jws'), changed)
    expect((await verifyPack(pack)).problems).toEqual([
      'manifest.jws is not a signature over manifest.json by the key in signer.jwk.json',
    ])
  }
  await rm(join(pack, 'manifest.jws'))
  expect((await verifyPack(pack)).problems).toHaveLength(1)
})

test('a file that was added, also hidden or below, and a link are found', async () => {
  await writeFile(join(pack, '.hidden'), '')
  await mkdir(join(pack, 'evidence', 'deep'), { recursive: true })
  await writeFile(join(pack, 'evidence', 'deep', 'more.json'), '{}')
  await symlink('report.md', join(pack, 'link'))

  expect((await verifyPack(pack)).problems.toSorted()).toEqual([
    '".hidden" is not part of the pack',
    '"evidence/deep/more.json" is not part of the pack',
    '"link" is no file',
  ])
})

test('a file replaced by a link to the same bytes is found', async () => {
  await rename(join(pack, 'report.md'), join(root, 'elsewhere.md'))
  await symlink(join(root, 'elsewhere.md'), join(pack, 'report.md'))

  expect((await verifyPack(pack)).problems).toEqual(['"report.md" is no file', '"report.md" is missing'])
})

test('a manifest that was rewritten to fit changed files has no signature any more', async () => {
  await writeFile(join(pack, 'report.md'), 'all is well')
  const manifest = JSON.parse(await text('manifest.json'))
  const entry = manifest.files.find(({ path }: { path: string }) => path === 'report.md')
  Object.assign(entry, { bytes: 11, sha256: createHash('sha256').update('all is well').digest('hex') })
  await writeFile(join(pack, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)

  const { problems, signer } = await verifyPack(pack)
  expect(problems).toEqual(['manifest.jws is not a signature over manifest.json by the key in signer.jwk.json'])
  expect(signer).toBeUndefined()
})

test('a pack signed anew with another key is whole, and told apart by the key that was expected', async () => {
  const { signer } = await verifyPack(pack)
  const forged = join(root, 'forged')
  const key = { alg: 'PS256', privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey } as const
  const other = await writePack(everyOutcome(), { folder: forged, key, now: NOW })

  expect((await verifyPack(forged)).problems).toEqual([])
  expect((await verifyPack(forged, { kid: signer?.kid })).problems).toEqual([
    `it was signed by another key: expected "${signer?.kid}", found "${other.kid}"`,
  ])
  expect((await verifyPack(pack, { kid: signer?.kid })).problems).toEqual([])
})

test('a manifest cannot lead out of its folder', async () => {
  const manifest = JSON.parse(await text('manifest.json'))
  manifest.files.push({ path: '../good/record.json', bytes: 1, sha256: '00' })
  await writeFile(join(pack, 'manifest.json'), JSON.stringify(manifest))

  expect((await verifyPack(pack)).problems).toContain('"../good/record.json" is missing')
})

test('a folder without a manifest, and a manifest that is cut, are clear errors', async () => {
  await writeFile(join(pack, 'manifest.json'), (await text('manifest.json')).slice(0, 200))
  await expect(verifyPack(pack)).rejects.toMatchObject({
    code: 'PACK_UNREADABLE',
    message: `the manifest.json of "${pack}" is cut or changed: it cannot be read`,
  })
  await rm(join(pack, 'manifest.json'))
  await expect(verifyPack(pack)).rejects.toMatchObject({
    code: 'PACK_UNREADABLE',
    message: `"${pack}" is no evidence pack: it has no manifest.json`,
  })
  await expect(verifyPack(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'PACK_UNREADABLE' })
})

test('a pack is never written over something', async () => {
  await expect(writePack(everyOutcome(), { folder: pack, key: KEY, now: NOW })).rejects.toMatchObject({
    code: 'REPORT_UNWRITABLE',
    message: `"${pack}" cannot be written: there is something of that name`,
  })
  expect((await verifyPack(pack)).problems).toEqual([])
  expect(existsSync(`${pack}.part`)).toBe(false)
})

test('names of a hostile flow stay within the pack', async () => {
  const folder = join(root, 'hostile')
  await writePack(hostileRecord(), { folder, key: KEY, now: NOW })

  expect((await verifyPack(folder)).problems).toEqual([])
  expect((await filesOf(folder)).every((path) => /^(?:evidence\/)?[\w.-]+$/.test(path))).toBe(true)
})

test('a key of reports is made once, for its owner alone, and used again', async () => {
  const file = join(root, 'config', 'report.key')
  const first = await reportKey(file)
  const second = await reportKey(file)

  expect([first.made, second.made]).toEqual([true, false])
  expect(second.privateKey.equals(first.privateKey)).toBe(true)
  await writeFile(file, 'no key')
  await expect(reportKey(file)).rejects.toMatchObject({
    code: 'KEY_UNUSABLE',
    message: `report key "${file}" cannot be used`,
  })
})

test('thredd report --pack makes a pack, and thredd verify tells a whole one from a changed one', async () => {
  const here = join(root, 'here')
  await mkdir(join(here, 'reports', 'run'), { recursive: true })
  await writeFile(join(here, 'reports', 'run', 'record.json'), JSON.stringify(sampleRecord()))
  const { signer } = await verifyPack(pack)

  expect(await perform('report', 'run', '--pack', 'pack')).toEqual({
    code: 0,
    shown: expect.stringMatching(
      /^a report key was made: .*report\.key\npack\nsigned by [\w-]{43} \(ES256\)\nverify with: thredd verify pack\n$/,
    ),
  })
  expect(await perform('verify', 'pack')).toEqual({
    code: 0,
    shown: expect.stringMatching(
      /^pack is whole and unchanged: 9 files\nrun 019a0000-.*, conformant, packed .*\nsigned by /,
    ),
  })
  expect(await perform('verify', 'pack', '--signer', signer?.kid ?? '')).toMatchObject({
    code: 1,
    shown: expect.stringMatching(/signed by another key/),
  })
  await writeFile(join(here, 'pack', 'report.md'), '')
  expect(await perform('verify', 'pack')).toMatchObject({
    code: 1,
    shown: expect.stringMatching(
      /^pack is not what was signed\n {2}"report\.md" has changed: expected \d+ bytes, found 0\n$/,
    ),
  })
  await expect(perform('verify')).rejects.toMatchObject({ code: 'USAGE' })

  async function perform(command: 'report' | 'verify', ...argv: string[]): Promise<{ code: number; shown: string }> {
    let shown = ''
    const write = (part: string) => {
      shown += part
    }
    const surroundings = { here, home: root, now: () => NOW, write }
    const invocation = asked(...argv)
    const code =
      command === 'report'
        ? await performReport(invocation, surroundings)
        : await performVerify(invocation, surroundings)
    return { code, shown }
  }
})

async function isFound(folder: string): Promise<boolean> {
  return await verifyPack(folder).then(
    ({ problems }) => problems.length > 0,
    () => true,
  )
}

async function text(path: string): Promise<string> {
  return await readFile(join(pack, path), 'utf8')
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}
