/**
 * The engine on documents of other people, and beside the runner of other people. Every Arazzo document below the folder is
 * judged as Arazzo judges it, and what has its API descriptions there runs against a server made from them; without a folder
 * the flows of this repository are judged, and arazzo/documents runs. Always: the cases of arazzo/cases.ts with both runners. `npm ci --prefix test/outside` comes first for the second.
 */
import { execFile } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isMap, isSeq, parseDocument } from 'yaml'
import { loadEnvironment } from '../../src/environment/index.ts'
import { execute } from '../../src/execute/index.ts'
import { readFlow } from '../../src/flow/index.ts'
import { lint } from '../../src/flow/lint/index.ts'
import { plannedEffect } from '../../src/plan/effect.ts'
import { plan } from '../../src/plan/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import type { WorkflowRecord } from '../../src/record/index.ts'
import { Redactor, Secret } from '../../src/secret/index.ts'
import type { Answer, Outgoing } from '../../src/transport/transport.ts'
import { CASES, documentOf, PETS } from './arazzo/cases.ts'
import { made, madeFrom } from './arazzo/made.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const OUTSIDE = join(ROOT, 'test', 'outside')
/** Documents that are run where no folder is given; each workflow says by x-outcome what comes of it. */
const OWN = join(ROOT, 'test', 'prove', 'arazzo', 'documents')
const HOST = 'https://api.example'

/** Requests by the key of /busy. */
const seen = new Map<string, number>()
const say = (line: string) => process.stdout.write(`${line}\n`)
process.exitCode = await prove(process.argv[2])

async function prove(given: string | undefined): Promise<number> {
  const work = await mkdtemp(join(tmpdir(), 'thredd-arazzo-'))
  try {
    const folder = given === undefined ? join(ROOT, 'flows') : resolve(given)
    const wrong = await judged(folder, given === undefined)
    const failed = await ran(given === undefined ? OWN : folder, work)
    const differing = await beside(work)
    say(`${wrong} misjudged, ${failed} with faults of the engine, ${differing} unexplained differences`)
    return wrong + failed + differing === 0 ? 0 : 1
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** A document below a folder "fail" must be refused, any other accepted, unless by the name of what no version runs. */
async function judged(folder: string, isOurs: boolean): Promise<number> {
  const candidates = globSync('**/*.{yaml,yml,json}', { cwd: folder }).map((name) => join(folder, name))
  const files = []
  for (const file of candidates.sort())
    if (
      /^["']?arazzo["']?\s*:|\bfail\b/m.test(
        await readFile(file, 'utf8').then((text) => (file.includes(`${sep}fail${sep}`) ? 'fail' : text)),
      )
    )
      files.push(file)
  let wrong = 0
  const byName: string[] = []
  for (const file of files) {
    const { findings } = await lint({
      paths: [file],
      folders: [folder],
      structureOnly: !isOurs,
      effectOf: plannedEffect,
    })
    const errors = findings.filter(({ level }) => level === 'error')
    const mustFail = file.includes(`${sep}fail${sep}`)
    const named = errors.length > 0 && errors.every(({ rule }) => rule === 'asyncapi' || rule === 'xpath')
    if (named && !mustFail) byName.push(basename(file))
    if (mustFail ? errors.length > 0 : errors.length === 0 || named) continue
    wrong += 1
    say(`MISJUDGED ${file.slice(folder.length + 1)}: ${errors[0]?.message ?? 'accepted'}`)
  }
  say(`judged ${files.length} documents; refused by name, AsyncAPI or XPath: ${byName.length}`)
  return wrong
}

/** Runs what can be read. A document that is refused is named with its reason, and is no success. */
async function ran(folder: string, work: string): Promise<number> {
  let faults = 0
  for (const file of globSync('**/*.{yaml,yml}', { cwd: folder }).sort()) {
    if (file.includes(`fail${sep}`)) continue
    const text = await readFile(join(folder, file), 'utf8')
    if (!/^arazzo\s*:/m.test(text)) continue
    const place = await mkdtemp(join(work, 'run-'))
    await cp(dirname(join(folder, file)), place, { recursive: true })
    const { written, sources, outcomes } = adapted(text, place)
    if (sources.length === 0 || !sources.every(({ url }) => existsSync(join(place, url)))) continue
    await writeFile(join(place, 'adapted.arazzo.yaml'), written)
    try {
      const refusals: string[] = []
      const answer = await madeFrom(
        sources.map(({ url }) => join(place, url)),
        (reason) => refusals.push(reason),
      )
      const flow = await readFlow(join(place, 'adapted.arazzo.yaml'))
      const inputs = new Map(
        flow.workflows.flatMap(({ inputs }) =>
          inputs.map((input): [string, string] => {
            const value = made({}, input.schema, 0)
            return [input.name, typeof value === 'string' ? value : JSON.stringify(value)]
          }),
        ),
      )
      const names = sources.map(({ name }) => name)
      for (const record of await perform(join(place, 'adapted.arazzo.yaml'), {
        names,
        inputs,
        answer: async (request) => answer(request),
      })) {
        const wrong = record.steps.flatMap(({ stepId, checks }) =>
          checks
            .filter(({ id, status }) => status === 'fail' && !/^criterion|^cases|^workflow/.test(id))
            .map(({ id }) => `${stepId}: ${id}`),
        )
        const expected = outcomes.get(record.workflowId)
        // A document that says what comes of it has no mistakes, so each request of it that the server refuses is ours.
        if (expected !== undefined) wrong.push(...refusals.splice(0))
        if (expected !== undefined && expected !== record.status) wrong.push(`${record.status}, expected ${expected}`)
        // A made answer is documented by its making, so a check against the description that fails is a fault of ours.
        faults += wrong.length
        const course = record.steps
          .map(({ stepId, status, checks }) => {
            const failed = checks.filter((check) => check.status === 'fail').map(({ id }) => id)
            return `${stepId} ${status}${failed.length === 0 ? '' : ` (${failed.join(', ')})`}`
          })
          .join(', ')
        say(
          `${wrong.length > 0 ? 'FAULT' : 'ran'} ${basename(file)} / ${record.workflowId}: ${course}${wrong.length > 0 ? ` (${wrong.join('; ')})` : ''}`,
        )
      }
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      faults += outcomes.size
      say(`refused ${basename(file)}: ${error.problems.map(({ message }) => message).join('; ')}`)
    }
  }
  return faults
}

/** With an effect on each workflow, since none runs without, and with descriptions at a URL taken from beside the document. */
function adapted(text: string, place: string): Adapted {
  const document = parseDocument(text)
  const outcomes = new Map<string, string>()
  const sources: { name: string; url: string }[] = []
  const list = document.get('sourceDescriptions')
  if (isSeq(list)) {
    for (const source of list.items) {
      if (!isMap(source)) continue
      const url = String(source.get('url'))
      const beside = basename(new URL(url, 'file:///').pathname)
      if (/^https?:/.test(url) && existsSync(join(place, beside))) source.set('url', beside)
      sources.push({ name: String(source.get('name')), url: String(source.get('url')) })
    }
  }
  const workflows = document.get('workflows')
  if (isSeq(workflows)) {
    for (const workflow of workflows.items) {
      if (!isMap(workflow)) continue
      workflow.set('x-dcr', document.createNode({ effect: 'delete' }))
      const outcome = workflow.get('x-outcome')
      if (typeof outcome === 'string') outcomes.set(String(workflow.get('workflowId')), outcome)
    }
  }
  return { written: String(document), sources, outcomes }
}

interface Adapted {
  readonly written: string
  readonly sources: readonly { readonly name: string; readonly url: string }[]
  /** passed or failed by workflowId, where the document says it */
  readonly outcomes: ReadonlyMap<string, string>
}

interface Stage {
  readonly names: readonly string[]
  readonly inputs: ReadonlyMap<string, string>
  readonly answer: (request: Outgoing) => Promise<Answer>
}

async function perform(file: string, { names, inputs, answer }: Stage): Promise<readonly WorkflowRecord[]> {
  const folder = dirname(file)
  const servers = names.map((name) => `SERVER_${name.toUpperCase().replaceAll('-', '_')}=${HOST}`)
  await writeFile(
    join(folder, '.env.prove'),
    ['ENV_CLASS=uat', 'CLIENT_ID=one', 'TRANSPORT_CERT_FILE=a', 'TRANSPORT_KEY_FILE=b', ...servers, ''].join('\n'),
  )
  const environment = await loadEnvironment({ env: '.env.prove', folder, variables: {} })
  const flow = await readFlow(file)
  const own = flow.workflows.map((workflow) => ({ flow, workflow }))
  const wanted = own.filter(({ workflow }) => workflow.workflowId === 'main')
  const planned = plan(wanted.length > 0 ? wanted : own, environment, { inputs, registered: false })
  const timing = { startedAt: '2026-01-01T00:00:00.000Z', totalMs: 1 }
  const events = execute(
    planned,
    {
      transport: {
        send: async (request) => ({ kind: 'answered', answer: await answer(request), timing }),
        async [Symbol.asyncDispose]() {},
      },
      redactor: new Redactor(new Uint8Array(32)),
      sign: async () => new Secret('none', 'client_assertion'),
      alter: async () => new Secret('none', 'altered_jwt'),
      vault: {
        manages: async () => false,
        begin: async () => ({ keep: async () => undefined, close: async () => {} }),
        keep: async () => undefined,
        worked: async () => {},
        read: async () => undefined,
      },
      given: async () => undefined,
      userAgent: 'thredd-proof',
      now: () => new Date(),
      clock: () => performance.now(),
      cut: new AbortController().signal,
      wait: async () => {},
    },
    new AbortController().signal,
  )
  const workflows: WorkflowRecord[] = []
  for await (const event of events) if (event.type === 'workflow-finished') workflows.push(event.workflow)
  return workflows
}

/** Each case with both runners against one server. Returns how many outcomes nothing explains. */
async function beside(work: string): Promise<number> {
  const pets = createServer(answerAsPets)
  await new Promise<void>((ready) => pets.listen(0, '127.0.0.1', ready))
  const origin = `http://127.0.0.1:${(pets.address() as AddressInfo).port}`
  try {
    const folder = await mkdtemp(join(work, 'cases-'))
    await writeFile(join(folder, 'pets.openapi.yaml'), PETS(origin))
    const files = new Map(CASES.map((one) => [one.id, join(folder, `${one.id}.arazzo.yaml`)]))
    for (const one of CASES) await writeFile(files.get(one.id) ?? '', documentOf(one))
    const theirs = await theirOutcomes([...files.values()])
    seen.clear()
    let unexplained = 0
    for (const { id, clause, expected, known } of CASES) {
      const file = files.get(id) ?? ''
      const ours = await ourOutcome(file, origin)
      const other = theirs?.[file]
      const explained = other === undefined || (other === expected) === (known === undefined)
      if (ours !== expected) say(`WRONG ${id} (${clause}): ours ${ours}, expected ${expected}`)
      else if (!explained)
        say(
          `DIFFERENT ${id} (${clause}): theirs ${other}, expected ${expected}; ${known === undefined ? 'not listed' : 'listed, and gone'}`,
        )
      else if (known !== undefined && other !== undefined) say(`known ${id} (${clause}): theirs ${other}; ${known}`)
      if (ours !== expected || !explained) unexplained += 1
    }
    say(
      `${CASES.length} cases${theirs === undefined ? '; skipped the other runner: npm ci --prefix test/outside' : ' with both runners'}`,
    )
    return unexplained
  } finally {
    pets.close()
  }
}

async function ourOutcome(file: string, origin: string): Promise<string> {
  const answer = async ({ method, url, headers, body }: Outgoing): Promise<Answer> => {
    const response = await fetch(url.replace(HOST, origin), {
      method,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      ...(body === undefined ? {} : { body }),
    })
    return {
      status: response.status,
      headers: [...response.headers],
      body: new Uint8Array(await response.arrayBuffer()),
    }
  }
  try {
    const records = await perform(file, { names: ['pets'], inputs: new Map(), answer })
    return records.every(({ status }) => status === 'passed') ? 'passed' : 'failed'
  } catch (error) {
    if (error instanceof ToolError) return `refused: ${error.message}`
    throw error
  }
}

async function theirOutcomes(files: readonly string[]): Promise<Readonly<Record<string, string>> | undefined> {
  if (!existsSync(join(OUTSIDE, 'node_modules', '@redocly'))) return undefined
  const { stdout } = await promisify(execFile)(process.execPath, [join(OUTSIDE, 'clients', 'respect.js'), ...files], {
    timeout: 120_000,
    maxBuffer: 16 * 1024 * 1024,
  })
  return JSON.parse(stdout.slice(stdout.indexOf('{'))) as Record<string, string>
}

async function answerAsPets(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search, searchParams } = new URL(request.url ?? '/', 'http://pets')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const json = (value: unknown) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (pathname === '/pet') json({ id: 7, name: 'Rex', tags: ['a', 'b'], owner: null })
  else if (pathname === '/busy') {
    const key = searchParams.get('key') ?? ''
    const count = (seen.get(key) ?? 0) + 1
    seen.set(key, count)
    response.writeHead(count > Number(searchParams.get('failures')) ? 200 : 503).end()
  } else if (pathname === '/echo') {
    const text = Buffer.concat(chunks).toString()
    const isJson = request.headers['content-type']?.startsWith('application/json')
    const type = request.headers['content-type'] ?? ''
    const form = type.startsWith('multipart/')
      ? await new Response(text, { headers: { 'content-type': type } }).formData()
      : []
    const parts = [...form].map(([name, value]) => `${name}=${String(value)}`)
    const body = isJson ? JSON.parse(text || 'null') : null
    json({ query: search, any: request.headers['x-any'], text, parts, body })
  } else response.writeHead(404).end()
}
