/** The evidence pack: what is in it, and that no change of it goes unnoticed. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { performReport } from '../../src/front/cli/report.ts'
import { performVerify } from '../../src/front/cli/verify.ts'
import type { Detection } from '../../src/report/detection.ts'
import { reportKey, verifyPack, writePack } from '../../src/report/pack.ts'
import { unzip, zip } from '../../src/report/zip.ts'
import { asked, everyOutcome, HOSTILE, sampleRecord, TOKEN } from '../support/reports.ts'

const NOW = new Date('2026-01-03T00:00:00Z')
const KEY = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const

const hasPython = spawnSync('python3', ['--version']).status === 0
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

let root: string
let good: string
let archive: string
let pack: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'thredd-pack-'))
  good = join(root, 'good')
  await writePack(sampleRecord(), { pack: good, key: KEY, now: NOW })
  archive = join(root, 'good.zip')
  await writePack(sampleRecord(), { pack: archive, key: KEY, now: NOW })
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
    'detection.json',
    'evidence/1-register-register.json',
    'judged.json',
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

test('a pack says which fault turns each requirement red, and with which files that was not shown', async () => {
  const rows: Detection[] = JSON.parse(await text('detection.json'))

  expect(rows.length).toBeGreaterThan(100)
  expect(rows.filter(({ faults }) => faults.length === 0)).toEqual([])
  // The sample names another catalogue than the shipped one, and another file of the flow "register".
  const row = (met: boolean) => rows.find(({ flows }) => flows.includes('register') === met)?.stale
  expect(row(true)).toEqual(['catalogue', 'flows/register.arazzo.yaml'])
  expect(row(false)).toEqual(['catalogue'])
})

test('a pack has what was accepted, confirmed and reviewed', async () => {
  const reviews = [{ requirement: 'X', reviewer: 'R', date: '2026-01-01', note: 'N' }]
  const decisions = {
    ...{ file: 'decisions.uat.yaml', sha256: '00'.repeat(32), accepted: [], confirmations: [], reviews },
    ...{ signOff: [], rows: [] },
  }
  const reviewed = join(root, 'reviewed')
  await writePack(sampleRecord({ decisions }), { pack: reviewed, key: KEY, now: NOW })

  expect(JSON.parse(await readFile(join(reviewed, 'decisions.json'), 'utf8'))).toEqual(decisions)
  expect((await verifyPack(reviewed)).problems).toEqual([])
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
    manifest: {
      runId: sampleRecord().runId,
      verdict: 'conformant',
      counts: { steps: { pass: 1 } },
      createdAt: NOW.toISOString(),
    },
    signer: { alg: 'ES256', kid: expect.stringMatching(/^[\w-]{43}$/) },
  })
})

test('a change of any byte of the signature, and of bytes all over every other file, is found', async () => {
  for (const path of await filesOf(pack)) {
    const original = await readFile(join(pack, path))
    const every = path === 'manifest.jws' ? 1 : Math.max(1, Math.floor(original.length / 4))
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
      `"${path}" has changed: expected ${original.length} bytes, got ${original.length - 1}`,
    )
    await writeFile(join(pack, path), Buffer.concat([original, Buffer.from('\n')]))
    expect((await verifyPack(pack)).problems[0]).toBe(
      `"${path}" has changed: expected ${original.length} bytes, got ${original.length + 1}`,
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
  const other = await writePack(everyOutcome(), { pack: forged, key, now: NOW })

  expect((await verifyPack(forged)).problems).toEqual([])
  expect((await verifyPack(forged, { kid: signer?.kid })).problems).toEqual([
    `it was signed by another key: expected "${signer?.kid}", got "${other.kid}"`,
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

test('an archive holds the same files as a folder, and is the same each time', async () => {
  const [once, again] = [join(root, 'once.zip'), join(root, 'again.zip')]
  for (const name of [once, again])
    await writePack(sampleRecord(), { pack: name, key: { alg: 'RS256', privateKey: RSA }, now: NOW })

  expect((await verifyPack(archive)).problems).toEqual([])
  expect([...(unzip(await readFile(archive)) as Map<string, Uint8Array>).keys()].toSorted()).toEqual(
    await filesOf(good),
  )
  expect(await readFile(again)).toEqual(await readFile(once))
})

test.skipIf(!hasPython)('an archive opens with a program that shares no code with it', async () => {
  const { stdout } = await promisify(execFile)('python3', ['-c', PYTHON, archive])

  const names = (await filesOf(good)).toSorted()
  expect(JSON.parse(stdout)).toEqual({ bad: null, names, record: sampleRecord().runId })
})

test('an archive is refused with any bit of it changed', () => {
  const files = new Map(['a.json', 'evidence/b.md', 'c'].map((path) => [path, Buffer.from(`the text of ${path}`)]))
  const original = Buffer.from(zip(files))
  const unnoticed: number[] = []
  for (let bit = 0; bit < original.length * 8; bit += 1) {
    const changed = Buffer.from(original)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    if (!('problem' in unzip(changed))) unnoticed.push(bit)
  }

  expect(unzip(original)).toEqual(files)
  expect(unnoticed).toEqual([])
})

test('a changed byte of an archive is found, wherever it is', async () => {
  const original = await readFile(archive)
  const changed = join(root, 'changed.zip')
  const unnoticed: number[] = []
  // With a step of 37, which divides the size of no header, the changed bytes fall into every field.
  for (let position = 0; position < original.length; position += isContainer(original, position) ? 37 : 9973) {
    const copy = Buffer.from(original)
    copy[position] = (copy[position] ?? 0) ^ (1 << (position % 8))
    await writeFile(changed, copy)
    if (!(await isFound(changed))) unnoticed.push(position)
  }
  expect(unnoticed).toEqual([])
})

test('an archive that is cut, longer, or has a file less or more is found', async () => {
  const original = await readFile(archive)
  const files = unzip(original) as ReadonlyMap<string, Uint8Array>
  const changed = join(root, 'changed.zip')
  const problemsOf = async (bytes: Uint8Array) => {
    await writeFile(changed, bytes)
    return await verifyPack(changed).then(
      ({ problems }) => problems,
      (error: Error) => [error.message.slice(error.message.indexOf(': ') + 2)],
    )
  }

  for (const length of [0, 1, 29, 30, 100, original.length >> 1, original.length - 1])
    expect(await problemsOf(original.subarray(0, length))).toEqual([expect.stringMatching(/^it is (?:cut|changed)/)])
  expect(await problemsOf(Buffer.concat([original, Buffer.of(0)]))).toEqual([expect.stringMatching(/^it is changed/)])
  expect(await problemsOf(zip(new Map([...files].filter(([path]) => path !== 'report.md'))))).toEqual([
    '"report.md" is missing',
  ])
  expect(await problemsOf(zip(new Map([...files, ['more.md', Buffer.from('x')]])))).toEqual([
    '"more.md" is not part of the pack',
  ])
  expect(await problemsOf(zip(new Map([...files, ['report.md', Buffer.from('all is well')]])))).toEqual([
    expect.stringMatching(/^"report\.md" has changed/),
  ])
})

test.for([
  ['a name that leads out of it', '../outside', 'it holds a file with the name "../outside"'],
  ['an absolute name', '/etc/passwd', 'it holds a file with the name "/etc/passwd"'],
  ['a name of another system', 'C:\\x', 'it holds a file with the name "C:\\\\x"'],
  ['an empty part of a name', 'evidence//x', 'it holds a file with the name "evidence//x"'],
  ['a folder', 'evidence/', 'it holds a file with the name "evidence/"'],
] as const)('an archive with %s is refused', async ([, path, problem]) => {
  expect(unzip(zip(new Map([[path, Buffer.from('x')]])))).toEqual({ problem })
})

test('an archive with a file twice, or compressed as a bomb is, is refused without being unpacked', async () => {
  const one = zip(new Map([['a', Buffer.from('x')]]))
  const twice = Buffer.concat([one.subarray(0, 32), one])
  const bomb = join(root, 'bomb.zip')
  // A few kilobytes that say they are fifty megabytes.
  const compressed = zip(new Map([['manifest.json', deflateRawSync(Buffer.alloc(50_000_000))]]))
  compressed[8] = 8
  await writeFile(bomb, compressed)

  expect(unzip(twice)).toEqual({ problem: 'it holds "a" twice' })
  await expect(verifyPack(bomb)).rejects.toMatchObject({
    code: 'PACK_UNREADABLE',
    message: `"${bomb}" is no archive of an evidence pack as this tool writes it: it is compressed`,
  })
})

test('a record that holds what a secret looks like is not packed', async () => {
  const signature = 'c2lnbmF0dXJlLW9mLXRoaXMtSldULXdpdGgtZW5vdWdoLWNoYXJhY3RlcnM'
  for (const [value, rule] of [
    [TOKEN.replace(/\[.*/, signature), 'signatures of JWTs'],
    ['4111 1111 1111 1111', 'digits that have the shape of a card number'],
  ]) {
    for (const name of ['leaking', 'leaking.zip']) {
      const leaking = join(root, name)
      await expect(
        writePack(sampleRecord({ warnings: [value ?? ''] }), { pack: leaking, key: KEY, now: NOW }),
      ).rejects.toMatchObject({
        code: 'SECRET_LEAK',
        message: expect.stringMatching(`^"[\\w./-]+" of the evidence pack held ${rule}; the pack was removed$`),
      })
      expect(existsSync(leaking)).toBe(false)
    }
  }
})

test('a pack is never written over something', async () => {
  for (const taken of [pack, archive]) {
    await expect(writePack(everyOutcome(), { pack: taken, key: KEY, now: NOW })).rejects.toMatchObject({
      code: 'REPORT_UNWRITABLE',
      message: `"${taken}" cannot be written: there is something of that name`,
    })
    expect(existsSync(`${taken}.part`)).toBe(false)
    expect((await verifyPack(taken)).problems).toEqual([])
  }
})

test('names of a hostile flow stay within the pack', async () => {
  const folder = join(root, 'hostile')
  const record = everyOutcome()
  const workflows = record.workflows.map((workflow) => ({
    ...workflow,
    workflowId: `../../${HOSTILE}`,
    steps: workflow.steps.map((step) => ({ ...step, stepId: `../${HOSTILE}` })),
  }))
  await writePack({ ...record, workflows }, { pack: folder, key: KEY, now: NOW })

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
      /^a report key was made: .*report\.key\npack\nsigned by [\w-]{43} \(ES256\)\nverify with: thredd verify pack --signer=[\w-]{43}\n$/,
    ),
  })
  const whole =
    /^signed by (.{43}) \(ES256\)\npack is whole and unchanged: 11 files\nrun 019a0000-.*, conformant, packed .*\n/
  const unasked = await perform('verify', 'pack')
  expect(unasked).toEqual({ code: 3, shown: expect.stringMatching(whole) })
  const made = whole.exec(unasked.shown)?.[1] ?? ''
  expect(unasked.shown).toContain(`thredd verify pack --signer=${made}\n`)
  expect(await perform('verify', 'pack', `--signer=${made}`)).toEqual({ code: 0, shown: expect.stringMatching(whole) })
  expect(await perform('verify', 'pack', `--signer=${signer?.kid}`)).toMatchObject({
    code: 1,
    shown: expect.stringMatching(/signed by another key/),
  })
  await writeFile(join(here, 'pack', 'report.md'), '')
  expect(await perform('verify', 'pack')).toMatchObject({
    code: 1,
    shown: expect.stringMatching(
      /^signed by .{43} \(ES256\)\npack is not what was signed\n {2}"report\.md" has changed: expected \d+ bytes, got 0\n$/,
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

/** The archive as a program that shares no code with it reads it. */
const PYTHON = `
import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print(json.dumps({'bad': z.testzip(), 'names': sorted(z.namelist()), 'record': json.loads(z.read('record.json'))['runId']}))`
/** Whether the byte is one of the headers, the directory, or the signature, whose text has no hash. */
function isContainer(bytes: Buffer, position: number): boolean {
  containers ??= rangesOf(bytes)
  return containers.some(([start, end]) => position >= start && position < end)
}

let containers: readonly (readonly [start: number, end: number])[] | undefined

function rangesOf(bytes: Buffer): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = []
  let at = 0
  while (bytes.readUInt32LE(at) === 0x04034b50) {
    const start = at + 30 + bytes.readUInt16LE(at + 26)
    const end = start + bytes.readUInt32LE(at + 22)
    const isSignature = bytes.toString('latin1', at + 30, start) === 'manifest.jws'
    ranges.push([at, isSignature ? end : start])
    at = end
  }
  return [...ranges, [at, bytes.length]]
}

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
