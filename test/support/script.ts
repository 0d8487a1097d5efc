/**
 * Workflows against a server that answers as a test says, without sockets and without time: waiting takes none, and a
 * deadline passes when an answer is said to take that long.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadEnvironment } from '../../src/environment/index.ts'
import { execute, type Ports, type RunEvent } from '../../src/execute/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import type { JwtChanges } from '../../src/identity/jwt.ts'
import { type AssertionPlan, plan } from '../../src/plan/index.ts'
import { type Problem, ToolError } from '../../src/record/errors.ts'
import type { WorkflowRecord } from '../../src/record/index.ts'
import { preview } from '../../src/run/preview.ts'
import { select } from '../../src/run/selection.ts'
import { Redactor, Secret } from '../../src/secret/index.ts'
import type { Delivery, Outgoing, SendOptions } from '../../src/transport/transport.ts'

const DESCRIPTION = fileURLToPath(new URL('../golden/flow/clients.openapi.yaml', import.meta.url))

export interface Reply {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** milliseconds until the answer; deadlines that end earlier pass */
  readonly takes?: number
  /** the user presses Ctrl-C while the request is under way, once or twice, or once the answer has come */
  readonly interrupt?: true | 'twice' | 'answered'
  readonly error?: Problem
}

export interface Script {
  /** replies by "METHOD /path" or by operation's path alone, one after the other; the last is repeated */
  readonly replies?: Readonly<Record<string, readonly Reply[]>>
  readonly inputs?: Readonly<Record<string, string>>
  /** run only this step and what it needs */
  readonly step?: string
  readonly vault?: Readonly<Record<string, string>>
  /** puts others in the place of these effects */
  readonly ports?: (ports: Ports) => Ports
  /** more of the document: components */
  readonly more?: string
  /** more source descriptions, as YAML of a list, and other members that come before the workflows */
  readonly sources?: string
  readonly head?: string
  /** of Arazzo; 1.1.0 where it says none */
  readonly version?: string
  /** files beside the document, by name */
  readonly files?: Readonly<Record<string, string>>
  /** more lines of the environment file */
  readonly settings?: string
  /** default: uat */
  readonly environmentClass?: 'mock' | 'uat' | 'prod'
}

export interface Played {
  /** one line for each workflow and, indented, each step: id, status and why */
  readonly course: readonly string[]
  /** "METHOD /path" as sent */
  readonly sent: readonly string[]
  readonly requests: readonly Outgoing[]
  /** milliseconds that each request was given */
  readonly timeouts: readonly number[]
  /** milliseconds waited before retries */
  readonly waits: readonly number[]
  readonly signed: readonly { readonly assertion: AssertionPlan; readonly changes: JwtChanges | undefined }[]
  readonly events: readonly RunEvent[]
  readonly workflows: readonly WorkflowRecord[]
  /** "METHOD /path" of each step as a dry run shows it, by the ids of workflow and step */
  readonly previewed: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** Runs all workflows of a document whose `workflows` are the given YAML. Rejects with ToolError where it is refused. */
export async function play(workflows: string, script: Script = {}): Promise<Played> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-script-'))
  try {
    const file = await writeText(folder, workflows, script)
    await writeFile(
      join(folder, '.env.test'),
      `ENV_CLASS=${script.environmentClass ?? 'uat'}\n${ENVIRONMENT}${script.settings ?? ''}\n`,
    )
    const environment = await loadEnvironment({ env: '.env.test', folder, variables: {} })
    const { selection: chosen } = await select({ flows: [file], step: script.step, folders: [folder] }, environment)
    const planned = plan(chosen, environment, {
      inputs: new Map(Object.entries(script.inputs ?? {})),
      registered: script.vault !== undefined,
    })
    return await perform(planned, script)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What is wrong with such a document: code, message and line within the given YAML. */
export async function problemsOf(workflows: string, script: Script = {}): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-script-'))
  try {
    await readFlow(await writeText(folder, workflows, script))
    return []
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return error.problems.map(({ code, message, at }) => `${code} ${(at?.line ?? 0) - HEAD_LINES}: ${message}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const headOf = ({ sources = '', head = '', version = '1.1.0' }: Script) => `arazzo: ${version}
info: { title: Scripted, version: 1.0.0 }
sourceDescriptions: [{ name: clients, url: clients.openapi.yaml }${sources === '' ? '' : `, ${sources}`}]
${head === '' ? '' : `${head}\n`}workflows:
`
const HEAD_LINES = headOf({}).split('\n').length - 1

const ENVIRONMENT = `SERVER_CLIENTS=https://api.example
TRANSPORT_CERT_FILE=transport.crt
TRANSPORT_KEY_FILE=transport.key
CLIENT_ID=https://rp.example/1
SIGNING_KEY=not-read
SIGNING_KID=kid-1
`

async function writeText(folder: string, workflows: string, script: Script): Promise<string> {
  await cp(DESCRIPTION, join(folder, 'clients.openapi.yaml'))
  for (const [name, text] of Object.entries(script.files ?? {})) await writeFile(join(folder, name), text)
  const file = join(folder, 'scripted.arazzo.yaml')
  await writeFile(file, `${headOf(script)}${workflows}\n${script.more ?? ''}`)
  return file
}

async function perform(
  planned: ReturnType<typeof plan>,
  { replies = {}, vault = {}, ports = (own) => own }: Script,
): Promise<Played> {
  const requests: Outgoing[] = []
  const waits: number[] = []
  const timeouts: number[] = []
  const signed: { assertion: AssertionPlan; changes: JwtChanges | undefined }[] = []
  const deadlines = new Set<{ readonly ms: number; readonly pass: () => void }>()
  const [stop, second] = [new AbortController(), new AbortController()]
  const counts = new Map<string, number>()
  const send = async (request: Outgoing, { signal, cut = signal, timeoutMs }: SendOptions): Promise<Delivery> => {
    requests.push(request)
    timeouts.push(timeoutMs)
    const key = named(request)
    const list = replies[key] ?? [{}]
    const index = counts.get(key) ?? 0
    counts.set(key, index + 1)
    const reply = list[Math.min(index, list.length - 1)] ?? {}
    const isLate = signal.aborted
    if (reply.interrupt === true || reply.interrupt === 'twice') stop.abort()
    if (reply.interrupt === 'twice') second.abort()
    for (const deadline of deadlines) if (deadline.ms <= (reply.takes ?? 0)) deadline.pass()
    // What waits for a deadline comes first.
    await new Promise((resolve) => setImmediate(resolve))
    const timing = { startedAt: '2026-01-01T00:00:00.000Z', totalMs: 1 }
    if (isLate || cut.aborted)
      return {
        kind: 'failed',
        sent: 'unknown',
        problem: { code: 'INTERRUPTED', message: 'the request was stopped' },
        timing,
      }
    if (reply.error !== undefined) return { kind: 'failed', sent: 'no', problem: reply.error, timing }
    const {
      status = request.method === 'POST' && key.endsWith('/clients') ? 201 : request.method === 'DELETE' ? 204 : 200,
    } = reply
    const body = status === 204 || key.endsWith('/status') ? '' : JSON.stringify(reply.body ?? {})
    const headers = { ...(body === '' ? {} : { 'content-type': 'application/json' }), ...reply.headers }
    if (reply.interrupt === 'answered') setImmediate(() => stop.abort())
    return { kind: 'answered', answer: { status, headers: Object.entries(headers), body: Buffer.from(body) }, timing }
  }
  const events = execute(
    planned,
    ports({
      transport: { send, async [Symbol.asyncDispose]() {} },
      redactor: new Redactor(new Uint8Array(32)),
      sign: async (assertion, changes) => {
        signed.push({ assertion, changes })
        return new Secret(
          `eyJhbGciOiJub25lIn0.eyJqdGkiOiJ${signed.length}.c2lnbmF0dXJlLW9mLXRoZS10ZXN0`,
          'client_assertion',
        )
      },
      alter: async (jwt, changes) => new Secret(`${jwt} with ${JSON.stringify(changes)}`, 'altered_jwt'),
      vault: {
        manages: async () => false,
        begin: async () => ({ keep: async () => undefined, close: async () => {} }),
        keep: async () => undefined,
        worked: async () => {},
        read: async (member) => vault[member],
      },
      given: async () => undefined,
      userAgent: 'test',
      now: () => new Date('2026-01-01T00:00:00Z'),
      clock: () => 0,
      cut: second.signal,
      wait: async (ms, signal) => {
        if (!DEADLINES.includes(ms)) {
          waits.push(ms)
          return
        }
        await new Promise<void>((resolve) => {
          deadlines.add({ ms, pass: resolve })
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      },
    }),
    stop.signal,
  )
  const seen: RunEvent[] = []
  for await (const event of events) seen.push(event)
  const workflows = seen.flatMap((event) => (event.type === 'workflow-finished' ? [event.workflow] : []))
  return {
    course: courseOf(workflows),
    sent: requests.map(named),
    requests,
    timeouts,
    waits,
    signed,
    events: seen,
    workflows,
    previewed: Object.fromEntries(
      preview(planned, 'test').map(({ workflowId, steps }) => [
        workflowId,
        Object.fromEntries(steps.map((step) => [step.stepId, named(step)])),
      ]),
    ),
  }
}

/** Waiting for these ends with an answer that takes as long; all other waiting is done at once. */
const DEADLINES = [500, 30_000]

function named({ method, url }: Pick<Outgoing, 'method' | 'url'>): string {
  const { pathname, search } = new URL(url)
  return `${method} ${pathname}${search}`
}

function courseOf(workflows: readonly WorkflowRecord[]): string[] {
  return workflows.flatMap(({ workflowId, status, steps, error }) => [
    `${workflowId} ${status}${error === undefined ? '' : `: ${error.message}`}`,
    ...steps.map((step) => `  ${step.stepId} ${step.status}${step.because === undefined ? '' : `: ${step.because}`}`),
  ])
}
