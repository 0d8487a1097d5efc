/**
 * `thredd mock`: the twin as a server for any client. Writes the files that a client needs into a folder, prints the address it
 * listens on, and prints one line a request until Ctrl-C. Beside ../twin.ts the only import of mocks/ in src.
 */
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import {
  type CatalogueEntry,
  describe,
  ensurePki,
  FAULTS,
  faultsOf,
  HOSTS,
  type LogEntry,
  type RunningAdmin,
  type RunningTwin,
  readSeed,
  readSwitches,
  type SeededApplication,
  SWITCHES,
  type Switches,
  startAdmin,
  startTwin,
  switchesOf,
} from '../../../mocks/index.ts'
import { fail, nearest } from '../../record/errors.ts'
import { oneLine } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { readTextFile } from '../../record/regular-file.ts'
import { replaceFile } from '../../record/replace-file.ts'
import type { Invocation, Program, Section } from './command.ts'
import { CURL_FILE, DOCUMENTED, POSTMAN_FILE, writeClientFiles } from './mock-files.ts'
import { untilStopped } from './run-options.ts'

export interface MockOptions {
  /** where CA, certificates, keys and settings are written; made if missing */
  readonly folder: string
  /** the address to listen on; default 127.0.0.1 */
  readonly host?: string | undefined
  /** default 8443, with documented names 443; "0" takes any free port */
  readonly port?: string | undefined
  /** "loopback" (default) or "documented" */
  readonly urls?: string | undefined
  /** `name=value` each */
  readonly switches?: readonly string[]
  /** JSON, or lines of `name=value` */
  readonly switchesFile?: string | undefined
  /** `name[:operation][=value]` each */
  readonly faults?: readonly string[]
  /** further applications, with certificates and an env file of their own */
  readonly seedFile?: string | undefined
  /** the file that keeps the registrations over a restart; without it they are kept in memory only */
  readonly stateFile?: string | undefined
  /** opens the admin port; "0" takes any free one */
  readonly adminPort?: string | undefined
}

interface MockIo {
  write(text: string): void
  /** aborted to stop the server */
  readonly signal: AbortSignal
}

export async function performMock(invocation: Invocation, program: Program): Promise<number> {
  const [word, name, ...further] = invocation.words
  if (word === 'compare' && name !== undefined && further.length === 0) {
    const { performCompare } = await import('./mock-compare.ts')
    return await performCompare(name, switchesIn(invocation.text('switches'), invocation.texts('switch')), program)
  }
  if (word !== undefined) {
    fail({
      code: 'USAGE',
      message:
        word === 'compare' && name === undefined
          ? '"thredd mock compare" needs the run that it shall compare'
          : `"thredd mock ${invocation.words.join(' ')}" is no command`,
      expected: 'thredd mock, or thredd mock compare <run>',
      hint: 'runs are listed by their folders in reports; "latest" is the newest',
    })
  }
  const { write } = program
  const options: MockOptions = {
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
  }
  return await untilStopped((signal) => serveMock(options, { write, signal }))
}

/** The twin's switches and faults for `thredd mock --help`. */
export function mockSections(): readonly Section[] {
  return [
    {
      title: 'Switches (default in brackets)',
      rows: Object.entries(SWITCHES).map(([name, row]) => [
        `${name}=${describe(row.values).replaceAll('"', '')}`,
        `${row.meaning} [${row.default === '' ? 'none' : row.default}]`,
      ]),
    },
    {
      title: 'Faults, each for an operation or for all (default value in brackets)',
      rows: Object.entries<CatalogueEntry>(FAULTS).map(([name, { what, value }]) => [
        value === undefined ? name : `${name}=…`,
        value === undefined
          ? what
          : `${what}; value: ${value.about}${value.default === undefined ? '' : ` [${value.default}]`}`,
      ]),
    },
  ]
}

/** Serves until the signal; the exit code. Throws ToolError USAGE for an option and TWIN for a start that fails. */
export async function serveMock(options: MockOptions, io: MockIo): Promise<number> {
  const folder = resolve(options.folder)
  const urls = oneOf('--urls', options.urls ?? 'loopback', ['loopback', 'documented'])
  const host = options.host ?? '127.0.0.1'
  const port = portOf('--port', options.port ?? (urls === 'loopback' ? '8443' : '443'))
  if (urls === 'documented' && port === 0) {
    fail({ code: 'USAGE', message: '"--port 0" goes with "--urls loopback" only', hint: 'name a port, or leave 443' })
  }
  const adminPort = options.adminPort === undefined ? undefined : portOf('--admin', options.adminPort)
  const switches = switchesIn(options.switchesFile, options.switches)
  const seed = readFrom('--seed', options.seedFile, readSeed)
  const applications = [DOCUMENTED, ...(seed?.applications ?? [])]

  await using stack = new AsyncDisposableStack()
  const { running, pki } = await started(async () => {
    await mkdir(folder, { recursive: true })
    // Keys stay out of version control wherever the folder is put.
    await replaceFile(join(folder, '.gitignore'), '*\n', 0o644)
    const names = isIP(host) === 0 || !isAnyOrLoopback(host) ? [...HOSTS, host] : HOSTS
    const pki = await ensurePki(join(folder, 'pki'), { hosts: names, applications: seed?.applications ?? [] })
    const running = stack.use(
      await startTwin({
        pki,
        seed,
        switches,
        host,
        port,
        urls,
        // Addresses as documented, but for the port where it is not the usual one.
        publish: port === 443 ? String : (url) => withPort(url, port),
        stateFile: options.stateFile,
        onRequest: (entry) => io.write(`${requestLine(entry)}\n`),
      }),
    )
    return { running, pki }
  })
  const { operations } = running.twin
  const named = [...Object.keys(FAULTS), ...operations.keys()]
  const faults = asUsage(named, () => (options.faults ?? []).flatMap((text) => faultsOf(text, operations)))
  for (const fault of faults) running.twin.use(...fault.handlers(running.twin))
  const admin =
    adminPort === undefined
      ? undefined
      : stack.use(await started(() => startAdmin(running.twin, { port: adminPort, onChange: () => running.keep() })))
  await writeClientFiles(folder, running, pki, applications)
  io.write(`${greeting({ folder, running, urls, applications, admin, faults: faults.map(({ what }) => what) })}\n`)
  await stopped(io.signal)
  io.write('stopped\n')
  return 0
}

function switchesIn(file: string | undefined, settings: readonly string[] = []): Partial<Switches> {
  return {
    ...readFrom('--switches', file, readSwitches),
    ...asUsage(Object.keys(SWITCHES), () => switchesOf(settings)),
  }
}

/** A request as one line: time, status, request, certificate and the twin's decision. A log entry holds no secret. */
export function requestLine({ time, method, url, certificate, status, decision }: LogEntry): string {
  const common = /CN=([^,]+)/.exec(certificate)?.[1]
  const who = common === undefined ? 'no certificate' : `CN=${common}`
  return oneLine(`${time.slice(11, 19)} ${status === 0 ? '---' : status} ${method} ${url} [${who}] ${decision}`)
}

function greeting({
  folder,
  running,
  urls,
  applications,
  admin,
  faults,
}: {
  folder: string
  running: RunningTwin
  urls: 'loopback' | 'documented'
  applications: readonly SeededApplication[]
  admin: RunningAdmin | undefined
  faults: readonly string[]
}): string {
  const lines = [`the offline twin listens on ${running.origin}`, `certificates, keys and settings are in ${folder}`]
  if (urls === 'loopback') {
    for (const { name } of applications) {
      const whose = name === DOCUMENTED.name ? '' : ` as "${name}"`
      const command = commandsFor(['--env', join(folder, `.env.${name}`)])
      lines.push(`run flows against it${whose} with: ${command('register')}`)
    }
  } else lines.push('its names are the documented ones; add this line to /etc/hosts:', `127.0.0.1 ${HOSTS.join(' ')}`)
  lines.push(`the documented calls with curl: ${join(folder, CURL_FILE)}; for Postman: ${join(folder, POSTMAN_FILE)}`)
  for (const fault of faults) lines.push(`fault: ${fault}`)
  if (admin !== undefined) lines.push(`admin: ${admin.origin} with "Authorization: Bearer ${admin.token}"`)
  return lines.map(oneLine).join('\n')
}

function withPort(url: string, port: number): string {
  return url.replace(/^https:\/\/[^/:]+(?=\/|$)/, (origin) => `${origin}:${port}`)
}

function isAnyOrLoopback(host: string): boolean {
  return ['127.0.0.1', '::1', '0.0.0.0', '::'].includes(host)
}

function oneOf<const T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  return fail({
    code: 'USAGE',
    message: `"${flag} ${value}" cannot be`,
    expected: allowed.join(' or '),
    found: `"${value}"`,
  })
}

function portOf(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  return fail({
    code: 'USAGE',
    message: `flag "${flag}" needs a port`,
    expected: 'a number from 0 to 65535',
    found: `"${text}"`,
  })
}

/** Turns an error of the twin's readers into ToolError USAGE with the same message; `known` is what they may be given. */
function asUsage<T>(known: readonly string[], read: () => T): T {
  try {
    return read()
  } catch (error) {
    const message = wordsOf(error)
    const meant = nearest(/^unknown \w+ "(.*?)"/.exec(message)?.[1] ?? '', known)
    return fail(
      { code: 'USAGE', message, hint: meant === undefined ? 'see docs/twin.md' : `did you mean "${meant}"?` },
      error,
    )
  }
}

function readFrom<T>(flag: string, file: string | undefined, read: (text: string) => T): T | undefined {
  if (file === undefined) return undefined
  try {
    return read(readTextFile(file))
  } catch (error) {
    return fail({ code: 'USAGE', message: `"${flag} ${file}": ${wordsOf(error)}`, hint: 'see docs/twin.md' }, error)
  }
}

async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const hint =
      code === 'EADDRINUSE'
        ? 'another process has the port; choose another with --port, or 0 for any free one'
        : code === 'EACCES'
          ? 'the port or the folder needs rights you do not have; choose another'
          : undefined
    return fail({ code: 'TWIN', message: `the offline twin could not start: ${wordsOf(error)}`, hint }, error)
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
