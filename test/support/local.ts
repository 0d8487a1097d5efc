/** Runs of flows written for a test, in a folder of their own, against servers on this machine that a test CA certifies. */
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { createAuthority } from '../../mocks/authority.ts'
import type { RunEvent } from '../../src/execute/index.ts'
import { Console } from '../../src/front/cli/console.ts'
import type { RunRecord, StepRecord } from '../../src/record/index.ts'
import { type GivenEvent, type PreparedEvent, resolve, run } from '../../src/run/index.ts'
import { ROOT, recordIn, workflowOf } from './run.ts'

const DAY_MS = 86_400_000

/** A CA with a server certificate for localhost and a client certificate for identity "transport". */
export interface LocalPki {
  readonly ca: string
  readonly server: { readonly cert: string; readonly key: string }
  readonly client: { readonly certificate: string; readonly key: string }
}

export async function makeLocalPki({ clientDays = 100 }: { readonly clientDays?: number } = {}): Promise<LocalPki> {
  const at = (days: number) => new Date(Date.now() + days * DAY_MS)
  const authority = await createAuthority('CN=Test CA', at(-1), at(400))
  const dates = { notBefore: at(-1), notAfter: at(10) }
  const [server, client] = await Promise.all([
    authority.issue({ subject: 'CN=localhost', use: 'server', ...dates, hosts: ['localhost'] }),
    authority.issue({ subject: 'C=GB, O=thredd, CN=client', use: 'client', ...dates, notAfter: at(clientDays) }),
  ])
  return { ca: authority.certificate, server: { cert: server.certificate, key: server.key }, client }
}

/** The files of a folder in which `flow` runs against the server on `port`. */
export function localFiles(
  pki: LocalPki,
  { port, steps, settings = {} }: Pick<LocalRunOptions, 'port' | 'steps' | 'settings'>,
): Record<string, string> {
  const all = {
    ENV_CLASS: 'mock',
    SERVER_CLIENTS: `https://localhost:${port}`,
    CA_FILE: 'ca.crt',
    TRANSPORT_CERT_FILE: 'client.crt',
    TRANSPORT_KEY_FILE: 'client.key',
    ...settings,
  }
  const flow = {
    arazzo: '1.1.0',
    info: { title: 'Own', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    workflows: [
      {
        workflowId: 'own',
        summary: 'Own flow',
        'x-dcr': { effect: 'register' },
        // What a strict foreign runner refuses, since our extensions are in use.
        inputs: { type: 'object', properties: { extended: { type: 'string', 'x-dcr': { when: '1 == 2' } } } },
        steps,
      },
    ],
  }
  return {
    '.env.mock': Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    'flows/own.arazzo.yaml': JSON.stringify(flow, null, 2),
    'ca.crt': pki.ca,
    'client.crt': pki.client.certificate,
    'client.key': pki.client.key,
  }
}

export interface LocalRunOptions {
  readonly port: number
  readonly steps: readonly object[]
  readonly settings?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly onEvent?: (event: RunEvent | PreparedEvent | GivenEvent) => void
}

export interface LocalRun {
  readonly record: RunRecord
  /** the steps of the one workflow */
  readonly steps: readonly StepRecord[]
  readonly events: readonly (RunEvent | PreparedEvent | GivenEvent)[]
  readonly screen: string
}

export async function runLocally(pki: LocalPki, options: LocalRunOptions): Promise<LocalRun> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-local-')))
  const events: (RunEvent | PreparedEvent | GivenEvent)[] = []
  let screen = ''
  const console = new Console({ stream: new PassThrough(), write: (text) => (screen += text) })
  try {
    await writeLocalFiles(folder, localFiles(pki, options))
    const request = await resolve({
      selection: { flows: ['own'], folders: [folder] },
      environment: { env: 'mock', folder, variables: {} },
    })
    const { head, file } = await run(request, {
      out: join(folder, 'reports'),
      version: '0.0.0-test',
      formats: [],
      signal: options.signal,
      onEvent: (event) => {
        events.push(event)
        console.show(event)
        options.onEvent?.(event)
      },
    })
    console.summary(head, file)
    const record = recordIn(file)
    return { record, steps: workflowOf(record).steps, events, screen }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Also the description that the flows call: test/golden/flow/clients.openapi.yaml. */
export async function writeLocalFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(folder, 'flows'), { recursive: true })
  await cp(join(ROOT, 'test/golden/flow/clients.openapi.yaml'), join(folder, 'flows/clients.openapi.yaml'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}
