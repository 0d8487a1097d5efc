/** The only place with effects on the process: arguments in, text and exit code out. Alone may load the twin, lazily. */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { RunEvent } from '../../execute/index.ts'
import { CODES, fail, ToolError, worstExit } from '../../record/errors.ts'
import { jsonLine, type StreamEvent } from '../../report/stream.ts'
import type { GivenEvent, PreparedEvent, Question, RunOptions } from '../../run/index.ts'
import type { Secret } from '../../secret/index.ts'
import { provenanceOf, proxyOf, versionOf } from '../provenance.ts'
import { helpText, type Invocation, parseCommandLine, type Section } from './commands.ts'
import type { Console } from './console.ts'

/** Runs the command line of this process and sets its exit code. `root` is the folder of the package. */
export async function main(root: string): Promise<void> {
  // A reader that goes away (| head) must not end a run that changes a client.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    process.exitCode = await perform(parseCommandLine(process.argv.slice(2)), root)
  } catch (error) {
    if (error instanceof ToolError) {
      const errors = await consoleOn(process.stderr)
      errors.problems(error.problems, sources(error))
      process.exitCode = exitOf(error)
    } else {
      process.stderr.write(
        `This is a bug; please report it.\n${error instanceof Error ? error.stack : String(error)}\n`,
      )
      process.exitCode = 70
    }
  }
}

/** Loaded where something is to be shown, like everything else that not every command needs. */
async function consoleOn(stream: NodeJS.WriteStream, verbose = false): Promise<Console> {
  const { Console } = await import('./console.ts')
  const here = `${process.cwd()}${sep}`
  return new Console({
    stream,
    write: (text) => void stream.write(text),
    near: (text) => text.replaceAll(here, ''),
    verbose,
  })
}

async function perform(invocation: Invocation, root: string): Promise<number> {
  const version = versionOf(root)
  const out = () => consoleOn(process.stdout, invocation.has('verbose'))
  const write = (text: string) => void process.stdout.write(text)
  switch (invocation.command) {
    case 'help':
      process.stdout.write(helpText(invocation.topic, version, await appendixOf(invocation.topic)))
      return 0
    case 'version':
      process.stdout.write(`${version}\n`)
      return 0
    case 'run':
      return performRun(invocation, { root, version, out: await out() })
    case 'list':
    case 'show':
      return performOverview(invocation, root)
    case 'lint':
      return (await import('./lint.ts')).performLint(invocation, {
        here: process.cwd(),
        root,
        out: await out(),
        write,
      })
    case 'report':
      return (await import('./report.ts')).performReport(invocation, { here: process.cwd(), write })
    case 'verify':
      return (await import('./verify.ts')).performVerify(invocation, { here: process.cwd(), write })
    case 'mock':
      return performMock(invocation)
    case 'token':
      return performTokenCommand(invocation, { root, version })
    case 'cleanup':
      return performCleanupCommand(invocation, { root, version, out: await out() })
    case 'vault':
      return performVaultCommand(invocation, { root, version })
    default:
      return invocation.command satisfies never
  }
}

async function performRun(
  invocation: Invocation,
  { root, version, out }: { root: string; version: string; out: Console },
): Promise<number> {
  const { rehearse, run } = await import('../../run/index.ts')
  keepMemoryFlat()
  const asJson = invocation.has('json')
  const stream = (event: StreamEvent) => process.stdout.write(jsonLine(event))
  return await untilStopped(async (signal) => {
    const options: RunOptions = {
      ...runOptions(invocation, { root, version, signal }),
      onEvent: (event) => (asJson ? stream(streamed(event)) : out.show(event)),
    }
    try {
      if (invocation.has('dry-run')) {
        const rehearsal = await rehearse(options)
        if (asJson) process.stdout.write(`${JSON.stringify({ type: 'dry-run', ...rehearsal })}\n`)
        else out.preview(rehearsal)
        return 0
      }
      const { record, file } = await run(options)
      const path = relative(process.cwd(), file)
      const { verdict, exitCode, messagesToThredd = [] } = record
      if (asJson) stream({ type: 'run-finished', verdict, exitCode, record: path, messagesToThredd })
      else out.summary(record, path)
      if (process.env.GITHUB_ACTIONS === 'true' && !asJson) {
        const { githubAnnotations } = await import('../../report/annotations.ts')
        for (const line of githubAnnotations(record)) process.stdout.write(`${line}\n`)
      }
      return record.exitCode
    } catch (error) {
      if (asJson && error instanceof ToolError)
        stream({ type: 'refused', exitCode: exitOf(error), problems: error.problems })
      throw error
    }
  })
}

/**
 * Nearly all that a call makes is garbage when it ends. Node would let it pile up to hundreds of megabytes before it is
 * collected; collected early it takes no longer.
 */
function keepMemoryFlat(): void {
  for (const flag of ['--semi-space-growth-factor=1', '--heap-growing-percent=25']) setFlagsFromString(flag)
}

/** What the flags, the process variables and the current folder say of a run. */
function runOptions(
  invocation: Invocation,
  { root, version, signal }: { root: string; version: string; signal: AbortSignal },
): RunOptions {
  const here = process.cwd()
  return {
    flows: invocation.words,
    workflow: invocation.text('workflow'),
    tags: listed(invocation, 'tag'),
    safety: listed(invocation, 'safety'),
    step: invocation.text('step'),
    inputs: invocation.pairs('input'),
    environment: environmentOptions(invocation, root),
    folders: [here, root],
    out: resolve(here, invocation.text('out') ?? 'reports'),
    confirm: invocation.text('confirm'),
    ask:
      process.stdin.isTTY && process.stderr.isTTY && !invocation.has('json')
        ? (question) => askClientId(question, signal)
        : undefined,
    registerAgain: invocation.has('register-again'),
    version,
    proxy: proxyOf(process.env),
    codeQuality: process.env.GITLAB_CI === 'true',
    twin: async () => (await import('../twin.ts')).embeddedTwin(join(root, 'fixtures', 'pki')),
    provenance: provenanceOf(root, process.env),
    signal,
  }
}

/** Several values with commas, or the flag several times. */
function listed(invocation: Invocation, flag: string): readonly string[] {
  return invocation.texts(flag).flatMap((text) => text.split(',').filter((word) => word !== ''))
}

async function performOverview(invocation: Invocation, root: string): Promise<number> {
  const { overviewOf, detailsOf } = await import('../../run/survey.ts')
  const { writeList, writeDetails } = await import('./list.ts')
  const { loadEnvironment } = await import('../../environment/index.ts')
  const { forgets } = await import('../../run/index.ts')
  const here = process.cwd()
  if (invocation.command === 'show' && invocation.words.length === 0)
    fail({ code: 'USAGE', message: 'which flow? name it', hint: 'thredd list shows all of them' })
  const environment = await loadEnvironment(environmentOptions(invocation, root))
  const options = {
    environment,
    inputs: invocation.pairs('input'),
    isOnTwin: forgets(environment),
    now: () => new Date(),
    selection: {
      flows: invocation.words,
      workflow: invocation.text('workflow'),
      tags: listed(invocation, 'tag'),
      safety: listed(invocation, 'safety'),
      effects: listed(invocation, 'effect'),
      folders: [here, root],
    },
  }
  const page = {
    write: (text: string) => void process.stdout.write(text),
    stream: process.stdout,
    near: (text: string) => text.replaceAll(`${here}${sep}`, ''),
  }
  const asJson = (value: unknown) => page.write(`${JSON.stringify(value, null, 2)}\n`)
  if (invocation.command === 'show') {
    const details = await detailsOf(options)
    if (invocation.has('json')) asJson(details)
    else writeDetails(details, page)
  } else {
    const overview = await overviewOf(options)
    if (invocation.has('json')) asJson(overview)
    else writeList(overview, page)
  }
  return 0
}

function environmentOptions(invocation: Invocation, root: string): RunOptions['environment'] {
  return {
    env: invocation.text('env') ?? (process.env.THREDD_ENV || 'mock'),
    folder: process.cwd(),
    // A folder of one's own wins; the environments of the repository stand in where it has none of that name.
    fallback: root,
    variables: process.env,
    servers: invocation.pairs('server'),
  }
}

/** Ctrl-C once ends the work in good order; twice ends the process. */
async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, interrupt)
  try {
    return await work(stop.signal)
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
  }
}

/** A person at a terminal types what a script must say with --confirm. Ctrl-C and Ctrl-D type nothing. */
async function askClientId(
  { environment, clientId, changes }: Question,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { createInterface } = await import('node:readline/promises')
  const { harmless } = await import('./console.ts')
  const what = changes.map(({ workflowId, effect }) => `"${workflowId}" (${effect})`).join(', ')
  process.stderr.write(`${what} would change a live client on "${environment}":\n  ${harmless(clientId)}\n`)
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const closed = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)))
  try {
    const typed = lines.question('Type its client id to go on: ', { signal }).catch(() => undefined)
    return (await Promise.race([typed, closed]))?.trim()
  } finally {
    lines.close()
  }
}

/** An event as other programs may have it: the plan behind it is ours alone. */
function streamed(event: RunEvent | PreparedEvent | GivenEvent): StreamEvent {
  switch (event.type) {
    case 'prepared': {
      const { environment, counterparty, warnings, given } = event
      const { name, class: kind } = environment
      return { type: 'run-started', environment: name, class: kind, counterparty, warnings, given }
    }
    case 'given': {
      const { setUp, ...given } = event.given
      return { type: event.type, given: { ...given, setUp: setUp?.map(({ workflowId }) => workflowId) } }
    }
    case 'workflow-started': {
      const { workflow, steps } = event.planned
      return { type: event.type, workflowId: workflow.workflowId, steps: steps.map(({ step }) => step.stepId) }
    }
    case 'workflow-finished': {
      const { steps: _, ...workflow } = event.workflow
      return { type: event.type, workflow }
    }
    default:
      return event
  }
}

function exitOf(error: ToolError): number {
  return worstExit(error.problems.map(({ code }) => CODES[code].exit))
}

/** What the twin's own tables have to say under its help. */
async function appendixOf(topic: Invocation['topic']): Promise<readonly Section[]> {
  return topic === 'mock' ? (await import('./mock.ts')).mockSections() : []
}

async function performMock(invocation: Invocation): Promise<number> {
  const { serveMock } = await import('./mock.ts')
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())
  return await serveMock(
    {
      folder: invocation.text('out') ?? '.twin',
      host: invocation.text('host'),
      port: invocation.text('port'),
      urls: invocation.text('urls'),
      switches: invocation.texts('switch'),
      switchesFile: invocation.text('switches'),
      faults: invocation.texts('fault'),
      seedFile: invocation.text('seed'),
      stateFile: invocation.text('state'),
      adminPort: invocation.text('admin'),
    },
    { write: (text) => process.stdout.write(text), signal: stop.signal },
  )
}

async function performVaultCommand(
  invocation: Invocation,
  { root, version }: { root: string; version: string },
): Promise<number> {
  const { performVault } = await import('./vault.ts')
  const { loadEnvironment } = await import('../../environment/index.ts')
  const { openVaultOf } = await import('../../vault/index.ts')
  const environment = await loadEnvironment(environmentOptions(invocation, root))
  await using stack = new AsyncDisposableStack()
  const reader = !invocation.has('online')
    ? undefined
    : stack.use(
        await (await import('../../run/index.ts')).openReader(environment, { version, proxy: proxyOf(process.env) }),
      )
  const clientId = environment.setting('client_id')?.value
  return await performVault(invocation.words, invocation, {
    write: (text) => process.stdout.write(text),
    warn: (text) => process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    folder: process.cwd(),
    now: () => new Date(),
    runId: 'vault',
    open: async ({ makeKey }) => ({
      ...(await openVaultOf(environment, { now: () => new Date(), makeKey })),
      environment: environment.name,
      clientId: typeof clientId === 'string' ? clientId : undefined,
    }),
    passphrase: (question) => readPassphrase(question, invocation.text('passphrase-file')),
    probe: reader?.probe,
  })
}

async function performTokenCommand(
  invocation: Invocation,
  { root, version }: { root: string; version: string },
): Promise<number> {
  const { performToken } = await import('./token.ts')
  const { loadEnvironment } = await import('../../environment/index.ts')
  const { openVaultOf } = await import('../../vault/index.ts')
  const { forgets, run } = await import('../../run/index.ts')
  const { transportThumbprint } = await import('../../run/survey.ts')
  const environment = await loadEnvironment(environmentOptions(invocation, root))
  const write = (text: string) => void process.stderr.write(text)
  const clientId = environment.setting('client_id')?.value
  return await untilStopped(async (signal) => {
    const options = runOptions(invocation, { root, version, signal })
    return await performToken(invocation, {
      write: (text) => process.stdout.write(text),
      warn: write,
      now: () => new Date(),
      clientId: typeof clientId === 'string' ? clientId : undefined,
      thumbprint: forgets(environment) ? undefined : await transportThumbprint(environment, new Date()),
      openVault: async () =>
        forgets(environment) ? undefined : (await openVaultOf(environment, { now: () => new Date() })).vault,
      request: async (scope) => {
        const step = scope === undefined ? 'api-token' : 'narrow-token'
        const out = await consoleOn(process.stderr)
        const events: Parameters<Console['show']>[0][] = []
        let body: Uint8Array | undefined
        const { record, file } = await run({
          ...options,
          // The flow of the package, whatever the current folder calls so.
          flows: [join(root, 'flows', 'access-token.arazzo.yaml')],
          step,
          inputs: new Map(scope === undefined ? [] : [['scope', scope]]),
          registeredElsewhere: true,
          onAnswer: (answer) => {
            if (answer.step === step) body = answer.body
          },
          onEvent: (event) => events.push(event),
        })
        // A token is what was asked for; the course of the run matters where something is wrong with it.
        if (record.exitCode !== 0) {
          for (const event of events) out.show(event)
          out.summary(record, relative(process.cwd(), file))
        }
        return { body, exitCode: record.exitCode }
      },
    })
  })
}

async function performCleanupCommand(
  invocation: Invocation,
  { root, version, out }: { root: string; version: string; out: Console },
): Promise<number> {
  const { performCleanup } = await import('./cleanup.ts')
  const { loadEnvironment } = await import('../../environment/index.ts')
  const { openVaultOf } = await import('../../vault/index.ts')
  const { forgets, openReader, run } = await import('../../run/index.ts')
  const environment = await loadEnvironment(environmentOptions(invocation, root))
  return await untilStopped(async (signal) => {
    const options = runOptions(invocation, { root, version, signal })
    return await performCleanup(invocation, {
      write: (text) => process.stdout.write(text),
      environment: environment.name,
      forgets: forgets(environment),
      openVault: async () =>
        existsSync(environment.vault.folder)
          ? (await openVaultOf(environment, { now: () => new Date(), makeKey: false })).vault
          : undefined,
      openReader: () => openReader(environment, { version, proxy: proxyOf(process.env) }),
      remove: async (clientId, confirm) => {
        const { record, file } = await run({
          ...options,
          // The flow of the package, whatever the current folder calls so.
          flows: [join(root, 'flows', 'delete-registration.arazzo.yaml')],
          environment: { ...options.environment, variables: { ...process.env, THREDD_CLIENT_ID: clientId } },
          confirm,
          onEvent: invocation.has('json') ? undefined : (event) => out.show(event),
        })
        if (!invocation.has('json')) out.summary(record, relative(process.cwd(), file))
        return record.exitCode
      },
    })
  })
}

/** From the first line of a file, else from a person, without echo. */
async function readPassphrase(question: string, file: string | undefined): Promise<Secret> {
  const { Secret } = await import('../../secret/index.ts')
  if (file !== undefined) return new Secret(readFileSync(file, 'utf8').split(/\r?\n/)[0] ?? '', 'passphrase')
  if (!process.stdin.isTTY) {
    fail({ code: 'USAGE', message: 'no terminal to ask for the passphrase', expected: '--passphrase-file <file>' })
  }
  const { createInterface } = await import('node:readline/promises')
  const { Writable } = await import('node:stream')
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return new Secret(await lines.question(''), 'passphrase')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** The texts that problems point into, for the line and the caret. Environment files may hold secrets and are left out. */
function sources(error: ToolError): ReadonlyMap<string, string> {
  const files = new Set(
    error.problems.flatMap(({ at }) => (at !== undefined && /\.(?:ya?ml|json)$/.test(at.file) ? [at.file] : [])),
  )
  return new Map([...files].filter((file) => existsSync(file)).map((file) => [file, readFileSync(file, 'utf8')]))
}
