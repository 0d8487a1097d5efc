/** What flows there are: chosen by name, tag, class and effect; ready or not; and all of one. */
import { readdirSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { loadEnvironment } from '../../src/environment/index.ts'
import { writeList } from '../../src/front/cli/list.ts'
import { commandsFor } from '../../src/record/hints.ts'
import { detailsOf, overviewOf } from '../../src/run/overview.ts'
import type { SelectionOptions } from '../../src/run/selection.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { expectGolden, stable } from '../support/golden.ts'
import { person } from '../support/person.ts'
import { runOnTwin } from '../support/run.ts'
import { temporaryFolder } from '../support/vault.ts'

const GOLDEN = join(ROOT, 'test/golden')
const UAT = 'ENV_CLASS=uat\nSERVER_CLIENTS=https://clients.example\nCLIENT_ID=https://rp.example/ours\n'

/** A folder with two workflows of its own. */
async function house(more: Readonly<Record<string, string>> = {}): Promise<Cli> {
  return await Cli.make({
    'flows/house.arazzo.yaml': await readFile(join(GOLDEN, 'list/house.arazzo.yaml'), 'utf8'),
    'flows/clients.openapi.yaml': await readFile(join(GOLDEN, 'flow/clients.openapi.yaml'), 'utf8'),
    '.env.uat': UAT,
    ...more,
  })
}

async function said(cli: Cli, ...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await cli.run(args)
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
  return stable(stdout, { folder: cli.folder })
}

test('list and show are exactly this, and leave nothing behind', async () => {
  await using cli = await house()
  const before = await readdir(cli.folder)

  expectGolden(await said(cli, 'list', 'house', '--env', 'uat'), 'list/list-uat.txt')
  expectGolden(await said(cli, 'show', 'house', '--env', 'uat', '--workflow', 'house'), 'list/show.txt')
  expectGolden(await said(cli, 'list', 'house', '--env', 'uat', '--json'), 'list/list-uat.json')

  expect(await readdir(cli.folder)).toEqual(before)
})

test('flows are chosen by name, tag, safety class and effect, and a word that nothing has is told', async () => {
  await using cli = await house()
  const environment = await loadEnvironment({ env: 'uat', folder: cli.folder, variables: {} })
  const chosen = async (selection: Omit<SelectionOptions, 'folders' | 'flows'> & { flows?: string[] }) => {
    const { workflows } = await overviewOf({
      environment,
      inputs: new Map(),
      selection: { flows: [], folders: [cli.folder], ...selection },
    })
    return workflows.map(({ workflowId }) => workflowId).join()
  }

  expect(await chosen({})).toBe('house,alive')
  expect(await chosen({ tags: ['regression'] })).toBe('house')
  expect(await chosen({ tags: ['regression', 'nightly'] })).toBe('house,alive')
  expect(await chosen({ flows: ['house'], safety: ['A'] })).toBe('alive')
  expect(await chosen({ effects: ['delete'], tags: ['nightly'] })).toBe('house')
  await expect(chosen({ safety: ['X'] })).rejects.toThrow('no workflow of safety class "X" in the selected flows')
  expect(await cli.run(['list', '--env', 'uat', '--tag', 'nigthly'])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'error[USAGE]: no workflow with the tag "nigthly" in the selected flows\n   = did you mean "nightly"?\n',
  })
  expect(await cli.run(['show'])).toMatchObject({ code: 2, stderr: expect.stringContaining('which flow? name it') })
})

test('run chooses by tag and safety class too; outside the twin that names nothing that changes a client', async () => {
  await using cli = await house()
  const shown = async (...args: string[]) =>
    [...(await cli.run(['run', '--dry-run', '--env', 'uat', ...args])).stdout.matchAll(/^(\w+) .*effect/gm)].map(
      ([, name]) => name,
    )

  expect(await shown('--tag', 'nightly')).toEqual(['alive'])
  expect(await shown('--safety', 'A,B')).toEqual(['alive'])
  expect((await cli.run(['run', '--env', 'uat', '--tag', 'regression'])).stderr).toContain(
    'nothing may run unnamed on "uat": "house" (delete) would change a client',
  )
})

test('what is missing is told by its setting, and with it in place the flow is ready', async () => {
  const who = await person()
  const missing = async () => {
    const { stdout } = await who.thredd('list', '--json')
    const { workflows } = JSON.parse(stdout) as { workflows: { flow: string; missing: { what: string }[] }[] }
    return Object.fromEntries(workflows.map((one) => [one.flow, one.missing.map(({ what }) => what)]))
  }

  expect(await missing()).toMatchObject({ register: [], 'read-registration': ['a registration in the vault'] })
  await who.thredd('run', 'register')
  expect(await missing()).toMatchObject({ register: [], 'read-registration': [] })
  const { stdout } = await who.thredd('list', 'delete-registration', 'read-registration')
  expect(stdout.match(/ {4}confirm {2}the client id is asked for, or given with --confirm/g)).toHaveLength(1)

  await who.cli.write('.env.uat', who.network.environment.replace(/^(?:SERVER_CARDS|ORG_ID)=.*/gm, ''))
  expect(await missing()).toMatchObject({ register: ['SERVER_CARDS', 'ORG_ID'], 'read-registration': [] })
})

test('of what is there and cannot be used a list says why, and a misspelt setting is a warning', async () => {
  await using cli = await house({
    '.env.uat': `${UAT}TRANSPORT_CERT_FILE=no.crt\nTRANSPORT_KEY_FILE=no.key\nTIMEOUTMS=5\n`,
  })

  const { stdout, stderr } = await cli.run(['list', '--env', 'uat', '--tag', 'regression'])

  expect(stdout.replace(/\s+/g, ' ')).toContain(
    'because key file "no.key" of identity "transport" does not exist because certificate file "no.crt"',
  )
  expect(stderr).toBe('warning .env.uat:6: TIMEOUTMS is not a setting; did you mean TIMEOUT_MS?\n')
})

test('a certificate that cannot be read keeps a flow from being ready', async () => {
  await using cli = await house({
    '.env.uat': `${UAT}TRANSPORT_CERT_FILE=no.crt\nTRANSPORT_KEY_FILE=no.key\nCONTACT=us\nSIGNING_KID=k\nSIGNING_KEY_FILE=k.pem\n`,
  })

  const { workflows } = JSON.parse(await said(cli, 'list', '--env', 'uat', '--tag', 'regression', '--json'))

  expect(workflows[0].missing.map(({ what }: { what: string }) => what)).toEqual([
    'certificate spare',
    // Its file and that of its key.
    'certificate transport',
    'certificate transport',
    'signing key',
    'a registration in the vault',
  ])
})

const FLOWS = readdirSync(join(ROOT, 'flows')).filter((file) => file.endsWith('.arazzo.yaml'))

test('every flow of the repository is listed, ready on the twin, within 100 columns', async () => {
  // Whoever works on this repository has a vault in it, with whatever his runs have left there.
  const vault = join(await temporaryFolder(), 'vault')
  const environment = await loadEnvironment({ env: 'mock', folder: ROOT, variables: { THREDD_VAULT_DIR: vault } })
  const options = {
    environment,
    inputs: new Map<string, string>(),
    twinFolder: join(ROOT, 'fixtures/pki'),
    selection: { flows: [], folders: [ROOT] },
  }
  let text = ''
  const overview = await overviewOf(options)
  writeList(overview, { write: (part) => (text += part), stream: new PassThrough() }, commandsFor([]))

  const listed = new Set(overview.workflows.map(({ file }) => basename(file)))
  expect(FLOWS.filter((file) => !listed.has(file))).toEqual([])
  expect(overview.workflows.filter(({ ready }) => !ready)).toEqual([])
  expect(
    stripVTControlCharacters(text)
      .split('\n')
      .filter((line) => line.length > 100),
  ).toEqual([])
  // What show has of a secret is where it comes from.
  const secrets = (await detailsOf(options)).flatMap(({ inputs }) =>
    inputs.filter(({ name }) => /assertion$|access_token/.test(name)),
  )
  expect(secrets.length).toBeGreaterThan(0)
  expect(secrets.filter(({ value }) => value !== undefined)).toEqual([])
})

test('colour is for terminals: NO_COLOR and a pipe have none', async () => {
  await using cli = await house()
  const escapes = async (variables: Record<string, string>) =>
    (await cli.run(['list', '--env', 'uat'], { variables })).stdout.includes('\u001b')

  expect([await escapes({}), await escapes({ FORCE_COLOR: '1' }), await escapes({ NO_COLOR: '1' })]).toEqual([
    false,
    true,
    false,
  ])
})

test('tags are chosen before anything runs, also on the twin', async () => {
  await expect(runOnTwin({ flows: ['register'], tags: ['no-such-tag'] })).rejects.toThrow(
    'no workflow with the tag "no-such-tag" in the selected flows',
  )
})
