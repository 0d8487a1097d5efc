import { createPrivateKey, X509Certificate } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { ensurePki, type Pki } from '../../mocks/pki.ts'

const DAY_MS = 86_400_000
let parent: string
/** made once, by two at the same time; a test that changes it takes a copy */
let folder: string
let made: readonly Pki[]

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'thredd-pki-'))
  folder = join(parent, 'pki')
  made = await Promise.all([1, 2].map(() => ensurePki(folder)))
})
afterAll(async () => {
  await rm(parent, { recursive: true, force: true })
})

async function copyOf(): Promise<string> {
  const copy = join(await mkdtemp(join(tmpdir(), 'thredd-pki-')), 'pki')
  onTestFinished(() => rm(dirname(copy), { recursive: true, force: true }))
  await cp(folder, copy, { recursive: true })
  return copy
}

test('two that start at once use the same PKI and leave no other folder behind', async () => {
  expect(made[1]).toEqual(made[0])
  expect(await readdir(parent)).toEqual(['pki'])
})

test('an existing PKI is used until it expires soon, and then made again as a whole', async () => {
  const copy = await copyOf()
  const { ca, server } = await ensurePki(copy)
  const madeAt = new X509Certificate(server.certificate).validFromDate
  const later = (days: number) => new Date(madeAt.getTime() + days * DAY_MS)
  expect((await ensurePki(copy, { now: later(288) })).ca).toBe(ca)
  const second = await ensurePki(copy, { now: later(289) })
  expect(second.ca).not.toBe(ca)
  expect(new X509Certificate(second.server.certificate).validFromDate).toEqual(later(289))
})

test('a new host makes the PKI again, for all hosts that were needed so far', async () => {
  const copy = await copyOf()
  await ensurePki(copy, { hosts: ['one.example'] })
  const { server } = await ensurePki(copy, { hosts: ['two.example'] })
  const certificate = new X509Certificate(server.certificate)
  for (const host of ['one.example', 'two.example', 'localhost']) expect(certificate.checkHost(host)).toBe(host)
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(certificate.checkIP('::1')).toBe('::1')
  expect((await ensurePki(copy, { hosts: ['one.example'] })).server).toEqual(server)
})

test('a damaged folder is made again', async () => {
  const copy = await copyOf()
  const { ca } = await ensurePki(copy)
  await rm(join(copy, 'transport.crt'))
  const second = await ensurePki(copy)
  expect(second.ca).not.toBe(ca)
  await writeFile(join(copy, 'pki.json'), '{ half')
  expect((await ensurePki(copy)).ca).not.toBe(second.ca)
})

test('only their owner can read the keys, and they stay out of version control', async () => {
  const modes = await Promise.all(
    (await readdir(folder)).map(async (name) => [name, ((await stat(join(folder, name))).mode & 0o077) === 0] as const),
  )
  expect(modes.filter(([name, isPrivate]) => name.endsWith('.key') && !isPrivate)).toEqual([])
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readFile(join(folder, '.gitignore'), 'utf8')).toBe('*\n')
})

test('certificates are laid out as documented, and each wrong one is wrong in one way', async () => {
  const { ca, identities, ssaSigner } = await ensurePki(folder)
  const authority = new X509Certificate(ca)
  const read = (name: keyof typeof identities) => new X509Certificate(identities[name].certificate)
  const now = new Date()
  const facts = Object.fromEntries(
    Object.keys(identities).map((name) => {
      const certificate = read(name as keyof typeof identities)
      return [
        name,
        {
          isOurs: certificate.subject === read('transport').subject,
          claimsOurIssuer: certificate.issuer === authority.subject,
          isSigned: certificate.verify(authority.publicKey),
          isValid: certificate.validFromDate <= now && now < certificate.validToDate,
          days: (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / DAY_MS,
          usage: certificate.keyUsage,
        },
      ]
    }),
  )
  const right = {
    isOurs: true,
    claimsOurIssuer: true,
    isSigned: true,
    isValid: true,
    days: 350,
    usage: ['1.3.6.1.5.5.7.3.2'],
  }
  expect(facts).toEqual({
    transport: right,
    signing: { ...right, usage: undefined },
    renewed: right,
    'renewed-signing': { ...right, usage: undefined },
    other: { ...right, isOurs: false },
    expired: { ...right, isValid: false },
    'not-yet-valid': { ...right, isValid: false },
    clone: { ...right, isSigned: false },
    rogue: { ...right, isOurs: false, claimsOurIssuer: false, isSigned: false },
  })
  const [transport, clone] = [read('transport'), read('clone')]
  expect(transport.subject).toBe(
    'C=GB\nO=thredd\nOU=99b2b599-8cc2-499e-b805-e3d84233ae8e\nCN=b9f04639-cdeb-425b-a310-450d3d293fd4',
  )
  expect([clone.serialNumber, clone.validFrom, clone.validTo]).toEqual([
    transport.serialNumber,
    transport.validFrom,
    transport.validTo,
  ])
  expect(transport.publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 })
  expect(createPrivateKey(ssaSigner.privateKey).asymmetricKeyType).toBe('rsa')
  expect(transport.checkPrivateKey(createPrivateKey(await readFile(identities.transport.keyFile)))).toBe(true)
})
