/**
 * The proof behind "nothing lost": runs are killed between sending and recording, disks fail, writers race and bits flip;
 * after each the vault's token works on the twin, or the open call named. Prints the figures; ends with 1 where
 * one does not hold.
 *
 *   node test/prove/vault.ts [--kills 210]
 */
import { spawn } from 'node:child_process'
import { randomInt, X509Certificate } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'rolldown'
import { thumbprint } from '../../mocks/digest.ts'
import { ToolError } from '../../src/record/errors.ts'
import { resolve, run } from '../../src/run/index.ts'
import { type FilePort, fingerprint, type Probe, recover } from '../../src/vault/index.ts'
import { Vault } from '../../src/vault/vault.ts'
import buildCli from '../support/build.ts'
import { fileError, watched } from '../support/files.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { CLIENT_ID } from '../support/twin.ts'
import { CHANGING, type Job, type Moment, type Moments } from './driver.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Runs at the same time, each on a twin of its own. They wait for disks more than they compute. */
const LANES = 4
/** What a full disk does not refuse. */
const NEEDS_NO_ROOM: readonly string[] = ['read', 'readdir', 'facts', 'lstat', 'unlink', 'chmod']

const { values } = parseArgs({ options: { kills: { type: 'string', default: '210' } } })
const kills = Number(values.kills)
const isFull = kills >= 200
const failures: string[] = []
const place = await fs.mkdtemp(join(tmpdir(), 'prove-vault-'))
const driver = join(place, 'dist', 'driver.js')

try {
  await using lanes = new AsyncDisposableStack()
  const networks = await Promise.all(Array.from({ length: LANES }, async () => lanes.use(await startNetwork())))
  await buildCli()
  // Bundled as the command line is: hundreds of processes start.
  await build({
    input: { driver: join(import.meta.dirname, 'driver.ts') },
    platform: 'node',
    logLevel: 'silent',
    output: { dir: join(place, 'dist'), format: 'esm' },
  })
  await killed(networks)
  await faults(networks)
  await limits(networks)
  await traced(networks)
  await race(networks)
  await bits(networks)
} finally {
  await fs.rm(place, { recursive: true, force: true })
}
for (const failure of failures) console.log(`FAILED  ${failure}`)
console.log(failures.length === 0 ? 'every promise held' : `${failures.length} promise(s) broken`)
process.exitCode = failures.length === 0 ? 0 : 1

/** A run of the flow "lifecycle" from nothing: a vault and a twin that hold no client. */
interface Stage {
  readonly network: Network
  readonly folder: string
  /** where the vault is */
  readonly vault: string
}

async function stageOn(network: Network, name: string): Promise<Stage> {
  network.twin.state.deleteClient(CLIENT_ID)
  const folder = await fs.mkdtemp(join(place, `${name}-`))
  await fs.copyFile(join(ROOT, '.env.mock'), join(folder, '.env.mock'))
  return { network, folder, vault: join(folder, 'vault') }
}

async function killed(networks: readonly Network[]): Promise<void> {
  const figures = { step: 0, await: 0, time: 0, works: 0, named: 0, untouched: 0, deleted: 0 }
  const states = new Map<string, number>()
  const ways = { read: 0, retry: 0, refused: 0, ask: 0 }
  const moments = await rehearsed(networks)
  const steps = CHANGING.flatMap((step) => momentsOf(step, 'step', moments[step]?.steps.length ?? 0))
  const awaits = CHANGING.flatMap((step) => momentsOf(step, 'await', moments[step]?.awaits ?? 0))
  // The full form dies at every durable step; both at awaits that are evenly spread, and at random times.
  const atSteps = isFull ? steps : spread(steps, kills * 0.4)
  const atAwaits = spread(awaits, (kills - atSteps.length) * 0.7)
  const atTimes = Array.from({ length: kills - atSteps.length - atAwaits.length }, (_, index) => ({
    step: CHANGING[index % CHANGING.length] ?? '',
    kind: 'time' as const,
  }))
  const left = [...atSteps, ...atAwaits, ...atTimes]
  await Promise.all(
    networks.map(async (network) => {
      for (let moment = left.pop(); moment !== undefined; moment = left.pop()) {
        // A random time may come after the end: that is no kill, and another one is tried.
        while (!(await kill(network, moment))) if (moment.kind !== 'time') break
      }
    }),
  )
  const total = figures.step + figures.await + figures.time
  if (total !== kills) failures.push(`${total} of ${kills} kills took place`)
  console.log(
    `kills          ${total} runs of POST, PUT with rotation and DELETE: ${figures.step} at ${atSteps.length} of ${steps.length} file operations, ${figures.await} at ${atAwaits.length} of ${awaits.length} awaits, ${figures.time} of thredd itself at random times`,
  )
  console.log(
    `  afterwards   token works ${figures.works} · client deleted and marked so ${figures.deleted} · open call named ${figures.named} · nothing had been sent ${figures.untouched}`,
  )
  console.log(`  ledger       ${[...states].map(([state, number]) => `${state} ${number}`).join(' · ')}`)
  console.log(
    `  way out      settled by reading ${ways.read} · by registering again ${ways.retry} · refused, then deleted by Thredd ${ways.refused} · no token, then deleted by Thredd ${ways.ask}`,
  )

  async function kill(network: Network, moment: Moment | { step: string; kind: 'time' }): Promise<boolean> {
    const stage = await stageOn(network, moment.step)
    const { signal, stdout, stderr } =
      moment.kind === 'time' ? await killedAtRandom(stage, moment.step) : await drive(stage, moment)
    const where = `${moment.step} killed at ${moment.kind} ${'count' in moment ? moment.count : ''}`
    if (signal !== 'SIGKILL') {
      // The number of awaits differs a little from run to run.
      if (moment.kind === 'step') failures.push(`${where}: the process was not killed; ${stderr}`)
      return moment.kind === 'await' && (await kill(network, { ...moment, count: Math.floor(moment.count * 0.9) }))
    }
    figures[moment.kind] += 1
    const vault = await healthy(stage)
    const held = await holds(stage, vault)
    if (held.kind !== 'broken') figures[held.kind] += 1
    else failures.push(`${where}: ${held.why}`)

    // What is said at the next start, and what the start puts in order.
    const said = (await vault.prepare()).filter((warning) => warning.startsWith('open '))
    const open = await vault.unsettled()
    if (said.length !== open.length) failures.push(`${where}: ${open.length} calls are open, ${said.length} are said`)
    const begun = stdout.includes(`${moment.step}: call durable`)
    if (begun && !stdout.includes(`${moment.step}: answer begun`) && moment.kind !== 'time') {
      const named = open.some((one) => one.step === moment.step && one.clientId === CLIENT_ID)
      if (!named) failures.push(`${where}: the call had begun, and the vault does not name it`)
    }
    if (stdout.includes(`${moment.step}: answer durable`) && open.length > 0)
      failures.push(`${where}: the answer was durable, and yet the call is open`)
    const ledger = (await vault.ledger()).filter(({ clientId }) => clientId === CLIENT_ID)
    const isNamed = ledger.some(({ state }) => state !== 'deleted')
    if (network.twin.state.clients.has(CLIENT_ID) && !isNamed)
      failures.push(`${where}: the client is there, and the ledger does not say so`)
    for (const { state } of ledger) states.set(state, (states.get(state) ?? 0) + 1)
    const { warnings } = await vault.check()
    if (warnings.length > 0) failures.push(`${where}: ${warnings.join('; ')}`)
    for (const { id } of open) await walkOut(stage, vault, id, where)
    await vault.close()
    await fs.rm(stage.folder, { recursive: true, force: true })
    return true
  }

  /** Each way out leads out: what cannot be settled by reading is registered again, or deleted by Thredd. */
  async function walkOut(stage: Stage, vault: Vault, id: string, where: string): Promise<void> {
    const { network } = stage
    const intent = (await vault.unsettled()).find((one) => one.id === id)
    if (intent === undefined) return
    const { settled } = await recover(vault, intent, { probe: probeOf(network), runId: 'prove' })
    if (settled) ways.read += 1
    else if (intent.way === 'retry') {
      const again = await runIn(stage).catch((error: unknown) => error)
      if ((await vault.unsettled()).length === 0 && !(again instanceof Error)) ways.retry += 1
      else {
        await deletedByThredd()
        ways.refused += 1
      }
    } else {
      await deletedByThredd()
      ways.ask += 1
    }
    if ((await vault.unsettled()).some((one) => one.id === id)) failures.push(`${where}: the call could not be settled`)
    const held = await holds(stage, vault)
    if (held.kind === 'broken') failures.push(`${where}, after recovery: ${held.why}`)

    async function deletedByThredd(): Promise<void> {
      const [asking] = await vault.unsettled()
      if (asking === undefined || !/ask Thredd to delete the client/.test(asking.next))
        failures.push(`${where}: ${asking?.next ?? 'nothing is open'} is not what should be done`)
      network.twin.state.deleteClient(CLIENT_ID)
      await vault.remove(CLIENT_ID)
    }
  }
}

async function rehearsed([network]: readonly Network[]): Promise<Moments> {
  if (network === undefined) throw new Error('there is no twin')
  const { stdout, stderr } = await drive(await stageOn(network, 'rehearsal'))
  const last = stdout.split('\n').find((line) => line.startsWith('{'))
  if (last === undefined) throw new Error(`the rehearsal did not end: ${stderr}`)
  const { verdict, seen } = JSON.parse(last) as { verdict: string; seen: Moments }
  if (verdict !== 'conformant') throw new Error(`the rehearsal is ${verdict}`)
  for (const step of CHANGING)
    if (!seen[step]?.awaits) throw new Error(`no await was seen in step "${step}" after its intent was durable`)
  return seen
}

function momentsOf(step: string, kind: Moment['kind'], length: number): readonly Moment[] {
  return Array.from({ length }, (_, index) => ({ step, kind, count: index + 1 }))
}

/** That many of a list, evenly spread. */
function spread<T>(list: readonly T[], wanted: number): readonly T[] {
  const count = Math.min(list.length, Math.floor(wanted))
  return Array.from({ length: count }, (_, index) => list[Math.floor((index * list.length) / count)] as T)
}

/** `thredd run lifecycle` as a person starts it, killed soon after it has said that the step begins. */
async function killedAtRandom(stage: Stage, step: string): Promise<Ended> {
  const child = await thredd(stage, ['run', 'lifecycle', '--json'])
  let isTimed = false
  const end = await ended(child, (stdout) => {
    if (isTimed || !stdout.includes(`"step-started","stepId":"${step}"`)) return
    isTimed = true
    setTimeout(() => child.kill('SIGKILL'), randomInt(0, 120))
  })
  await fs.copyFile(join(ROOT, '.env.mock'), join(stage.folder, '.env.mock'))
  return end
}

/** The command line, with the twin where the network would be; `script` starts it in bash. */
async function thredd({ network, folder, vault }: Stage, args: readonly string[], script = 'exec "$0" "$@"') {
  // Under the same name, so that the vault's records are those of a run in this process.
  await fs.writeFile(join(folder, '.env.mock'), network.environment)
  return spawn('bash', ['-c', script, process.execPath, join(ROOT, 'bin', 'thredd.js'), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, THREDD_VAULT_DIR: vault, ...network.variables },
  })
}

/** Every writing of a file fails once (EIO), and from every one on the disk is full (ENOSPC). */
async function faults(networks: readonly Network[]): Promise<void> {
  for (const errno of ['EIO', 'ENOSPC'] as const) {
    const [network] = networks
    if (network === undefined) return
    const counter = faulty(errno, Number.POSITIVE_INFINITY, network)
    await runIn(await stageOn(network, 'count'), counter.files)
    const all = Array.from({ length: counter.count() }, (_, index) => index + 1)
    const left = [...(isFull ? all : spread(all, 12))]
    const figures = { tried: 0, refused: 0, works: 0, named: 0, untouched: 0, deleted: 0 }
    await Promise.all(
      networks.map(async (lane) => {
        for (let failAt = left.pop(); failAt !== undefined; failAt = left.pop()) {
          const stage = await stageOn(lane, 'fault')
          const port = faulty(errno, failAt, lane)
          const problem = await runIn(stage, port.files).then(
            () => undefined,
            (error: unknown) => error,
          )
          const where = `${errno} at file operation ${failAt}`
          if (problem !== undefined && !(problem instanceof ToolError)) throw problem
          if (!port.hasFailed()) failures.push(`${where}: it did not fail`)
          figures.tried += 1
          if (lane.changes().length === port.changesBefore()) figures.refused += 1
          const held = await holds(stage, await healthy(stage))
          if (held.kind === 'broken') failures.push(`${where}: ${held.why}`)
          else figures[held.kind] += 1
          await fs.rm(stage.folder, { recursive: true, force: true })
        }
      }),
    )
    console.log(
      `${errno.padEnd(15)}at ${figures.tried} of ${all.length} file operations; ${figures.refused} times nothing more was sent; token works ${figures.works} · deleted ${figures.deleted} · named ${figures.named} · nothing sent ${figures.untouched}`,
    )
  }
}

/** Limits of the operating system instead of injected ones: `thredd` itself, and nothing may reach the twin. */
async function limits([network]: readonly Network[]): Promise<void> {
  if (process.platform === 'win32' || network === undefined) return
  const tmpfs = (size: string, then = '') =>
    `exec unshare -rm sh -c 'mkdir -p vault && mount -t tmpfs -o mode=700,size=${size} tmpfs vault && ${then} exec "$0" "$@"' "$0" "$@"`
  const cases: readonly (readonly [what: string, script: string])[] = [
    ['a limit on the size of files', 'ulimit -f 8; exec "$0" "$@"'],
    ['a full disk', tmpfs('32k')],
    ['a disk that fills before the call', tmpfs('200k')],
    ['a read-only disk', tmpfs('1m', 'mount -o remount,ro vault &&')],
  ]
  const held: string[] = []
  for (const [what, script] of cases) {
    const stage = await stageOn(network, 'limit')
    const before = network.changes().length
    const { code, stdout, stderr } = await ended(await thredd(stage, ['run', 'lifecycle'], script))
    if (/unshare|mount: /.test(stderr)) {
      held.push(`(${what}: not possible on this machine)`)
      continue
    }
    const says = /vault folder .* cannot be written/.test(stdout + stderr)
    if (says && code === 2 && network.changes().length === before) held.push(what)
    else failures.push(`${what}: not refused before sending, exit ${code}: ${stderr}`)
  }
  console.log(`limits         refused with exit 2 before anything was sent: ${held.join(', ')}`)
}

async function race([network]: readonly Network[]): Promise<void> {
  if (network === undefined) return
  const stage = await stageOn(network, 'race')
  const key = Buffer.from(network.vaultKey).toString('hex')
  const racers = ['a', 'b'].map((name) => drive(stage, undefined, { clientId: CLIENT_ID, name, key }))
  const vault = await healthy(stage)
  let isOver = false
  let reads = 0
  const reading = (async () => {
    while (!isOver) {
      await vault.current(CLIENT_ID)
      reads += 1
      // Reading waits for nothing, and the ends of the writers must be heard.
      await turn()
    }
  })().catch((error: unknown) => failures.push(`race: a reader saw half a file: ${error}`))
  for (const { code, stderr } of await Promise.all(racers))
    if (code !== 0) failures.push(`a racing writer failed: ${stderr}`)
  isOver = true
  await reading
  const history = await vault.history(CLIENT_ID)
  for (const name of ['a', 'b']) {
    const own = Array.from({ length: 100 }, (_, round) => fingerprint(`${name}${round}`))
    const found = history.map(({ token }) => token ?? '').filter((token) => own.includes(token))
    if (found.join() !== own.join())
      failures.push(`race: writer ${name} has ${found.length} of 100 answers, or out of order`)
  }
  console.log(
    `race           2 processes, 100 answers each: ${history.length} entries, each writer's in order; ${reads} readings meanwhile, none of half a file`,
  )
}

/** A log with each bit flipped once, and cut at each byte, as a process leaves it that dies as it writes. */
async function bits([network]: readonly Network[]): Promise<void> {
  if (network === undefined) return
  const stage = await stageOn(network, 'bits')
  const answer = (token: string) => ({
    body: JSON.stringify({ client_id: CLIENT_ID, registration_access_token: token }),
    status: 200,
    step: 'read',
    runId: 'prove',
  })
  const writer = await healthy(stage)
  // The full form flips a whole registration as the twin answers it.
  if (isFull) await runIn(stage, undefined, 'register')
  for (const token of ['token-1', 'token-2', 'token-3']) await writer.keep(answer(token))
  await writer.close()
  const log = join(stage.vault, 'mock.log')
  const whole = await fs.readFile(log)
  const tokenIn = async (content: Buffer) => {
    const vault = await healthy(stage, { ...watched(() => {}), read: (_, position) => content.subarray(position) })
    const { warnings } = await vault.check()
    const token = (await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()
    return { token, isNamed: warnings.length > 0 }
  }
  if ((await tokenIn(whole)).token !== 'token-3') failures.push('bits: the log itself is not read')
  let found = 0
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const content = Buffer.from(whole)
    content[bit >> 3] = (content[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const code = await tokenIn(content).catch((error: unknown) => (error instanceof ToolError ? error.code : error))
    if (code === 'VAULT_UNREADABLE') found += 1
    else failures.push(`bits: flipped bit ${bit} of the log was not found: ${JSON.stringify(code)}`)
  }
  console.log(`bits           ${whole.length * 8} bits of a log of ${whole.length} bytes flipped, ${found} found`)
  const ends = [...whole.keys()].filter((at) => whole[at] === 10)
  const [first = 0, second = 0, third = 0] = ends.slice(-3)
  for (let length = first + 1; length <= whole.length; length++) {
    const expected = length >= third ? 'token-3' : length >= second ? 'token-2' : 'token-1'
    const read = await tokenIn(whole.subarray(0, length)).catch(String)
    const isBegun = ends.every((end) => length !== end && length !== end + 1)
    if (typeof read === 'string' || read.token !== expected || read.isNamed !== isBegun)
      failures.push(`cuts: cut at byte ${length} it reads ${JSON.stringify(read)}, not ${expected}`)
  }
  console.log(`cuts           a log cut at each of its last ${whole.length - first} bytes: what stands before is read`)
}

/** The program itself, with its system calls counted: two fsyncs for each call that changes a client, before it and after. */
async function traced([network]: readonly Network[]): Promise<void> {
  if (network === undefined) return
  const stage = await stageOn(network, 'traced')
  const trace = join(stage.folder, 'trace')
  const { code, stderr } = await ended(
    await thredd(stage, ['run', 'lifecycle'], `exec strace -f -y -e trace=fsync,fdatasync -o "${trace}" "$0" "$@"`),
  )
  const calls = await fs.readFile(trace, 'utf8').catch(() => undefined)
  if (calls === undefined) {
    console.log(`traced         not possible on this machine: ${stderr.split('\n')[0]}`)
    return
  }
  const synced = calls.split('\n').flatMap((line) => /f(?:data)?sync\(\d+<(.*)>\)\s+= 0/.exec(line)?.[1] ?? [])
  const of = (file: string) => synced.filter((path) => path === file).length
  const lines = of(join(stage.vault, 'mock.log'))
  // The new log is synchronised under another name, and then its folder.
  const made = [of(join(stage.vault, 'mock.log.new')), of(stage.vault)]
  if (code !== 0 || lines !== 2 * CHANGING.length || made.join() !== '1,1')
    failures.push(`traced: exit ${code}, ${lines} fsyncs of the log, ${made} of the new one and its folder: ${stderr}`)
  console.log(`traced         thredd run lifecycle: ${lines} fsyncs of the log for ${CHANGING.length} changing calls`)
}

type Held =
  | { readonly kind: 'works' | 'named' | 'untouched' | 'deleted' }
  | { readonly kind: 'broken'; readonly why: string }

/** The promise: the vault's token works on the twin, or the open call named. */
async function holds({ network }: Stage, vault: Vault): Promise<Held> {
  const open = (await vault.unsettled()).filter(({ clientId, way }) => clientId === CLIENT_ID && way !== 'wait')
  const registration = await vault.current(CLIENT_ID)
  const actual = network.twin.state.clients.get(CLIENT_ID)?.registrationToken.value
  const stored = [registration?.registrationAccessToken, ...(registration?.fallbacks ?? [])]
  const working = stored.find((token) => token !== undefined && token.reveal() === actual)
  if (working !== undefined) {
    const result = await probeOf(network)(registration?.registrationClientUri ?? '', working)
    if (result.kind === 'answered' && result.status === 200) return { kind: 'works' }
    return { kind: 'broken', why: 'the stored token is refused' }
  }
  if (open.length > 0) return { kind: 'named' }
  if (actual === undefined && registration === undefined)
    return { kind: (await vault.history(CLIENT_ID)).length === 0 ? 'untouched' : 'deleted' }
  return {
    kind: 'broken',
    why: `the twin ${actual === undefined ? 'has no client' : 'has a client'}, the vault ${registration === undefined ? 'has none' : 'has another token'}, and nothing is open`,
  }
}

function probeOf({ twin, pki }: Network): Probe {
  const certificate = new X509Certificate(pki.identities.transport.certificate)
  return async (url, token) => {
    const request = new Request(url, { headers: { authorization: `Bearer ${token.reveal()}` } })
    const response = await twin.answer(request, certificate)
    const presented = { identity: 'transport', thumbprint: thumbprint(certificate), isOnly: false }
    const headers = [...response.headers]
    return { kind: 'answered', status: response.status, headers, body: await response.text(), presented }
  }
}

/** The same run in this process. */
async function runIn({ network, folder, vault }: Stage, files?: FilePort, flow = 'lifecycle'): Promise<void> {
  const { HTTPS_PROXY: _, ...variables } = network.variables
  const request = await resolve({
    selection: { flows: [flow], folders: [ROOT] },
    environment: { env: 'mock', folder, variables: { ...variables, THREDD_VAULT_DIR: vault } },
  })
  await run(request, {
    out: join(folder, 'reports'),
    version: 'prove',
    twin: async () => ({
      kind: 'twin',
      connectTo: () => ({ host: '127.0.0.1', port: network.port }),
      async [Symbol.asyncDispose]() {},
    }),
    vault: files === undefined ? undefined : { files },
  })
}

/** Files on a disk with an error: at one operation, or, for a full disk, at all that need room from that one on. */
function faulty(errno: 'EIO' | 'ENOSPC', failAt: number, network: Network) {
  let count = 0
  let changesBefore = 0
  const files = watched((operation) => {
    if (errno === 'ENOSPC' && NEEDS_NO_ROOM.includes(operation)) return
    count += 1
    if (count === failAt) changesBefore = network.changes().length
    if (count === failAt || (errno === 'ENOSPC' && count > failAt)) throw fileError(errno, operation)
  })
  return { files, hasFailed: () => count >= failAt, count: () => count, changesBefore: () => changesBefore }
}

async function healthy({ network, vault }: Stage, files?: FilePort): Promise<Vault> {
  return new Vault({ folder: vault, key: network.vaultKey, environment: 'mock', now: () => new Date(), files })
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

async function drive({ network, folder, vault }: Stage, dieAt?: Moment, race?: Job['race']): Promise<Ended> {
  const { HTTPS_PROXY: _, ...variables } = network.variables
  const job: Job = {
    folder: race === undefined ? folder : vault,
    root: ROOT,
    variables: { ...variables, THREDD_VAULT_DIR: vault },
    port: network.port,
    dieAt,
    race,
  }
  const child = spawn(process.execPath, [driver])
  const end = ended(child)
  child.stdin.end(JSON.stringify(job))
  return await end
}

function ended(child: ReturnType<typeof spawn>, onText: (stdout: string) => void = () => {}): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
    onText(stdout)
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
