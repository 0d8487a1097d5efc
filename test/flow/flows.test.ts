/** Every flow of the repository is conformant on the twin, over mutual TLS and in this process, and the record says how. */
import { createHash, X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import documentedResponse from '../../fixtures/thredd/dcr-response-2024-08.json' with { type: 'json' }
import type { RunRecord, StepRecord } from '../../src/record/index.ts'
import { runRecord } from '../../src/record/schema.ts'
import { shapeOf } from '../../src/record/shape.ts'
import { course, notPassed, ROOT, runOnTwin, stepOf, type TwinRun, workflowOf } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

const ENDING = '.arazzo.yaml'
const FLOWS = readdirSync(join(ROOT, 'flows'))
  .filter((file) => file.endsWith(ENDING))
  .map((file) => basename(file, ENDING))

test.for(FLOWS)('the record of flow %s says the same over TLS and in-process', async (flow) => {
  const start = new Date()
  const fixed = () => {
    let calls = 0
    return {
      now: () => start,
      random: (size: number) => createHash('shake256', { outputLength: size }).update(String(calls++)).digest(),
    }
  }
  await using tls = await runOnTwin({ flows: [flow], kind: 'tls', ...fixed() })
  await using inProcess = await runOnTwin({ flows: [flow], kind: 'in-process', ...fixed() })

  const steps = tls.record.workflows.flatMap((workflow) => workflow.steps)
  expect(steps.flatMap(notPassed)).toEqual([])
  // A step that the taken path does not lead to says so, and one that tidies up; any other would hide something.
  const reasons = steps.flatMap(({ status, because }) => (status === 'passed' ? [] : [because]))
  expect(
    reasons.filter((because = '') => !/^(?:the path taken did not lead here$|nothing to do: )/.test(because)),
  ).toEqual([])
  expect(tls.record).toMatchObject({ counterparty: 'twin', verdict: 'conformant', exitCode: 0 })
  expect(inProcess.record.counterparty).toBe('twin-in-process')
  expect(comparable(inProcess)).toEqual(comparable(tls))
})

test('the application can be registered by two runs in a row, each on a fresh twin', async () => {
  await using first = await runOnTwin()
  await using second = await runOnTwin({ folder: first.folder })

  expect(first.record.verdict).toBe('conformant')
  expect(second.record.verdict).toBe('conformant')
  expect(first.screen).toContain('warning a vault key was made')
  expect(second.screen).not.toContain('a vault key was made')
})

test('a second registration at the same server is refused, and the record shows what the server said', async () => {
  await using first = await runOnTwin()
  await using second = await runOnTwin({ twin: first.twin })

  expect(second.record).toMatchObject({ verdict: 'non-conformant', exitCode: 1 })
  expect(course(second.record).slice(4)).toEqual([
    'software-statement passed',
    'register failed',
    'read-back skipped: step "register" failed',
    'api-token skipped: step "register" failed',
    'cards-call skipped: step "register" failed',
    'metadata skipped: step "register" failed',
  ])
  const { status, body } = stepOf(second.record, 'register').exchanges[0]?.response ?? {}
  expect(status).toBe(400)
  expect(body?.text).toContain('client is already registered')
})

test('the stored record has the published shape and is what the run returned', async () => {
  await using ran = await runOnTwin({ kind: 'tls' })

  const stored: unknown = JSON.parse(await readFile(ran.file, 'utf8'))

  expect(shapeOf(runRecord, stored)).toEqual({ ok: true, value: stored })
  expect(stored).toEqual(JSON.parse(JSON.stringify(ran.record)))
})

test('the record holds the whole registration answer, all 67 members in documented order, secrets as fingerprints', async () => {
  await using ran = await runOnTwin({ kind: 'tls' })

  const body: unknown = JSON.parse(stepOf(ran.record, 'register').exchanges[0]?.response?.body.text ?? '')

  expect(Object.keys(body as object)).toEqual(Object.keys(documentedResponse))
  expect(Object.keys(body as object)).toHaveLength(67)
  expect(body).toMatchObject({
    client_id: documentedResponse.client_id,
    client_secret: expect.stringMatching(/^\[client_secret#[0-9a-f]{8}\]$/),
    hashed_secret: expect.stringMatching(/^\[hashed_secret#[0-9a-f]{8}\]$/),
    registration_access_token: expect.stringMatching(/^\[registration_access_token#[0-9a-f]{8}\]$/),
    // The claims of a JWT are worth reading; without its signature it is worth nothing.
    software_statement: expect.stringMatching(/^eyJ[\w-]+\.eyJ[\w-]+\.\[\w+#[0-9a-f]{8}\]$/),
  })
})

test('the same secret has the same fingerprint wherever it occurs in one record, and another one in the next', async () => {
  await using first = await runOnTwin()
  await using second = await runOnTwin()

  const fingerprints = ({ record }: { record: RunRecord }) => {
    const issued = /\[registration_access_token#\w+\]/.exec(
      stepOf(record, 'register').exchanges[0]?.response?.body.text ?? '',
    )
    const used = stepOf(record, 'read-back').exchanges[0]?.request.headers.find(([name]) => name === 'authorization')
    return { issued: issued?.[0], used: used?.[1] }
  }

  expect(fingerprints(first).used).toBe(`Bearer ${fingerprints(first).issued}`)
  expect(fingerprints(second).issued).not.toBe(fingerprints(first).issued)
})

test('the record shows requested and granted scopes', async () => {
  await using ran = await runOnTwin()

  const { scopes } = documentedRequest
  expect(stepOf(ran.record, 'register').scopes).toEqual({
    requested: scopes,
    granted: scopes,
    missing: [],
    unrequested: [],
  })
  expect(ran.screen).toContain(`scopes: ${scopes.length} requested, ${scopes.length} granted`)
})

test('over TLS every exchange names protocol, cipher, server and the configured certificate', async () => {
  await using ran = await runOnTwin({ kind: 'tls' })
  const pki = await sharedPki()
  const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()

  for (const { stepId, exchanges, workflowId } of workflowOf(ran.record).steps) {
    if (workflowId !== undefined) continue
    expect(exchanges, stepId).toHaveLength(1)
    expect(exchanges[0], stepId).toMatchObject({
      sent: 'yes',
      tls: {
        protocol: 'TLSv1.3',
        cipher: expect.stringMatching(/^TLS_/),
        server: { sha256: fingerprint(pki.server.certificate), subject: 'C=GB, O=Offline Twin, CN=localhost' },
        configured: { identity: 'transport', sha256: fingerprint(pki.identities.transport.certificate) },
      },
    })
  }
  expect(ran.record.identities).toMatchObject([
    { name: 'transport', sha256: fingerprint(pki.identities.transport.certificate) },
  ])
})

test('in-process no exchange claims TLS', async () => {
  await using ran = await runOnTwin()

  const exchanges = workflowOf(ran.record).steps.flatMap((step) => step.exchanges)
  expect(exchanges.filter(({ tls }) => tls !== undefined)).toEqual([])
})

test('"latest" in the reports folder leads to the newest run', async () => {
  await using first = await runOnTwin()
  const before = await readlink(join(first.reports, 'latest'))
  await using second = await runOnTwin({ folder: first.folder })
  const after = await readlink(join(first.reports, 'latest'))

  expect(join(first.reports, before, 'record.json')).toBe(first.file)
  expect(join(first.reports, after, 'record.json')).toBe(second.file)
  const latest = JSON.parse(await readFile(join(first.reports, 'latest', 'record.json'), 'utf8')) as RunRecord
  expect(latest.runId).toBe(second.record.runId)
})

test('a body is recorded as it was sent: JSON that is broken on purpose, a form with a repeated member', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-flow-'))
  try {
    const flow = join(folder, 'broken-body.arazzo.yaml')
    await writeFile(
      flow,
      `arazzo: 1.1.0
info: { title: A broken body, version: 1.0.0 }
sourceDescriptions:
  - { name: authorization, url: '${join(ROOT, 'flows/apis/authorization.openapi.yaml')}', type: openapi }
workflows:
  - workflowId: broken-body
    x-dcr: { effect: register }
    steps:
      - stepId: register
        operationId: $sourceDescriptions.authorization.registerClient
        requestBody: { contentType: application/json, payload: '{"scopes": ' }
        successCriteria: [{ condition: $statusCode == 400 }]
      - stepId: revoke
        operationId: $sourceDescriptions.authorization.revoke
        requestBody:
          contentType: application/x-www-form-urlencoded
          payload: { token: none, client_assertion_type: none, client_assertion: none, resource: [one, two] }
        successCriteria: [{ condition: $statusCode == 401 }]
`,
    )
    await using ran = await runOnTwin({ flows: [flow] })

    expect(stepOf(ran.record, 'register').exchanges[0]?.request.body).toMatchObject({ bytes: 11, text: '{"scopes": ' })
    const form = stepOf(ran.record, 'revoke').exchanges[0]?.request.body.text ?? ''
    expect(JSON.parse(form)).toMatchObject({
      token: expect.stringMatching(/^\[token#[0-9a-f]{8}\]$/),
      resource: ['one', 'two'],
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('size and hash of a recorded body are those of the bytes on the wire, with no hash where anything was hidden', async () => {
  await using ran = await runOnTwin({ kind: 'tls' })

  const recorded = workflowOf(ran.record).steps.flatMap(({ exchanges }) =>
    exchanges.flatMap(({ request, response }) => [request.body, response?.body]),
  )
  const sent = ran.traffic.flatMap(({ requestBody, responseBody }) => [requestBody, responseBody])
  const isHidden = (index: number) => /\[[\w-]+#[0-9a-f]{8}\]/.test(recorded[index]?.text ?? '')
  expect(recorded.map(factsOfRecord)).toEqual(
    sent.map(factsOf).map((facts, index) => (isHidden(index) ? { ...facts, sha256: undefined } : facts)),
  )
  const hashed = recorded.filter((body) => body?.sha256 !== undefined).length
  expect([hashed > 0, recorded.some((_, index) => isHidden(index))]).toEqual([true, true])
})

test('a registration is kept in the vault before the step is reported', async () => {
  await using ran = await runOnTwin()

  const order = ran.events.flatMap((event) => {
    if (event.type === 'registration-kept') return [`kept by ${event.stepId}`]
    return event.type === 'step-finished' ? [event.step.stepId] : []
  })
  expect(order.slice(5, 8)).toEqual(['kept by register', 'register', 'read-back'])
})

/**
 * What two runs must agree on: not times, the run's own ids, the evidence of TLS, the headers of the connection, and
 * what a fresh signature changes. Fingerprints are numbered in the order in which they appear.
 */
function comparable({ record, folder }: TwinRun): unknown {
  const { runId, startedAt, durationMs, counterparty, workflows, ...rest } = record
  const numbers = new Map<string, number>()
  const text = JSON.stringify({ ...rest, workflows }, (name, value: unknown) => {
    if (['durationMs', 'timing', 'tls', 'startedAt', 'weaknesses'].includes(name)) return undefined
    if (name === 'body') return comparableBody(value as Body)
    if (name === 'headers') return (value as [string, string][]).filter(([header]) => !CONNECTION.has(header)).sort()
    return value
  })
  return JSON.parse(
    text
      .replaceAll(folder, '<folder>')
      .replace(/[0-9a-f]{32}(?=\.key;)/g, '<vault>')
      .replace(/#[0-9a-f]{8}\]/g, (fingerprint) => {
        if (!numbers.has(fingerprint)) numbers.set(fingerprint, numbers.size)
        return `#${numbers.get(fingerprint)}]`
      })
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?=["\\:])/g, '<time>')
      // The twin makes the key that signs tokens anew.
      .replace(/(\\"[xy]\\": ?\\")[\w-]+/g, '$1')
      // Assertions carry the time and an id of their own.
      .replace(/eyJ[\w-]+\.eyJ[\w-]+\.(?=\[client_assertion)/g, '<header and claims>.'),
  )
}

function factsOf(text: string) {
  const bytes = Buffer.from(text)
  return {
    bytes: bytes.length,
    sha256: bytes.length > 0 ? createHash('sha256').update(bytes).digest('hex') : undefined,
  }
}

function factsOfRecord(body: Body | undefined) {
  return { bytes: body?.bytes, sha256: body?.sha256 }
}

type Body = NonNullable<StepRecord['exchanges'][number]['response']>['body']

/** Where a fresh signature, time or key is in a body its hash differs; that it is one is what must agree. */
function comparableBody({ sha256, ...body }: Body): Body {
  if (sha256 === undefined) return body
  const isFresh = /#[0-9a-f]{8}\]|\d{4}-\d\d-\d\dT|"[xy]": ?"/.test(body.text ?? '')
  return { ...body, sha256: isFresh ? sha256.replace(/^[0-9a-f]{64}$/, '<hash>') : sha256 }
}

const CONNECTION = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'date',
  'host',
  'keep-alive',
  'transfer-encoding',
])
