/**
 * Compares the runner with a program written by hand (raw.ts), with newman and with the Arazzo runner of Redocly (test/outside):
 * the six documented calls over mutual TLS against a server that answers at once. One lifecycle in a new process, many in
 * sequence, and peak memory; measured in turns, as medians and ratios. Whoever has not made all calls makes the bench fail.
 * `node bench/runner.ts [--turns 5] [--many 200] [--long 2000]`
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ensurePki, HOSTS } from '../mocks/index.ts'
import { type Bare, startBare } from './bare.ts'
import { measured, median, type Usage } from './measure.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const BIN = join(HERE, '..', 'bin', 'thredd.js')
const OUTSIDE = join(HERE, '..', 'test', 'outside')
/** What each contestant sends in one lifecycle. */
const CALLS = 6
const MEMORY_DISK = '/dev/shm'

/** Runs that many lifecycles in one process. */
type Contestant = (lifecycles: number) => Promise<Usage>

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '5' },
    many: { type: 'string', default: '200' },
    long: { type: 'string', default: '0' },
  },
})
const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
const memory = existsSync(MEMORY_DISK) ? await mkdtemp(join(MEMORY_DISK, 'thredd-bench-')) : undefined
try {
  await compare(Number(values.turns), Number(values.many), Number(values.long))
} finally {
  for (const one of [folder, memory]) if (one !== undefined) await rm(one, { recursive: true, force: true })
}

async function compare(turns: number, many: number, long: number): Promise<void> {
  const pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS })
  await using bare = await startBare(pki)
  await writeFile(join(folder, '.env.bench'), environment(bare.port))
  const script =
    (file: string): Contestant =>
    (lifecycles) =>
      measured([file, String(bare.port), pki.folder, String(lifecycles)], { folder })
  const all: Readonly<Record<string, Contestant>> = {
    raw: script(join(HERE, 'raw.ts')),
    thredd: (lifecycles) => thredd(lifecycles, join(folder, 'vault')),
    ...(memory === undefined
      ? {}
      : { 'thredd, vault in memory': (lifecycles: number) => thredd(lifecycles, join(memory, 'vault')) }),
    respect: script(join(OUTSIDE, 'clients', 'six-calls-respect.js')),
    newman: script(join(OUTSIDE, 'clients', 'six-calls-newman.js')),
  }
  const contestants = Object.fromEntries(
    Object.entries(all).map(([name, run]) => [name, withAllCalls(name, run, bare)] as const),
  )
  const version = await inTurns(turns * 2, {
    'node -e 0': () => measured(['-e', '0'], { folder }),
    '--version': () => measured([BIN, '--version'], { folder }),
  })
  const cold = await inTurns(turns, contestants, 1)
  const sequence = await inTurns(turns, contestants, many)
  report(`start: --version against node -e 0`, version)
  report('cold: one lifecycle', cold)
  for (const [name, usages] of sequence) {
    const first = cold.get(name) ?? []
    const each = (of: (usage: Usage) => number) => (median(usages.map(of)) - median(first.map(of))) / (many - 1)
    say(
      `each of ${many} in sequence, less the first: ${name}`,
      `${each(wall).toFixed(1)} ms, ${each(cpu).toFixed(1)} ms of processor`,
    )
  }
  report(`${many} in sequence`, sequence)
  if (long > 0) report(`${long} in sequence`, await inTurns(1, contestants, long))
}

function withAllCalls(name: string, run: Contestant, bare: Bare): Contestant {
  return async (lifecycles) => {
    const before = bare.answered()
    const usage = await run(lifecycles)
    const calls = bare.answered() - before
    if (calls !== CALLS * lifecycles) throw new Error(`${name} made ${calls} calls, not ${CALLS * lifecycles}`)
    return usage
  }
}

async function thredd(lifecycles: number, vault: string): Promise<Usage> {
  const flow = join(folder, `${lifecycles}.arazzo.yaml`)
  if (!existsSync(flow)) await writeFile(flow, await flowOf(lifecycles))
  // A vault with the clients of earlier runs would make the start slower.
  await rm(vault, { recursive: true, force: true })
  await rm(join(folder, 'reports'), { recursive: true, force: true })
  await mkdir(vault, { recursive: true, mode: 0o700 })
  const key = join(folder, 'vault.key')
  if (!existsSync(key))
    await writeFile(key, Buffer.from('a key of tests, 32 bytes of text').toString('base64url'), { mode: 0o600 })
  return await measured(
    [BIN, 'run', flow, '--env', 'bench', ...(lifecycles === 1 ? ['--workflow', 'six-calls'] : [])],
    { folder, variables: { THREDD_VAULT_DIR: vault, THREDD_VAULT_KEY_FILE: key } },
  )
}

/** A workflow with the six calls, and for each further lifecycle a workflow that runs it. */
async function flowOf(lifecycles: number): Promise<string> {
  const text = await readFile(join(HERE, 'six-calls.arazzo.yaml'), 'utf8')
  const apis = fileURLToPath(new URL('../flows/apis', import.meta.url))
  const inputs = ['client_id', 'org_id', 'software_id']
  const others = Array.from({ length: lifecycles - 1 }, (_, index) => ({
    workflowId: `again-${index}`,
    'x-dcr': { effect: 'delete', safety: 'B' },
    inputs: { $ref: '#/components/inputs/client' },
    steps: [
      {
        stepId: 'six-calls',
        workflowId: 'six-calls',
        parameters: inputs.map((name) => ({ reference: `$components.parameters.${name}` })),
      },
    ],
  }))
  // As shared components, since the number of values in a document is limited.
  const components = {
    inputs: {
      client: { type: 'object', properties: Object.fromEntries(inputs.map((name) => [name, { type: 'string' }])) },
    },
    parameters: Object.fromEntries(inputs.map((name) => [name, { name, value: `$inputs.${name}` }])),
  }
  return [
    text.replaceAll('../flows/apis', apis),
    ...others.map((workflow) => `  - ${JSON.stringify(workflow)}\n`),
    `components: ${JSON.stringify(components)}\n`,
  ].join('')
}

function environment(port: number): string {
  const server = `https://localhost:${port}`
  return `ENV_CLASS=mock
SERVER_DIRECTORY_MTLS=${server}
SERVER_DIRECTORY_API=${server}
SERVER_AUTHORIZATION=${server}
CLIENT_ID=https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4
ORG_ID=99b2b599-8cc2-499e-b805-e3d84233ae8e
SOFTWARE_ID=b9f04639-cdeb-425b-a310-450d3d293fd4
TRANSPORT_CERT_FILE=pki/transport.crt
TRANSPORT_KEY_FILE=pki/transport.key
CA_FILE=pki/ca.crt
SIGNING_KEY_FILE=pki/signing.key
SIGNING_KID=offline-twin-signing
DIRECTORY_SIGNING_ALG=PS256
ASSERTION_AUDIENCE_DIRECTORY=${server}/token
`
}

async function inTurns(
  turns: number,
  contestants: Readonly<Record<string, Contestant>>,
  lifecycles = 1,
): Promise<ReadonlyMap<string, readonly Usage[]>> {
  const usages = new Map<string, Usage[]>(Object.keys(contestants).map((name) => [name, []]))
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [name, run] of Object.entries(contestants)) usages.get(name)?.push(await run(lifecycles))
  }
  return usages
}

/** Ratios to the first one, turn by turn, so that other load of the machine affects both. */
function report(title: string, usages: ReadonlyMap<string, readonly Usage[]>): void {
  const [first = []] = usages.values()
  for (const [name, own] of usages) {
    const ratio = (of: (usage: Usage) => number) =>
      median(own.map((usage, turn) => of(usage) / of(first[turn] ?? usage))).toFixed(2)
    const figures = `${median(own.map(wall)).toFixed(0)} ms, ${median(own.map(cpu)).toFixed(0)} ms of processor, ${median(own.map(peak)).toFixed(0)} MiB`
    say(`${title}: ${name}`, `${figures}; ratios ${ratio(wall)}, ${ratio(cpu)}, ${ratio(peak)}`)
  }
}

function say(what: string, figures: string): void {
  process.stdout.write(`${what.padEnd(64)}  ${figures}\n`)
}

function wall({ wallMs }: Usage): number {
  return wallMs
}

function cpu({ cpuMs }: Usage): number {
  return cpuMs
}

function peak({ peakMiB }: Usage): number {
  return peakMiB
}
