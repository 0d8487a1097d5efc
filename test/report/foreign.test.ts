/** Whatever a server or a file writes, it is read as text. The printers that use it: test/front/printers.test.ts. */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { performVerify } from '../../src/front/cli/verify.ts'
import { coloured, dotenv, json, line, lines, oneLine } from '../../src/record/foreign.ts'
import { verifyPack, writePack } from '../../src/report/pack.ts'
import { commandsIn, HOSTILE } from '../support/hostile.ts'
import { asked, everyOutcome, hostileRecord } from '../support/reports.ts'

const record = hostileRecord(HOSTILE)
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'thredd-foreign-'))
})
afterAll(async () => await rm(root, { recursive: true, force: true }))

test.each<[what: string, text: () => string]>([
  ['JSON', () => json(record)],
  ['JSON in one line', () => json(record, 0)],
  ['a line of ours with values', () => line`client ${HOSTILE} of ${HOSTILE}`],
  ['lines of ours', () => lines(HOSTILE)],
  ['a value', () => oneLine(HOSTILE)],
])('%s holds no command for a terminal or a log', (_, text) => {
  expect(text()).toContain('u001b')
  expect(commandsIn(text())).toEqual([])
})

test.each([
  '',
  'https://a.example/x?a=1&b=2',
  '$(id)',
  '`id`',
  'a b',
  '~root',
  '#x',
  'a"b',
  'a\\nb',
  '*',
  '!x',
  '=cmd()',
])('a shell and dotenv read %j back as it is', (value) => {
  const text = `NAME=${dotenv(value)}\n`

  expect(parse(text).NAME).toBe(value)
  expect(execFileSync('/bin/sh', ['-c', `${text}printf %s "$NAME"`], { encoding: 'utf8' })).toBe(value)
})

test.each(["it's", 'two\nlines', '\u001b[2J', '\u202e', '\u0000'])('no .env file carries %j', (value) => {
  expect(dotenv(value)).toBeUndefined()
})

test('what is left in a coloured line steers nothing but colours', () => {
  expect(coloured('\u001b[31mred\u001b[39m \u001b[2J\u001b]0;owned\u0007\u009b2J\r\n')).toBe(
    '\u001b[31mred\u001b[39m \\u001b[2J\\u001b]0;owned\\u0007\\u009b2J\\u000d\n',
  )
})

test('JSON stays what it was', () => {
  expect(JSON.parse(json(record))).toEqual(JSON.parse(JSON.stringify(record)))
})

test('thredd verify prints the key before any text of the pack, which forges no line', async () => {
  const pack = join(root, 'pack')
  const key = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const
  const { kid } = await writePack({ ...everyOutcome(), runId: HOSTILE }, { pack, key, now: new Date(0) })
  const verified = async (...more: string[]) => {
    let shown = ''
    const code = await performVerify(asked('pack', ...more), { here: root, write: (part) => (shown += part) })
    return { code, shown }
  }

  const unasked = await verified()
  expect(unasked.code).toBe(3)
  expect(unasked.shown.startsWith(`signed by ${kid} (ES256)\n`)).toBe(true)
  expect(commandsIn(unasked.shown)).toEqual([])
  expect((await verified(`--signer=${kid}`)).code).toBe(0)
  expect((await verified('--signer=another')).code).toBe(1)

  await writeFile(join(pack, 'odd\u001b[2J\n::error::x'), '')
  const changed = await verified(`--signer=${kid}`)
  expect(changed.code).toBe(1)
  expect(changed.shown).toContain('odd\\u001b[2J')
  expect(commandsIn(changed.shown)).toEqual([])
})

test('a pack whose manifest says more than the record is no evidence, whoever signed it', async () => {
  const pack = join(root, 'boasting')
  const key = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const
  const { kid } = await writePack(
    { ...everyOutcome(), verdict: 'conformant', exitCode: 0 },
    { pack, key, now: new Date(0) },
  )
  let shown = ''
  const code = await performVerify(asked('boasting', `--signer=${kid}`), {
    here: root,
    write: (part) => (shown += part),
  })

  expect(code).toBe(1)
  expect(shown).toContain('the verdict of the record is said to be "conformant"; the steps of record.json make it')
  const manifest = JSON.parse(await readFile(join(pack, 'manifest.json'), 'utf8')) as { verdict: string }
  expect(manifest.verdict).not.toBe('conformant')
})

test.each<[what: string, change: (manifest: Manifest) => void]>([
  ['run', (manifest) => Object.assign(manifest, { runId: 'another' })],
  ['number of steps', ({ counts }) => Object.assign(counts.steps, { passed: 1000 })],
  ['number of checks', ({ counts }) => Object.assign(counts.checks, { fail: 0 })],
  ['verdict', (manifest) => Object.assign(manifest, { verdict: 'conformant' })],
])('a manifest that was changed is held against the record: %s', async (what, change) => {
  const pack = join(root, what)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writePack(everyOutcome(), { pack, key: { alg: 'ES256', privateKey }, now: new Date(0) })
  const manifest = JSON.parse(await readFile(join(pack, 'manifest.json'), 'utf8')) as Manifest
  change(manifest)
  await writeFile(join(pack, 'manifest.json'), JSON.stringify(manifest))

  const { problems } = await verifyPack(pack)

  expect(problems).toContainEqual(expect.stringContaining(`the ${what} is said to be `))
})

interface Manifest {
  readonly counts: { readonly steps: object; readonly checks: object }
}
