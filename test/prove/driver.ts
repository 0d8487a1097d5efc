/**
 * A whole run in a process of its own that can be killed: `run`, as `thredd run lifecycle` calls it, over TLS against the
 * twin of the parent process. It counts the moments at which it may die, and dies at the one it is told.
 */
import { createHook } from 'node:async_hooks'
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { RunRecord } from '../../src/record/index.ts'
import { resolve, run } from '../../src/run/index.ts'
import { Vault } from '../../src/vault/vault.ts'
import { watched } from '../support/files.ts'

export interface Job {
  /** holds `.env.mock`, and gets the vault and the reports */
  readonly folder: string
  /** of the repository */
  readonly root: string
  /** settings of the environment by name, with the prefix */
  readonly variables: Readonly<Record<string, string>>
  /** of the twin, on 127.0.0.1 */
  readonly port: number
  readonly dieAt?: Moment | undefined
  /** instead of a run: writes answers of this client as fast as it can, tokens named by `name` */
  readonly race?: { readonly clientId: string; readonly name: string; readonly key: string } | undefined
}

/** The `count`th file operation of the vault, or the `count`th continuation of an await from when the call is on disk. */
export interface Moment {
  readonly step: string
  readonly kind: 'step' | 'await'
  readonly count: number
}

/** What a run that lived has seen, by the id of the step of the flow. */
export type Moments = Readonly<Record<string, { readonly steps: readonly string[]; readonly awaits: number }>>

const LOG = 'mock.log'
const ROUNDS = 100
/** The steps of the flow that change a registration. */
export const CHANGING: readonly string[] = ['register', 'update-acp', 'delete']

if (import.meta.main) {
  const job = JSON.parse(readFileSync(0, 'utf8')) as Job
  await (job.race === undefined ? live(job) : race(job.folder, job.race))
}

async function live({ folder, root, variables, port, dieAt }: Job): Promise<void> {
  const seen: Record<string, { steps: string[]; awaits: number }> = {}
  let step = 'start'
  let counting = false
  const here = () => {
    const moments = seen[step] ?? { steps: [], awaits: 0 }
    seen[step] = moments
    return moments
  }
  const arrive = (kind: Moment['kind'], count: number) => {
    if (dieAt === undefined || dieAt.step !== step || dieAt.kind !== kind || dieAt.count !== count) return
    process.kill(process.pid, 'SIGKILL')
  }
  const lines: Record<string, number> = {}
  const pass = (operation: string) => {
    const { steps } = here()
    steps.push(operation)
    arrive('step', steps.length)
  }
  // Synchronous: the parent hears of it even if this process is dead at once.
  const say = (what: string) => CHANGING.includes(step) && writeSync(1, `${step}: ${what}\n`)
  const before = (operation: string, file: string) => {
    if (operation === 'write' && file === LOG && lines[step] === 1) say('answer begun')
    if (['open', 'write', 'fsync', 'rename', 'unlink'].includes(operation)) pass(`${operation} ${file}`)
  }
  const after = (operation: string, file: string) => {
    if (file === LOG) {
      lines[step] = (lines[step] ?? 0) + 1
      say(lines[step] === 1 ? 'call durable' : 'answer durable')
      if (CHANGING.includes(step)) counting = true
    }
    pass(`after ${operation} ${file}`)
  }
  createHook({
    before: () => {
      if (!counting) return
      const moments = here()
      moments.awaits += 1
      arrive('await', moments.awaits)
    },
  }).enable()
  const request = await resolve({
    selection: { flows: ['lifecycle'], folders: [root] },
    environment: { env: 'mock', folder, variables },
  })
  const { file } = await run(request, {
    out: join(folder, 'reports'),
    version: 'prove',
    twin: async () => ({
      kind: 'twin',
      connectTo: () => ({ host: '127.0.0.1', port }),
      async [Symbol.asyncDispose]() {},
    }),
    onEvent: (event) => {
      if (event.type === 'step-started') step = event.stepId
      if (event.type === 'step-finished') counting = false
    },
    vault: { files: watched(before, after) },
  })
  const record = JSON.parse(readFileSync(file, 'utf8')) as RunRecord
  const problems = record.workflows.flatMap(({ steps }) => steps.flatMap(({ error }) => error?.message ?? []))
  writeSync(1, `${JSON.stringify({ verdict: record.verdict, problems, seen })}\n`)
}

async function race(folder: string, { clientId, name, key }: NonNullable<Job['race']>): Promise<void> {
  const vault = new Vault({
    folder,
    key: new Uint8Array(Buffer.from(key, 'hex')),
    environment: 'mock',
    now: () => new Date(),
  })
  for (let round = 0; round < ROUNDS; round++) {
    const body = JSON.stringify({
      client_id: clientId,
      registration_access_token: `${name}${round}`,
      registration_client_uri: 'https://localhost/client',
    })
    const kept = await vault.keep({ body, status: 200, step: String(round), runId: name })
    if (kept?.problem !== undefined) throw new Error(kept.problem.message)
  }
}
