/** A stored run against the twin: what differs, and the switch that makes the twin do as the server did. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareWithTwin, performCompare } from '../../src/front/cli/mock-compare.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { resolve, run } from '../../src/run/index.ts'
import { startIndependent, WAYS, type Way } from '../support/independent-server.ts'
import { type LocalPki, makeLocalPki } from '../support/local.ts'
import { ROOT } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

const PLACES = { root: ROOT, here: ROOT, project: ROOT, version: '0.0.0' }
let folder: string
let local: LocalPki
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-compare-test-'))
  local = await makeLocalPki()
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

/** The record of flow "register" against the independent server, and the path of its file. */
async function recordedWith(ways: readonly Way[]): Promise<{ readonly record: RunRecord; readonly file: string }> {
  await using server = await startIndependent(local.server, ways)
  const { identities, signingKid } = await sharedPki()
  const place = await mkdtemp(join(folder, 'run-'))
  const files = { 'ca.crt': local.ca, 'client.crt': local.client.certificate, 'client.key': local.client.key }
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text)
  const mock = await readFile(join(ROOT, '.env.mock'), 'utf8')
  const settings = {
    ENV_CLASS: 'mock',
    ...Object.fromEntries(
      ['CLIENT_ID', 'ORG_ID', 'SOFTWARE_ID'].map((name) => [name, new RegExp(`^${name}=(.*)$`, 'm').exec(mock)?.[1]]),
    ),
    ...server.servers,
    CA_FILE: 'ca.crt',
    TRANSPORT_CERT_FILE: 'client.crt',
    TRANSPORT_KEY_FILE: 'client.key',
    SIGNING_KEY_FILE: identities.signing.keyFile,
    SIGNING_KID: signingKid,
    VAULT_DIR: 'vault',
    SACRIFICIAL_CLIENT: 'true',
  }
  const env = join(place, '.env.server')
  await writeFile(
    env,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  const variables = { THREDD_VAULT_KEY: randomBytes(32).toString('base64url') }
  const request = await resolve({
    environment: { env, folder: place, here: place, variables },
    selection: { flows: ['register'], folders: [ROOT] },
  })
  let record: RunRecord | undefined
  const { file } = await run(request, {
    version: '0.0.0',
    out: join(place, 'reports'),
    onFinished: (head, workflows) => {
      record = { ...head, workflows: [...workflows] }
    },
  })
  if (record === undefined) throw new Error('no record')
  return { record, file }
}

test('a server that answers as the twin does differs in nothing', async () => {
  const { record, file } = await recordedWith([])
  // Neither this server nor the twin has set the metadata.
  const failed = record.workflows[0]?.steps.filter(({ status }) => status !== 'passed')
  expect(failed?.map(({ stepId }) => stepId)).toEqual(['metadata'])

  const { differences } = await compareWithTwin(record, {}, PLACES)
  expect(differences).toEqual([])
  let text = ''
  expect(await performCompare(file, {}, { ...PLACES, write: (more) => (text += more) })).toBe(0)
  expect(text).toBe(`run ${record.runId}: the twin answers like the server wherever both were asked\n`)
})

test('a server that differs in ten known ways differs in just these, and each switch that there is for one is named', async () => {
  const { record } = await recordedWith(WAYS)

  const { differences, switches, left } = await compareWithTwin(record, {}, PLACES)

  const seen = differences.map((one) => [
    one.step.replace('register / ', ''),
    one.what,
    one.of,
    one.recorded,
    one.twin,
    switches.get(one),
  ])
  const address = ['type', '/registration_client_uri', 'an address with an encoded id', 'an address', 'uriForm=encoded']
  expect(seen.sort()).toEqual(
    [
      ['software-statement/directory-token', 'type', '/access_token', 'a JWT', 'a text', 'directoryTokenForm=jwt'],
      ['software-statement/directory-token', 'value', '/expires_in', '300', '600', 'directoryTokenSeconds=300'],
      ['software-statement/statement', 'header', 'content-type', 'application/json', 'application/jwt', 'ssaForm=json'],
      ['register', ...address],
      ['register', 'member', '/tenant', 'a text', 'absent', undefined],
      ['register', 'scopes', 'granted without being requested', 'issuer.read', 'none', 'unrequestedScopes=issuer.read'],
      ['read-back', ...address],
      ['read-back', 'member', '/tenant', 'a text', 'absent', undefined],
      ['api-token', 'header', 'x-trace-id', 'absent', 'present', undefined],
      ['api-token', 'value', '/expires_in', '3599', '599', 'accessTokenSeconds=3600'],
      ['api-token', 'order', '', 'token_type before access_token', 'access_token before token_type', undefined],
      ['cards-call', 'status', '', '403', '200', 'requirePmMetadata=true'],
    ].sort(),
  )
  expect(left.map(({ what }) => what).sort()).toEqual(['header', 'member', 'member', 'order'])
  // Every switch is tried with a run of its own.
}, 600_000)

test('a flow that has changed since the run, or is not here, is refused by name', async () => {
  const { record } = await recordedWith([])
  const [workflow] = record.workflows
  if (workflow === undefined) throw new Error('no workflow')
  const changed = (flow: Partial<typeof workflow.flow>) =>
    compareWithTwin({ ...record, workflows: [{ ...workflow, flow: { ...workflow.flow, ...flow } }] }, {}, PLACES)

  await expect(changed({ sha256: '0'.repeat(64) })).rejects.toThrow(
    /"flows\/register\.arazzo\.yaml" has changed since the run/,
  )
  await expect(changed({ file: 'flows/gone.arazzo.yaml' })).rejects.toThrow(
    /"flows\/gone\.arazzo\.yaml" of the run is not here/,
  )
  const parts = [{ file: 'flows/parts/software-statement.arazzo.yaml', sha256: '1' }]
  await expect(changed({ parts })).rejects.toThrow(/software-statement\.arazzo\.yaml" has changed since the run/)
})
