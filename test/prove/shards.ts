/**
 * The proof behind shards: processes in folders that share nothing register a list of clients on the twin; one is killed inside
 * a POST that the server has answered, and run again. Afterwards the records make one of the whole list, and the vaults one
 * with the token of every client. Prints the figures; ends with 1 where something does not hold.
 *
 *   node test/prove/shards.ts [--clients 400] [--shards 8]
 */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { decodeJwt } from 'jose'
import { http } from 'msw'
import { performHook } from '../../mocks/index.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { Vault } from '../../src/vault/vault.ts'
import buildCli from '../support/build.ts'
import { type Network, startNetwork } from '../support/network.ts'
import {
  addApplications,
  clientId,
  csvOf,
  numbers,
  SHARED_CERTIFICATE,
  SHARED_SETTING,
  softwareId,
} from '../support/rows.ts'

const LAUNCHER = join(fileURLToPath(new URL('../..', import.meta.url)), 'bin', 'thredd.js')

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '400' }, shards: { type: 'string', default: '8' } },
})
const [clients, shards] = [Number(values.clients), Number(values.shards)]
const failures: string[] = []
const place = await fs.mkdtemp(join(tmpdir(), 'prove-shards-'))
try {
  await buildCli()
  await using network = await startNetwork(SHARED_CERTIFICATE)
  addApplications(network, numbers(clients))
  await prove(network)
} finally {
  await fs.rm(place, { recursive: true, force: true })
}
for (const failure of failures) console.log(`FAILED  ${failure}`)
console.log(failures.length === 0 ? 'every promise held' : `${failures.length} promise(s) broken`)
process.exitCode = failures.length === 0 ? 0 : 1

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** A machine: a folder with the environment, the list, a vault and reports of its own. */
async function machine({ environment, variables }: Network, name: string) {
  const folder = join(place, name)
  await fs.mkdir(folder)
  await fs.writeFile(join(folder, '.env.uat'), `${environment}${SHARED_SETTING}PAUSE_MS=0\n`)
  await fs.writeFile(join(folder, 'clients.csv'), csvOf(numbers(clients)))
  const env = {
    ...variables,
    PATH: process.env.PATH,
    HOME: join(folder, 'home'),
    THREDD_VAULT_DIR: 'vault',
    THREDD_OPERATOR: 'the proof',
  }
  const start = (...args: readonly string[]) => {
    const child = spawn(process.execPath, [LAUNCHER, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, output })))
    return { child, ended }
  }
  return { folder, start, thredd: async (...args: readonly string[]) => await start(...args, '--env', 'uat').ended }
}

type Machine = Awaited<ReturnType<typeof machine>>

async function prove(network: Network): Promise<void> {
  const machines = await Promise.all(numbers(shards).map((index) => machine(network, `shard-${index}`)))
  const [first, killed] = machines as [Machine, Machine]
  const dry = await first.thredd('run', 'register', '--data', 'clients.csv', '--dry-run')
  const confirmation = /--confirm (\S+)/.exec(dry.output)?.[1] ?? ''
  const rows = ['--data', 'clients.csv', '--parallel', '2', '--confirm', confirmation, '--env', 'uat']
  const shard = (index: number) => ['run', 'register', ...rows, '--shard', `${index}/${shards}`]

  const start = performance.now()
  // In the middle of the second shard; the server registers the client, and its answer never arrives.
  const victim = 2 + shards * Math.floor(clients / shards / 2)
  const arrived = holdAnswer(network, victim)
  const all = machines.map((one, index) => one.start(...shard(index + 1)))
  await arrived
  all[1]?.child.kill('SIGKILL')
  const ended = await Promise.all(all.map((one) => one.ended))
  network.twin.reset()
  for (const [index, { code, output }] of ended.entries())
    if (index !== 1 && code !== 0) failures.push(`shard ${index + 1} ended with ${code}: ${output.slice(-600)}`)
  const seconds = (performance.now() - start) / 1000
  console.log(
    `shards         ${shards} processes, ${clients} rows, ${seconds.toFixed(1)} s; the second was killed at row ${victim}`,
  )
  await again(network, killed, shard(2))
  await oneRecord(network, machines)
  await oneVault(network, machines)
}

/** Resolves when the server has registered the client of the row; the answer is kept back for ever. */
function holdAnswer({ twin }: Network, row: number): Promise<void> {
  const arrived = Promise.withResolvers<void>()
  twin.use(
    http.all(
      ({ request }) => twin.operationOf(request) === 'registerClient',
      async ({ request }) => {
        const { software_statement: statement = '' } = (await request.clone().json()) as { software_statement?: string }
        const isIt = decodeJwt(statement).software_id === softwareId(row)
        const response = await twin.pass(request)
        if (!isIt) return response
        arrived.resolve()
        return await new Promise<never>(() => undefined)
      },
    ),
  )
  return arrived.promise
}

/** The killed shard again: what was done is left out, what is open is named, and Thredd deletes it. */
async function again(network: Network, { thredd, start, folder }: Machine, command: readonly string[]): Promise<void> {
  const second = await start(...command).ended
  const open = await vaultIn(network, folder).unsettled()
  const left = [...second.output.matchAll(/^left out row (\d+)/gm)].length
  const refused = [...second.output.matchAll(/non-conformant/g)].length
  if (second.code !== 1 || open.length === 0) failures.push(`run again: exit ${second.code}, ${open.length} open calls`)
  for (const { clientId: id } of open) {
    if (!second.output.includes(id) && !second.output.includes(id.split('/').at(-1) ?? ''))
      failures.push(`${id} is open and not named`)
    performHook(network.twin.state, 'delete-client', { client_id: id })
    const recovered = await thredd('vault', 'recover', id, '--deleted-by-thredd')
    if (recovered.code !== 0) failures.push(`recover ${id}: exit ${recovered.code} ${recovered.output.slice(-300)}`)
  }
  const third = await start(...command).ended
  // What the first run has registered is left out, and not proven by the third.
  if (third.code !== 3) failures.push(`run a third time: exit ${third.code} ${third.output.slice(-600)}`)
  console.log(
    `run again      ${left > 0 ? 'rows that were done left out' : 'nothing left out'}; ${open.length} open call(s) named, ${refused > 0 ? 'refused as registered' : 'not refused'}, deleted by Thredd, registered by a third run`,
  )
}

async function oneRecord(network: Network, machines: readonly Machine[]): Promise<void> {
  const whole = await machine(network, 'whole')
  const folders = machines.map(({ folder }) => join(folder, 'reports'))
  const without = await whole.start('report', 'merge', ...folders.slice(1)).ended
  if (without.code !== 2 || !without.output.includes(`shard 1 of ${shards} is missing`))
    failures.push(`a missing shard is not named: ${without.output}`)
  const merged = await whole.start('report', 'merge', ...folders).ended
  if (merged.code !== 3) {
    failures.push(`merge: exit ${merged.code} ${merged.output}`)
    return
  }
  const file = join(whole.folder, 'reports', 'latest', 'record.json')
  const { rows, workflows } = JSON.parse(await fs.readFile(file, 'utf8')) as RunRecord
  const ran = workflows.map(({ row }) => row?.number ?? 0)
  const left = rows?.leftOut.map(({ number }) => number) ?? []
  const all = [...ran, ...left].toSorted((a, b) => a - b)
  if (JSON.stringify(all) !== JSON.stringify(numbers(clients))) failures.push('not each row is in the record once')
  console.log(`record         ${ran.length} rows run, ${left.length} left out as done before; each of ${clients} once`)
}

async function oneVault(network: Network, machines: readonly Machine[]): Promise<void> {
  const whole = await machine(network, 'vaults')
  for (const { folder } of machines) {
    const taken = await whole.thredd('vault', 'import', join(folder, 'vault'), '--confirm', 'uat')
    if (taken.code !== 0) failures.push(`vault import: exit ${taken.code} ${taken.output}`)
  }
  const vault = vaultIn(network, whole.folder)
  const { problems } = await vault.check()
  if (problems.length > 0) failures.push(`the vault: ${problems.map(({ message }) => message).join('; ')}`)
  const { registrations } = await vault.list()
  const held = new Map(registrations.map((one) => [one.clientId, one.registrationAccessToken?.reveal()]))
  const served = network.twin.state.clients
  const works = numbers(clients).filter((number) => {
    const id = clientId(number)
    return served.has(id) && served.get(id)?.registrationToken.value === held.get(id)
  })
  const open = await vault.unsettled()
  if (works.length !== clients) failures.push(`${works.length} of ${clients} tokens are in the vault`)
  if (open.length > 0) failures.push(`${open.length} calls are open`)
  console.log(
    `vault          ${works.length} of ${clients} clients of the server with their token, ${open.length} calls open`,
  )
}

function vaultIn({ vaultKey }: Network, folder: string): Vault {
  return new Vault({ folder: join(folder, 'vault'), key: vaultKey, environment: 'uat', now: () => new Date() })
}
