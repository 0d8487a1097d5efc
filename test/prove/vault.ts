/**
 * The proof behind "nothing lost": processes are killed between sending and recording, disks fail, writers race and bits
 * flip; after each the vault's token works on the twin, or the journal names the open call. Prints the figures; ends with 1
 * where one does not hold.
 *
 *   node test/prove/vault.ts [--kills 210]
 */
import { spawn } from 'node:child_process'
import { randomBytes, randomInt, X509Certificate } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { ensurePki, HOSTS, type Pki, startTwin, type Twin } from '../../mocks/index.ts'
import { ToolError } from '../../src/errors.ts'
import { type FilePort, fingerprint, openVault, type Probe, recover, type Vault } from '../../src/vault/index.ts'
import { CLIENT_ID, ORGANISATION, SOFTWARE, URLS } from '../support/twin.ts'
import type { Job } from './driver.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const KEY = randomBytes(32)
const EFFECTS = { register: 'POST', update: 'PUT', delete: 'DELETE' } as const
type Effect = keyof typeof EFFECTS

const { values } = parseArgs({ options: { kills: { type: 'string', default: '210' } } })
const kills = Number(values.kills)
const isFull = kills >= 200

const pki = await ensurePki(join(ROOT, 'fixtures', 'pki'), { hosts: HOSTS })
await using running = await startTwin({ pki })
const { twin } = running
const certificate = new X509Certificate(pki.identities.transport.certificate)
const statement = await softwareStatement()
const failures: string[] = []
const place = await fs.mkdtemp(join(tmpdir(), 'prove-vault-'))

try {
  await killed()
  await faults()
  await limits()
  await race()
  await bits()
} finally {
  await fs.rm(place, { recursive: true, force: true })
}
for (const failure of failures) console.log(`FAILED  ${failure}`)
console.log(failures.length === 0 ? 'every promise held' : `${failures.length} promise(s) broken`)
process.exitCode = failures.length === 0 ? 0 : 1

async function killed(): Promise<void> {
  const figures = { kills: 0, works: 0, named: 0, untouched: 0, deleted: 0, settled: 0, retry: 0, ask: 0 }
  const moments = new Map<Effect, readonly string[]>()
  for (const effect of effects()) {
    const folder = await stage(effect)
    const { seen } = await drive({ folder, effect })
    if (seen === undefined) throw new Error(`the rehearsal of ${effect} did not end`)
    moments.set(effect, seen)
  }
  const total = [...moments.values()].reduce((sum, seen) => sum + seen.length, 0)
  const rounds = Math.max(1, Math.ceil(kills / 2 / total))
  const planned = effects().flatMap((effect) =>
    Array.from({ length: (moments.get(effect) ?? []).length * rounds }, (_, index) => ({
      effect,
      dieAt: (index % (moments.get(effect) ?? []).length) + 1,
    })),
  )
  // A reduced form takes evenly spread moments; the full one all of them, and random times besides.
  const step = Math.max(1, planned.length / Math.max(1, Math.floor(kills * (isFull ? 1 : 0.7))))
  const named = Array.from(
    { length: Math.floor(planned.length / step) },
    (_, index) => planned[Math.floor(index * step)],
  )
  for (const one of named) {
    if (one === undefined) continue
    const moment = `${moments.get(one.effect)?.[one.dieAt - 1]} (${one.dieAt})`
    await kill(one.effect, { dieAt: one.dieAt }, moment)
  }
  while (figures.kills < kills) {
    const effect = effects()[figures.kills % 3] ?? 'register'
    await kill(effect, { afterMs: randomInt(0, 40) }, 'a random moment')
  }
  console.log(
    `kills          ${figures.kills} over POST, PUT with rotation and DELETE, at ${total} different moments and at random ones`,
  )
  console.log(
    `  afterwards   token works ${figures.works} · client deleted and marked so ${figures.deleted} · journal names the open call ${figures.named} · nothing had been sent ${figures.untouched}`,
  )
  console.log(
    `  way out      settled by reading ${figures.settled} · register again ${figures.retry} · ask Thredd ${figures.ask}`,
  )

  async function kill(effect: Effect, how: { dieAt?: number; afterMs?: number }, moment: string): Promise<void> {
    const folder = await stage(effect)
    const before = tokenOf(twin)
    const { signal } = await drive({ folder, effect, ...how })
    if (signal !== 'SIGKILL') {
      // A random moment may come after the end; that is no kill.
      if (how.dieAt !== undefined) failures.push(`${effect}, ${moment}: the process was not killed`)
      return
    }
    figures.kills += 1
    const vault = await healthy(folder)
    const held = await holds(vault, effect, before)
    if (held.kind !== 'broken') figures[held.kind] += 1
    else failures.push(`${effect} killed at ${moment}: ${held.why}`)
    const durable = (moments.get(effect) ?? []).indexOf('answer: durable') + 1
    if (how.dieAt !== undefined && how.dieAt >= durable && held.kind === 'named')
      failures.push(`${effect} killed at ${moment}: the answer was durable and yet the call is open`)
    // The next start puts things in order, and every open call has a way out.
    await vault.prepare(CLIENT_ID)
    const leftovers = (await vault.check()).warnings
    if (leftovers.length > 0) failures.push(`${effect} killed at ${moment}: ${leftovers.join('; ')}`)
    for (const intent of await vault.unsettled()) {
      const { settled } = await recover(vault, intent, { probe, runId: 'prove' })
      if (settled) figures.settled += 1
      else if (intent.way === 'retry') figures.retry += 1
      else figures.ask += 1
      const after = await holds(vault, effect, before)
      if (after.kind === 'broken') failures.push(`${effect} killed at ${moment}, after recovery: ${after.why}`)
    }
  }
}

/** Every file operation fails once (EIO), and from every one on the disk is full (ENOSPC). */
async function faults(): Promise<void> {
  for (const errno of ['EIO', 'ENOSPC'] as const) {
    let count = 0
    let refused = 0
    for (const effect of effects()) {
      for (let failAt = 1; ; failAt++) {
        const folder = await stage(effect)
        const before = tokenOf(twin)
        const port = faulty(errno, failAt)
        let sent = false
        try {
          await inProcess(await healthy(folder, port.files), effect, () => {
            sent = true
          })
        } catch (error) {
          if (!(error instanceof ToolError)) throw error
        }
        if (!port.hasFailed()) break
        count += 1
        if (!sent) refused += 1
        const held = await holds(await healthy(folder), effect, before)
        const where = `${errno} at file operation ${failAt} of ${effect}`
        if (held.kind === 'broken') failures.push(`${where}: ${held.why}`)
        if (!sent && tokenOf(twin) !== before) failures.push(`${where}: refused, but something was sent`)
      }
    }
    console.log(`${errno.padEnd(15)}${count} failing file operations; ${refused} refused before anything was sent`)
  }
}

/** A real limit of the operating system instead of an injected one. */
async function limits(): Promise<void> {
  if (process.platform === 'win32') return
  for (const blocks of [8, 100]) {
    const folder = await stage('update')
    const before = tokenOf(twin)
    const { stderr } = await drive({ folder, effect: 'update', limit: blocks })
    const says = /vault folder .* cannot be written/.test(stderr)
    if (!says || tokenOf(twin) !== before) failures.push(`file size limit ${blocks}: not refused before sending`)
  }
  console.log('EFBIG          2 real limits on file size; both refused before anything was sent')
}

async function race(): Promise<void> {
  const folder = await fs.mkdtemp(join(place, 'race-'))
  const results = await Promise.all(['a', 'b'].map((name) => drive({ folder, effect: 'race', name })))
  for (const { code, stderr } of results) if (code !== 0) failures.push(`a racing writer failed: ${stderr}`)
  const history = await (await healthy(folder)).history(CLIENT_ID)
  for (const name of ['a', 'b']) {
    const own = Array.from({ length: 100 }, (_, round) => fingerprint(`${name}${round}`))
    const found = history.map(({ token }) => token ?? '').filter((token) => own.includes(token))
    if (found.join() !== own.join())
      failures.push(`race: writer ${name} has ${found.length} of 100 answers, or out of order`)
  }
  console.log(`race           2 processes, 100 answers each: ${history.length} entries, each writer's in order`)
}

async function bits(): Promise<void> {
  const folder = await fs.mkdtemp(join(place, 'bits-'))
  const writer = await healthy(folder)
  const body = isFull
    ? await registered()
    : JSON.stringify({ client_id: CLIENT_ID, registration_access_token: 'token' })
  await writer.keep({ body, status: 201, step: 'register', runId: 'prove' })
  const name = (await fs.readdir(folder)).find((file) => file.endsWith('.jwe')) ?? ''
  const record = await fs.readFile(join(folder, name))
  let content = record
  const readFile = (async (path: string, encoding: BufferEncoding) =>
    path.endsWith(name) ? content.toString(encoding) : fs.readFile(path, encoding)) as unknown as FilePort['readFile']
  const vault = await healthy(folder, { ...fs, readFile })
  if ((await vault.current(CLIENT_ID)) === undefined) failures.push('bits: the record itself is not read')
  let found = 0
  for (let bit = 0; bit < record.length * 8; bit++) {
    content = Buffer.from(record)
    content[bit >> 3] = (content[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const code = await vault.current(CLIENT_ID).then(
      () => undefined,
      (error: unknown) => (error instanceof ToolError ? error.code : undefined),
    )
    if (code === 'VAULT_UNREADABLE') found += 1
    else failures.push(`bits: flipped bit ${bit} was not found`)
  }
  console.log(`bits           ${record.length * 8} bits of a record of ${record.length} bytes flipped, ${found} found`)
}

type Held =
  | { readonly kind: 'works' | 'named' | 'untouched' | 'deleted' }
  | { readonly kind: 'broken'; readonly why: string }

/** The promise: the vault's token works on the twin, or the journal names the open call. */
async function holds(vault: Vault, effect: Effect, before: string | undefined): Promise<Held> {
  const open = (await vault.unsettled()).filter(({ clientId, way }) => clientId === CLIENT_ID && way !== 'wait')
  const registration = await vault.current(CLIENT_ID)
  const actual = tokenOf(twin)
  const stored = [registration?.registrationAccessToken, registration?.fallback].map((token) => token?.reveal())
  if (actual !== undefined && stored.includes(actual)) {
    const { registrationClientUri: url = '' } = registration ?? {}
    const { status } = await twin.answer(
      new Request(url, { headers: { authorization: `Bearer ${actual}` } }),
      certificate,
    )
    return status === 200 ? { kind: 'works' } : { kind: 'broken', why: `the stored token is answered with ${status}` }
  }
  if (actual === undefined && registration === undefined && effect === 'delete') return { kind: 'deleted' }
  if (open.length > 0) return { kind: 'named' }
  if (actual === before && actual === undefined && registration === undefined) return { kind: 'untouched' }
  return {
    kind: 'broken',
    why: `the twin ${actual === undefined ? 'has no client' : 'has a client'}, the vault ${registration === undefined ? 'has none' : 'has another token'}, and nothing is open`,
  }
}

/** A fresh vault and a twin in the state the call starts from. */
async function stage(effect: Effect): Promise<string> {
  const folder = await fs.mkdtemp(join(place, `${effect}-`))
  twin.state.deleteClient(CLIENT_ID)
  if (effect === 'register') return folder
  const vault = await healthy(folder)
  await vault.keep({ body: await registered(), status: 201, step: 'register', runId: 'stage', clientId: CLIENT_ID })
  return folder
}

async function registered(): Promise<string> {
  twin.state.deleteClient(CLIENT_ID)
  const { url, method, body } = request('register')
  const response = await twin.answer(
    new Request(url, { method, body, headers: { 'content-type': 'application/json' } }),
    certificate,
  )
  if (response.status !== 201) throw new Error(`the twin answers a registration with ${response.status}`)
  return response.text()
}

function request(effect: Effect): { method: string; url: string; body: string } {
  const body = JSON.stringify({ ...documentedRequest, software_statement: statement })
  return { method: EFFECTS[effect], url: `${URLS.old}/oauth2/register`, body }
}

/** The same call without a process of its own. */
async function inProcess(vault: Vault, effect: Effect, onSend: () => void): Promise<void> {
  await vault.prepare(CLIENT_ID)
  const registration = await vault.current(CLIENT_ID)
  const { method, body, ...to } = request(effect)
  const url = effect === 'register' ? to.url : (registration?.registrationClientUri ?? '')
  await using intent = await vault.begin({ effect, method, url, step: effect, runId: 'prove', clientId: CLIENT_ID })
  const headers = new Headers({ 'content-type': 'application/json' })
  if (effect !== 'register') headers.set('authorization', `Bearer ${registration?.registrationAccessToken?.reveal()}`)
  onSend()
  const response = await twin.answer(
    new Request(url, { method, headers, ...(effect === 'delete' ? {} : { body }) }),
    certificate,
  )
  await intent.keep({ status: response.status, body: new Uint8Array(await response.arrayBuffer()) })
  await intent.close('answered')
}

function faulty(errno: 'EIO' | 'ENOSPC', failAt: number): { files: FilePort; hasFailed: () => boolean } {
  let count = 0
  const attempt = (syscall: string) => {
    count += 1
    if (count === failAt || (errno === 'ENOSPC' && count > failAt))
      throw Object.assign(new Error(`${errno}, ${syscall}`), { code: errno, syscall })
  }
  const files: FilePort = {
    ...fs,
    open: (async (path: string, flags: string, mode?: number) => {
      if (flags !== 'r') attempt('open')
      const handle = await fs.open(path, flags, mode)
      const { writeFile, sync } = handle
      handle.writeFile = (async (data: string | Uint8Array) => {
        attempt('write')
        await writeFile.call(handle, data)
      }) as typeof writeFile
      handle.sync = async () => {
        attempt('fsync')
        await sync.call(handle)
      }
      return handle
    }) as FilePort['open'],
    rename: async (from, to) => {
      if (errno === 'EIO') attempt('rename')
      await fs.rename(from, to)
    },
    unlink: async (path) => {
      if (errno === 'EIO') attempt('unlink')
      await fs.unlink(path)
    },
  }
  return { files, hasFailed: () => count >= failAt }
}

async function healthy(folder: string, files?: FilePort): Promise<Vault> {
  const options = { folder, key: KEY, environment: 'mock', now: () => new Date() }
  return openVault(files === undefined ? options : { ...options, files })
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly seen: readonly string[] | undefined
}

/** Runs the driver; `afterMs` kills it that long after it has written down what it is about to do. */
async function drive({
  effect,
  folder,
  afterMs,
  limit,
  dieAt,
  name,
}: {
  effect: Effect | 'race'
  folder: string
  afterMs?: number
  limit?: number
  dieAt?: number
  name?: string
}): Promise<Ended> {
  const { identities, caFile }: Pki = pki
  const { certificateFile, keyFile } = identities.transport
  const call = request(effect === 'race' ? 'register' : effect)
  const job: Job = {
    folder,
    key: KEY.toString('hex'),
    clientId: CLIENT_ID,
    port: running.port,
    caFile,
    certificateFile,
    keyFile,
    effect,
    method: call.method,
    ...(effect === 'register' ? { url: call.url } : {}),
    ...(effect === 'delete' ? {} : { body: call.body }),
    ...(dieAt === undefined ? {} : { dieAt }),
    ...(name === undefined ? {} : { name }),
  }
  const driver = join(import.meta.dirname, 'driver.ts')
  const child =
    limit === undefined
      ? spawn(process.execPath, [driver])
      : spawn('bash', ['-c', `ulimit -f ${limit}; exec "$0" "$1"`, process.execPath, driver])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    if (stdout === '' && afterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), afterMs)
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.end(JSON.stringify(job))
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...end) => resolve(end)),
  )
  const last = stdout.split('\n').find((line) => line.startsWith('{'))
  return { code, signal, stderr, seen: last === undefined ? undefined : JSON.parse(last).seen }
}

async function softwareStatement(): Promise<string> {
  const token = await twin.answer(
    new Request(`${URLS.directoryMtls}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        scope: 'directory:software',
        client_id: CLIENT_ID,
      }),
    }),
    certificate,
  )
  const { access_token } = (await token.json()) as { access_token: string }
  const url = `${URLS.directoryApi}/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`
  const answer = await twin.answer(
    new Request(url, { headers: { authorization: `Bearer ${access_token}` } }),
    certificate,
  )
  return answer.text()
}

async function probe(...[url, token]: Parameters<Probe>): ReturnType<Probe> {
  const request = new Request(url, { headers: { authorization: `Bearer ${token.reveal()}` } })
  const response = await twin.answer(request, certificate)
  return { kind: 'answered', status: response.status, body: await response.text() }
}

function tokenOf({ state }: Twin): string | undefined {
  return state.clients.get(CLIENT_ID)?.registrationToken.value
}

function effects(): readonly Effect[] {
  return Object.keys(EFFECTS) as Effect[]
}
