/**
 * The flows of the catalogue against an authorization server of other people, over mutual TLS on loopback: what it does
 * otherwise, and by which clause. The directory, which has no counterpart there, stays the twin's. Differences are known ones
 * (servers.json), or the proof fails; so does one that is gone. `npm ci --prefix test/outside` comes first.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import catalogue from '../../fixtures/roles/roles.json' with { type: 'json' }
import { type Pki, startTwin } from '../../mocks/index.ts'
import { clauseOf } from '../../src/record/clauses.ts'
import type { RunRecord, WorkflowRecord } from '../../src/record/index.ts'
import type { JudgedRequirement } from '../../src/report/proofs.ts'
import { summarise } from '../../src/report/summary.ts'
import { sharedPki } from '../support/twin.ts'
import known from './servers.json' with { type: 'json' }

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const OUTSIDE = join(ROOT, 'test', 'outside')
const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
/** What the server knows: the scopes of all roles. */
const SCOPES = [...new Set(catalogue.roles.flatMap(({ scopes }) => scopes))].join(' ')
/** In this order: the second registers, client-configuration deletes, and so does each that follows. */
const FLOWS = [
  ...['metadata', 'register', 'read-registration', 'store-and-reuse', 'access-token', 'client-authentication'],
  ...['bound-tokens', 'registered-algorithm', 'transport-security', 'delete-and-recreate', 'client-configuration'],
  ...['registration', 'lifecycle'],
]
/** So often a flow is run again without what has failed. */
const MOST_COPIES = 4

process.exitCode = await prove()

async function prove(): Promise<number> {
  if (!existsSync(join(OUTSIDE, 'node_modules', 'oidc-provider'))) {
    process.stdout.write('the server is not installed: npm ci --prefix test/outside\n')
    return 2
  }
  const folder = await mkdtemp(join(tmpdir(), 'thredd-servers-'))
  try {
    const pki = await sharedPki()
    await using server = await startServer(pki)
    await using directory = await startTwin({ pki, urls: 'loopback' })
    await writeFile(join(folder, '.env.server'), environment(server.origin, directory.publish, pki))
    const records: RunRecord[] = []
    for (const flow of FLOWS) records.push(...(await recordsOf(flow, folder)))
    return said(requirementsOf(records))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function startServer({ folder }: Pki) {
  const child = spawn(process.execPath, [join(OUTSIDE, 'servers', 'oidc-provider.js'), folder, CLIENT_ID, SCOPES], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdout.setEncoding('utf8')
  const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown]
  if (typeof line !== 'string') throw new Error(`the server has ended with ${line}`)
  return {
    origin: line.trim(),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

function environment(server: string, published: (url: string) => string, { folder }: Pki): string {
  const identity = (name: string) =>
    `IDENTITY_${name.toUpperCase()}_CERT_FILE=${join(folder, `${name}.crt`)}\nIDENTITY_${name.toUpperCase()}_KEY_FILE=${join(folder, `${name}.key`)}\n`
  return `ENV_CLASS=mock
SERVER_AUTHORIZATION=${server}
SERVER_CARDS=${server}
SERVER_DIRECTORY=${published('https://auth.directory.sandbox.threddid.com')}
SERVER_DIRECTORY_MTLS=${published('https://matls-auth.directory.sandbox.threddid.com')}
SERVER_DIRECTORY_API=${published('https://matls-api.directory.sandbox.threddid.com')}
SERVER_KEYSTORE=${published('https://keystore.directory.sandbox.threddid.com')}
SERVER_API_HUB=${server}
CLIENT_ID=${CLIENT_ID}
ORG_ID=99b2b599-8cc2-499e-b805-e3d84233ae8e
SOFTWARE_ID=b9f04639-cdeb-425b-a310-450d3d293fd4
EXPECTED_TOKEN_ISSUER=${server}
ASSERTION_AUDIENCE_AUTHORIZATION=${server}
SACRIFICIAL_CLIENT=true
SCOPES=cards.read,pin.read
TRANSPORT_CERT_FILE=${join(folder, 'transport.crt')}
TRANSPORT_KEY_FILE=${join(folder, 'transport.key')}
CA_FILE=${join(folder, 'ca.crt')}
SIGNING_KEY_FILE=${join(folder, 'signing.key')}
SIGNING_KID=offline-twin-signing
${['other', 'expired', 'clone', 'renewed'].map(identity).join('')}`
}

/**
 * The run of a flow; then, as long as something new failed, another of a copy that leaves out the cases and steps that failed, which
 * stay failed; and at the end those steps that mean the same alone and were still not reached.
 */
async function recordsOf(flow: string, folder: string): Promise<readonly RunRecord[]> {
  const whole = await recordOf([flow, '--register-again'], folder)
  if (whole === undefined) throw new Error(`"${flow}" has not run`)
  const records = [whole]
  const leftOut = new Set<string>()
  for (let last = whole; records.length <= MOST_COPIES; ) {
    const failed = failedPlaces(last)
    if (failed.length === 0 || failed.every((place) => leftOut.has(place))) break
    for (const place of failed) leftOut.add(place)
    const further = await recordOf([await copyWithout(flow, leftOut, folder), '--register-again'], folder)
    if (further === undefined) break
    records.push(further)
    last = further
  }
  const alone: Readonly<Record<string, readonly string[]>> = known.alone
  const reached = new Set(
    records.flatMap(({ workflows }) =>
      workflows.flatMap(({ steps }) => steps.flatMap((step) => (step.status === 'skipped' ? [] : step.stepId))),
    ),
  )
  for (const step of alone[flow] ?? []) {
    const record = reached.has(step) ? undefined : await recordOf([flow, '--step', step, '--register-again'], folder)
    if (record !== undefined) records.push(record)
  }
  return records
}

/** `<stepId>/<case>`, or the id of a step without a failed case, that the server has not answered as it should. */
function failedPlaces({ workflows }: RunRecord): readonly string[] {
  return workflows.flatMap(({ steps }) => {
    const failed = steps.flatMap(({ stepId, status }) => (status === 'failed' ? [stepId] : []))
    return failed.filter((id) => !/\/control-/.test(id) && !failed.some((other) => other.startsWith(`${id}/`)))
  })
}

interface WrittenStep {
  readonly stepId: string
  readonly 'x-dcr'?: { cases?: readonly { readonly id: string }[] }
}

/** A copy of the flow beside copies of what it refers to; its path. */
async function copyWithout(flow: string, places: ReadonlySet<string>, folder: string): Promise<string> {
  const flows = join(folder, 'flows')
  for (const part of ['apis', 'parts']) await cp(join(ROOT, 'flows', part), join(flows, part), { recursive: true })
  const at = existsSync(join(ROOT, 'flows', `${flow}.arazzo.yaml`)) ? '' : 'conformance'
  const name = join(at, `${flow}.arazzo.yaml`)
  const text = await readFile(join(ROOT, 'flows', name), 'utf8')
  const document = parse(text) as { workflows: { steps: WrittenStep[] }[] }
  for (const workflow of document.workflows) {
    // What a later step needs stays.
    workflow.steps = workflow.steps.filter(({ stepId }) => !places.has(stepId) || text.includes(`$steps.${stepId}.`))
    for (const { stepId, 'x-dcr': own } of workflow.steps)
      if (own?.cases) own.cases = own.cases.filter(({ id }) => !places.has(`${stepId}/${id}`))
  }
  await mkdir(join(flows, at), { recursive: true })
  await writeFile(join(flows, name), JSON.stringify(document))
  return join(flows, name)
}

/** Undefined for a step or a copy that could not be run, since it needs what is not there. */
async function recordOf(args: readonly string[], folder: string): Promise<RunRecord | undefined> {
  const child = spawn(process.execPath, [join(ROOT, 'bin', 'thredd.js'), 'run', ...args, '--env', 'server'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, THREDD_VAULT_DIR: 'vault' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  if (process.argv.includes('--verbose')) process.stdout.write(said)
  if (code === 2 && (args.includes('--step') || args[0]?.startsWith(folder))) return undefined
  // 0, 1, 3 and 4 are what a run can say of a server.
  if (code === null || ![0, 1, 3, 4].includes(code)) throw new Error(`${args.join(' ')} ended with ${code}:\n${said}`)
  return JSON.parse(await readFile(join(folder, 'reports', 'latest', 'record.json'), 'utf8')) as RunRecord
}

/** With every workflow of all runs. */
function requirementsOf(records: readonly RunRecord[]): readonly JudgedRequirement[] {
  const [first] = records
  if (first === undefined) throw new Error('nothing has run')
  const workflows: WorkflowRecord[] = records.flatMap((record) => record.workflows)
  return summarise(first, workflows).requirements
}

function said(requirements: readonly JudgedRequirement[]): number {
  const notOffered: Readonly<Record<string, string>> = known.notOffered
  const otherwise: Readonly<Record<string, string>> = known.otherwise
  const byRun = requirements.filter(({ requirement }) => requirement.by === 'run' && requirement.proof !== undefined)
  const rows = byRun.map((row) => ({ row, ...verdictOn(row, notOffered) }))
  process.stdout.write(
    `node-oidc-provider ${known.version}: what it does otherwise, and by which clause\n${known.inFront}\n\n`,
  )
  for (const { row, verdict } of rows.filter(({ verdict }) => verdict === 'otherwise' || verdict === 'not offered')) {
    const { requirement } = row
    const { title } = clauseOf(requirement.clause)
    const why = (verdict === 'not offered' ? notOffered : otherwise)[requirement.id] ?? 'unknown until now'
    process.stdout.write(
      `${requirement.id.padEnd(22)}${verdict.padEnd(14)}${requirement.level.padEnd(12)}${requirement.clause} ${title}\n    ${requirement.text}\n    ${why}\n`,
    )
  }
  const count = (wanted: string) => rows.filter(({ verdict }) => verdict === wanted).length
  process.stdout.write(
    `\n${rows.length} requirements with a check: ${count('as required')} as required, ${count('otherwise')} otherwise, ${count('not offered')} not offered, ${count('not tested')} not tested\n`,
  )
  for (const { row, verdict } of rows)
    if (verdict === 'not tested') process.stdout.write(`  not tested  ${row.requirement.id.padEnd(22)}${row.because}\n`)
  const found = rows.filter(({ verdict }) => verdict === 'otherwise').map(({ row }) => row.requirement.id)
  const problems = [
    ...found.filter((id) => !(id in otherwise)).map((id) => `${id}: a difference that servers.json lacks`),
    ...Object.keys(otherwise)
      .filter((id) => !found.includes(id))
      .map((id) => `${id}: no difference any more`),
  ]
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  return problems.length === 0 ? 0 : 1
}

function verdictOn({ requirement, standing }: JudgedRequirement, notOffered: Readonly<Record<string, string>>) {
  if (requirement.id in notOffered) return { verdict: 'not offered' }
  if (standing === 'pass') return { verdict: 'as required' }
  return { verdict: standing === 'fail' || standing === 'warn' ? 'otherwise' : 'not tested' }
}
