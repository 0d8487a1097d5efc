/**
 * What the benches of the six documented calls share: a server that answers at once, an environment for it, those that compete,
 * each of which must have made all its calls, and lines with medians and ratios.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensurePki, HOSTS } from '../mocks/index.ts'
import { csvOf, numbers } from '../test/support/rows.ts'
import { type Bare, startBare } from './bare.ts'
import { measured, median, type Usage } from './measure.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
export const BIN = join(HERE, '..', 'bin', 'thredd.js')
const FROM_SOURCES = join(HERE, 'from-sources.ts')
const LEFT_OUT = join(HERE, 'left-out.ts')
const SIX_CALLS = join(HERE, 'six-calls.arazzo.yaml')
/** What each contestant sends in one lifecycle. */
const CALLS = 6

/** Runs that many lifecycles in one process. */
export type Contestant = (lifecycles: number) => Promise<Usage>
export type Contestants = Readonly<Record<string, Contestant>>
/** Of each contestant, one for each turn. */
export type Usages = ReadonlyMap<string, readonly Usage[]>

export interface Contest extends AsyncDisposable {
  readonly folder: string
  /** A script that takes the port, the folder of certificates, the number of lifecycles and what else is given. */
  script(file: string, ...more: readonly string[]): Contestant
  /**
   * One run of a flow that has a workflow for each lifecycle; all are about one application. `without` runs the sources, with
   * these parts left out (left-out.ts).
   */
  workflows(options?: { readonly vault?: string; readonly without?: string }): Contestant
  /** The flow is read, checked and shown with `--dry-run`; nothing is sent. */
  dryRun(): Contestant
  /** One run of rows: a lifecycle for each row, and each row another application. */
  rows(parallel: number): Contestant
}

export async function openContest(): Promise<Contest> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
  const pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS })
  const bare = await startBare(pki)
  await writeFile(join(folder, '.env.bench'), environment(bare.port))
  const usual = join(folder, 'vault')
  return {
    folder,
    script: (file, ...more) =>
      withAllCalls(bare, file, (lifecycles) =>
        measured([file, String(bare.port), pki.folder, String(lifecycles), ...more], { folder }),
      ),
    workflows: ({ vault = usual, without } = {}) =>
      withAllCalls(bare, 'thredd', async (lifecycles) => {
        const flow = join(folder, `${lifecycles}.arazzo.yaml`)
        if (!existsSync(flow)) await writeFile(flow, await flowOf(lifecycles))
        return await ran(folder, vault, [flow, ...(lifecycles === 1 ? ['--workflow', 'six-calls'] : [])], without)
      }),
    dryRun: () =>
      withAllCalls(bare, 'thredd --dry-run', async () => await ran(folder, usual, [SIX_CALLS, '--dry-run']), 0),
    rows: (parallel) =>
      withAllCalls(bare, 'thredd with rows', async (lifecycles) => {
        const list = join(folder, `${lifecycles}.csv`)
        await writeFile(list, csvOf(numbers(lifecycles)))
        return await ran(folder, usual, [SIX_CALLS, '--data', list, '--parallel', String(parallel)])
      }),
    [Symbol.asyncDispose]: async () => {
      await bare[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Throws where the server has not answered all calls of so many lifecycles. */
function withAllCalls(bare: Bare, name: string, run: Contestant, each = CALLS): Contestant {
  return async (lifecycles) => {
    const before = bare.answered()
    const usage = await run(lifecycles)
    const calls = bare.answered() - before
    if (calls !== each * lifecycles) throw new Error(`${name} made ${calls} calls, not ${each * lifecycles}`)
    return usage
  }
}

/** A run of our own; it ends with 0 only where everything was conformant, and anything else makes the bench fail. */
async function ran(folder: string, vault: string, command: readonly string[], without?: string): Promise<Usage> {
  // A vault with the clients of earlier runs would make the start slower.
  await rm(vault, { recursive: true, force: true })
  await rm(join(folder, 'reports'), { recursive: true, force: true })
  await mkdir(vault, { recursive: true, mode: 0o700 })
  const key = join(folder, 'vault.key')
  if (!existsSync(key))
    await writeFile(key, Buffer.from('a key of tests, 32 bytes of text').toString('base64url'), { mode: 0o600 })
  const program = without === undefined ? [BIN] : ['--import', LEFT_OUT, FROM_SOURCES]
  return await measured([...program, 'run', ...command, '--env', 'bench'], {
    folder,
    variables: { THREDD_VAULT_DIR: vault, THREDD_VAULT_KEY_FILE: key, BENCH_WITHOUT: without ?? '' },
  })
}

/** A workflow with the six calls, and for each further lifecycle a workflow that runs it. */
async function flowOf(lifecycles: number): Promise<string> {
  const text = await readFile(SIX_CALLS, 'utf8')
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

export async function inTurns(turns: number, contestants: Contestants, lifecycles = 1): Promise<Usages> {
  const usages = new Map<string, Usage[]>(Object.keys(contestants).map((name) => [name, []]))
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [name, run] of Object.entries(contestants)) usages.get(name)?.push(await run(lifecycles))
  }
  return usages
}

export function report(title: string, usages: Usages): void {
  for (const name of usages.keys()) {
    const [wallMs, cpuMs, peakMiB] = [wall, cpu, peak].map((of) => middle(usages, name, of).toFixed(0))
    const ratios = [wall, cpu, peak].map((of) => ratio(usages, name, of).toFixed(2))
    say(`${title}: ${name}`, `${wallMs} ms, ${cpuMs} ms of processor, ${peakMiB} MiB; ratios ${ratios.join(', ')}`)
  }
}

export function middle(usages: Usages, name: string, of: (usage: Usage) => number): number {
  return median((usages.get(name) ?? []).map(of))
}

/** To the first one, turn by turn, so that other load of the machine affects both. */
export function ratio(usages: Usages, name: string, of: (usage: Usage) => number): number {
  const [first = []] = usages.values()
  return median((usages.get(name) ?? []).map((usage, turn) => of(usage) / of(first[turn] ?? usage)))
}

export function say(what: string, figures: string): void {
  process.stdout.write(`${what.padEnd(64)}  ${figures}\n`)
}

export function wall({ wallMs }: Usage): number {
  return wallMs
}

export function cpu({ cpuMs }: Usage): number {
  return cpuMs
}

export function peak({ peakMiB }: Usage): number {
  return peakMiB
}
