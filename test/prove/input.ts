/**
 * Files as people break them: collections and environments of Postman, environment files, keys and certificates in PEM and
 * PKCS#12, each changed at random. Fails if one ends otherwise than well or with an error of the table, takes long, or if its
 * error repeats the secret that stood in it.
 * `node test/prove/input.ts [--runs 1000] [--seed text]`; the seed is new each time, and printed.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadEnvironment } from '../../src/environment/index.ts'
import { writeDocument } from '../../src/flow/document/write.ts'
import { shortList, wholeList } from '../../src/front/import/list.ts'
import { planImport, type Target } from '../../src/front/import/plan.ts'
import { readSource } from '../../src/front/import/source.ts'
import { loadAuthorities, loadIdentity } from '../../src/identity/certificate.ts'
import { loadSigningKey } from '../../src/identity/signing.ts'
import { render, ToolError } from '../../src/record/errors.ts'
import { Secret } from '../../src/secret/index.ts'
import { makePfx } from '../support/pfx.ts'
import { Chance, generated } from '../support/postman.ts'
import { ROOT } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

/** Of processor time, which other work on the machine does not lengthen. */
const LONGEST_MS = 5000
const CANARY = 'cAnArY9w8E7r6T5y4U3i2O1p0'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: randomBytes(6).toString('hex') },
  },
})
/** What is done with one changed file. */
type Use = (bytes: Buffer, chance: Chance) => Promise<unknown> | unknown

async function prove(seed: string, runs: number): Promise<number> {
  process.stdout.write(`seed ${seed}\n`)
  const folder = await mkdtemp(join(tmpdir(), 'thredd-input-'))
  const tally = new Map<string, { runs: number; refused: number }>()
  const faults: string[] = []
  let slowest = 0
  try {
    const kinds = await kindsIn(folder)
    for (let run = 0; run < runs; run++) {
      const [name, original, use] = kinds[run % kinds.length] as (typeof kinds)[number]
      const chance = new Chance(`${seed}/${run}`)
      const bytes = changed(original(`${seed}/${run}`), chance)
      const began = process.cpuUsage()
      const ended = await outcome(() => use(bytes, chance))
      const { user, system } = process.cpuUsage(began)
      slowest = Math.max(slowest, (user + system) / 1000)
      const counts = tally.get(name) ?? { runs: 0, refused: 0 }
      tally.set(name, { runs: counts.runs + 1, refused: counts.refused + (ended.is === 'refused' ? 1 : 0) })
      if (ended.is === 'crashed') faults.push(`run ${run}, ${name}: ${ended.text}`)
      if (ended.is === 'refused' && ended.text.includes(CANARY))
        faults.push(`run ${run}, ${name}: the secret is repeated: ${ended.text}`)
      if ((user + system) / 1000 > LONGEST_MS)
        faults.push(`run ${run}, ${name}: ${Math.round((user + system) / 1000)} ms of processor time`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  for (const [name, { runs: all, refused }] of tally)
    process.stdout.write(`${name}: ${all} files, ${refused} refused\n`)
  for (const fault of faults.slice(0, 20)) process.stdout.write(`FAILED ${fault}\n`)
  process.stdout.write(
    `${runs} files, ${faults.length} faults; at most ${Math.round(slowest)} ms of processor time for one\n`,
  )
  return faults.length === 0 ? 0 : 1
}

async function outcome(
  work: () => unknown,
): Promise<{ readonly is: 'well' | 'refused' | 'crashed'; readonly text: string }> {
  try {
    await work()
    return { is: 'well', text: '' }
  } catch (error) {
    if (error instanceof ToolError) return { is: 'refused', text: error.problems.map((one) => render(one)).join('\n') }
    return { is: 'crashed', text: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

type Kind = readonly [name: string, original: (seed: string) => Buffer, use: Use]

async function kindsIn(folder: string): Promise<readonly Kind[]> {
  const { transport, signing } = (await sharedPki()).identities
  const [certificate, key, signingKey] = [transport.certificateFile, transport.keyFile, signing.keyFile].map((file) =>
    readFileSync(file, 'utf8'),
  ) as [string, string, string]
  const archives = (['aes', '3des', 'rc2'] as const).map((cipher) =>
    makePfx({ certificate, key, passphrase: 'right', cipher }),
  )
  const documented = ['thredd', 'raidiam-directory'].map((name) =>
    readFileSync(join(ROOT, `fixtures/postman/${name}.postman_collection.json`)),
  )
  const environment = readFileSync(join(ROOT, '.env.mock'))
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const at = async (name: string, bytes: Buffer) => {
    await writeFile(join(folder, name), bytes)
    return join(folder, name)
  }
  const pair = { name: 'transport', certificateFile: transport.certificateFile, keyFile: transport.keyFile }
  return [
    ['generated collection', (seed) => json(generated(seed).collection), (bytes) => imported([bytes])],
    [
      'documented collection',
      (seed) => documented[new Chance(seed).number(2)] as Buffer,
      (bytes) => imported([bytes, json(secretEnvironment())]),
    ],
    [
      'Postman environment',
      (seed) => json(seed.endsWith('1') ? generated(seed).environment : secretEnvironment()),
      (bytes) => imported([documented[0] as Buffer, bytes]),
    ],
    [
      'environment file',
      () => environment,
      async (bytes) => loadEnvironment({ env: await at('.env.changed', bytes), folder: ROOT, variables: {} }),
    ],
    [
      'certificate',
      () => Buffer.from(certificate),
      async (bytes) => loadIdentity({ ...pair, certificateFile: await at('a.crt', bytes) }, new Date()),
    ],
    [
      'private key',
      () => Buffer.from(key),
      async (bytes) => loadIdentity({ ...pair, keyFile: await at('a.key', bytes) }, new Date()),
    ],
    [
      'signing key',
      () => Buffer.from(signingKey),
      async (bytes) => loadSigningKey({ given: await at('s.key', bytes), alg: 'PS256', kid: 'k' }),
    ],
    ['authority', () => Buffer.from(certificate), async (bytes) => loadAuthorities(await at('ca.crt', bytes))],
    [
      'PKCS#12',
      (seed) => archives[new Chance(seed).number(3)] as Buffer,
      async (bytes, chance) =>
        loadIdentity(
          {
            name: 'transport',
            pfxFile: await at('a.p12', bytes),
            passphrase: new Secret(chance.of(['right', 'right', 'wrong']), 'TRANSPORT_PASSPHRASE'),
          },
          new Date(),
        ),
    ],
  ]
}

function secretEnvironment() {
  const values = {
    private_key: `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----`,
    registration_access_token: CANARY,
    client_id: 'c',
    org_id: 'o',
    cards_url: 'https://api.uat.threddpay.com',
  }
  return {
    name: 'UAT',
    values: Object.entries(values).map(([name, value]) => ({ key: name, value, enabled: true })),
    _postman_variable_scope: 'environment',
  }
}

const UAT: Target = {
  name: 'uat',
  class: 'uat',
  valueOf: () => undefined,
  flows: '..',
  registerBody: {},
}

/** All that an import does but for writing; what it would show must not repeat the secret either. */
function imported(files: readonly Buffer[]): void {
  const plan = planImport(
    files.map((bytes, index) => readSource(bytes.toString('utf8'), `file${index}.json`)),
    UAT,
  )
  writeDocument([plan.imported.flow, ...plan.imported.descriptions.values()])
  if (`${shortList(plan)}${wholeList(plan)}`.includes(CANARY)) throw new Error('the list repeats the secret')
}

const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  '',
  [],
  {},
  [[]],
  { key: 'x' },
  '{{{{x}}}}',
  '{{a}}{{a}}',
  '\u0000\u202e',
  '$',
  '{$inputs.x}',
  '__proto__',
  'x'.repeat(100_000),
  'https://[',
  ':///',
  '{{base}}'.repeat(5000),
]

/** A value of JSON replaced by an odd one, or bytes cut, removed, repeated, turned, or put in. */
function changed(bytes: Buffer, chance: Chance): Buffer {
  if (chance.is(60)) {
    try {
      const data: unknown = JSON.parse(bytes.toString('utf8'))
      for (let times = 1 + chance.number(3); times > 0; times--) replaceOne(data, chance)
      return Buffer.from(JSON.stringify(data))
    } catch {
      // No JSON: its bytes are changed.
    }
  }
  const at = chance.number(bytes.length + 1)
  const length = chance.number(1 + Math.min(200, bytes.length - at))
  const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)]
  const turned = () => Buffer.from(part.map((byte) => byte ^ (1 << chance.number(8))))
  return chance.of([
    () => before,
    () => Buffer.concat([before, after]),
    () => Buffer.concat([before, part, part, after]),
    () => Buffer.concat([before, turned(), after]),
    () =>
      Buffer.concat([
        before,
        Buffer.from(chance.of(['{', '"', '\n', '-----END', '\u0000', '[[[[', '= =', "'"])),
        after,
      ]),
    () => Buffer.concat([Buffer.from([0xff, 0xfe]), bytes]),
    () => Buffer.concat(Array.from({ length: 50 }, () => bytes)),
  ])()
}

function replaceOne(data: unknown, chance: Chance): void {
  let holder = data
  for (;;) {
    if (typeof holder !== 'object' || holder === null) return
    const names = Object.keys(holder)
    if (names.length === 0) return
    const name = chance.of(names)
    const inner: unknown = (holder as Record<string, unknown>)[name]
    if (typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0 && chance.is(85)) holder = inner
    else {
      Object.assign(holder, { [chance.is(90) ? name : `${name}2`]: chance.of(ODD) })
      return
    }
  }
}

process.exitCode = await prove(values.seed, Number(values.runs))
