/** What keeps a flow from running is found once: a list, a dry run and a run say the same, with the warnings that explain it. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { render, ToolError } from '../../src/record/errors.ts'
import { type RunRequest, rehearse, resolve, run } from '../../src/run/index.ts'
import { overviewOf } from '../../src/run/overview.ts'
import { type LocalPki, localFiles, makeLocalPki, writeLocalFiles } from '../support/local.ts'

const STEPS = [{ stepId: 'status', operationId: 'status' }]

let pki: LocalPki
let expired: LocalPki
let folder: string

beforeAll(async () => {
  ;[pki, expired] = await Promise.all([makeLocalPki(), makeLocalPki({ clientDays: -0.5 })])
})
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'thredd-survey-')))
  await writeLocalFiles(folder, localFiles(pki, { port: 9, steps: STEPS }))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function files(more: Readonly<Record<string, string>>, settings: Readonly<Record<string, string>> = {}) {
  await writeLocalFiles(folder, { ...localFiles(pki, { port: 9, steps: STEPS, settings }), ...more })
}

async function request(): Promise<RunRequest> {
  return await resolve({
    environment: { env: 'mock', folder, variables: {} },
    selection: { flows: ['own'], folders: [folder] },
  })
}

async function refused(work: Promise<unknown>): Promise<ToolError> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToolError)) throw error
  return error
}

/** Each thing that is wrong, as `list` has it. */
async function listed(): Promise<readonly string[]> {
  const { environment, inputs } = await request()
  const { workflows } = await overviewOf({ environment, inputs, selection: { flows: ['own'], folders: [folder] } })
  return workflows.flatMap(({ missing }) => missing.map(({ code, message }) => `${code}: ${message}`))
}

test.each([
  [
    'an expired certificate',
    'IDENTITY_EXPIRED',
    () => ({ 'client.crt': expired.client.certificate, 'client.key': expired.client.key }),
  ],
  ['the key of another certificate', 'IDENTITY_MISMATCH', () => ({ 'client.key': expired.client.key })],
  ['a text in place of a certificate', 'IDENTITY_UNREADABLE', () => ({ 'client.crt': 'no certificate' })],
  ['a text in place of an authority', 'IDENTITY_UNREADABLE', () => ({ 'ca.crt': 'no certificate' })],
])('%s has one cause, in a list, a dry run and a run', async (_, code, broken) => {
  await files(broken())

  const causes = await listed()

  expect(causes.map((cause) => cause.split(':')[0])).toEqual([code])
  for (const start of [run, rehearse]) {
    const { problems } = await refused(start(await request(), { version: '0' }))
    expect(problems.map(({ code, message }) => `${code}: ${message}`)).toEqual(causes)
  }
})

test('a wrong path, a missing setting and a vault of another key are all said at once, in a list and a run alike', async () => {
  await files(
    {},
    { TRANSPORT_CERT_FILE: 'nowhere.crt', SERVER_CLIENTS: '', VAULT_KEY_FILE: 'short.key', ENV_CLASS: 'uat' },
  )
  await writeFile(join(folder, 'short.key'), 'short')
  await writeLocalFiles(join(folder, '.vault/mock'), {})

  const causes = await listed()

  expect(causes.map((cause) => cause.split(':')[0])).toEqual(['VAULT_KEY', 'ENV_MISSING', 'IDENTITY_UNREADABLE'])
  const { problems } = await refused(run(await request(), { version: '0' }))
  expect(problems.map(({ code, message }) => `${code}: ${message}`)).toEqual(causes)
})

test.each([
  ['an environment that cannot be used', { TLS_MIN_VERSION: 'none' }],
  ['a flow that does not exist', {}, 'nothing'],
  ['a setting that is missing', { SERVER_CLIENTS: '' }],
])('a misspelt setting is said beside %s', async (_, settings, flow = 'own') => {
  await files({}, { TIMEOUTMS: '5', ...settings })

  const { warnings, problems } = await refused(
    resolve({
      environment: { env: 'mock', folder, variables: {} },
      selection: { flows: [flow], folders: [folder] },
    }).then((one) => run(one, { version: '0' })),
  )

  expect(problems.length).toBeGreaterThan(0)
  expect(warnings).toEqual([expect.stringMatching(/TIMEOUTMS is not a setting; did you mean TIMEOUT_MS\?$/)])
  expect(problems.map((problem) => render(problem)).join()).not.toContain('TIMEOUTMS')
})

test('a dry run shows no input with the name of a secret, also one of REDACT, whatever the flow says of it', async () => {
  const own = localFiles(pki, { port: 9, steps: STEPS })['flows/own.arazzo.yaml'] ?? ''
  const input =
    '"my_api_key": { "type": "string", "default": "Zq7Rt9LmW2pYk4aB" }, ' +
    '"member_number": { "type": "string", "default": "Zq7Rt9LmW2pYk4aC" }, "extended"'
  await files({ 'flows/own.arazzo.yaml': own.replace('"extended"', input) }, { REDACT: 'member_number' })

  const shown = JSON.stringify((await rehearse(await request(), { version: '0' })).workflows)

  expect(shown).toContain('"name":"my_api_key","source":"default","value":"[my_api_key]"')
  expect(shown).toContain('"name":"member_number","source":"default","value":"[member_number]"')
  expect(shown).not.toContain('Zq7Rt9LmW2pYk4a')
})

test('a variable that is nearly the name of an input which nothing sets is said, with that name', async () => {
  const own = localFiles(pki, { port: 9, steps: STEPS })['flows/own.arazzo.yaml'] ?? ''
  const inputs = '"member_number": { "type": "string" }, "country": { "type": "string" }, "extended"'
  await files(
    { 'flows/own.arazzo.yaml': own.replace('"extended"', inputs) },
    { MEMBER_NUMER: '5', COUNTRY: 'x', COUNTRYS: 'y' },
  )

  const { warnings } = await rehearse(await request(), { version: '0' })

  expect(warnings).toEqual([
    expect.stringMatching(/^\.env\.mock:\d+: MEMBER_NUMER sets no input of this run; did you mean MEMBER_NUMBER\?$/),
  ])
})
