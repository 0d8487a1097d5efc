/** What leaves Postman by the page docs/how-to/leave-postman.md, typed as the page has it, runs on the twin as on UAT. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { copyFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Cli, ROOT, type Running } from '../support/cli.ts'
import { commandsOf, installCommands, typeLine } from '../support/typed-page.ts'

const COLLECTION = readFileSync(join(ROOT, 'fixtures/postman/thredd.postman_collection.json'), 'utf8')
const COMMANDS = commandsOf('docs/how-to/leave-postman.md')
const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'

const tests = (...exec: string[]) => [{ listen: 'test', script: { exec } }]

/** Calls that no flow makes: with the token of a documented one, and a value that one hands to the other. */
const OWN_CALLS = JSON.stringify({
  info: { name: 'Own', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
  item: [
    {
      name: 'Get Access Token',
      request: {
        method: 'POST',
        url: '{{cloudentity_url}}/oauth2/token',
        body: {
          mode: 'urlencoded',
          urlencoded: [
            { key: 'grant_type', value: 'client_credentials' },
            { key: 'client_assertion', value: '{{client_assertion}}' },
          ],
        },
      },
      event: tests("pm.environment.set('access_token', pm.response.json().access_token);"),
    },
    {
      name: 'Keys',
      request: { method: 'GET', url: '{{cloudentity_url}}/.well-known/jwks.json' },
      event: tests(
        'tests["keys"] = responseCode.code === 200;',
        "pm.environment.set('kid_1', pm.response.json().keys[0].kid);",
      ),
    },
    {
      name: 'Key again',
      request: {
        method: 'GET',
        url: '{{cloudentity_url}}/.well-known/jwks.json?kid={{kid_1}}',
        auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{access_token}}' }] },
      },
      event: tests("pm.test('there', function () { pm.response.to.have.status(200); });"),
    },
  ],
})

/** A machine that may be emptied, such as this one, needs it. */
const variables = { THREDD_VAULT_KEY: randomBytes(32).toString('base64url') }

/** The twin, once it listens. */
async function twinIn(cli: Cli): Promise<Running> {
  const twin = cli.start(['mock', '--port', '0', '--out', 'twin'])
  let said = ''
  twin.process.stdout.on('data', (text: string) => (said += text))
  while (!said.includes('for Postman')) {
    if (twin.process.exitCode !== null) throw new Error(`the twin ended: ${said}`)
    await sleep(20)
  }
  return twin
}

/** The environment as Postman would have it after a first run of the collection; the twin's own file names its addresses. */
async function environmentOf(cli: Cli): Promise<{ readonly postman: string; readonly rest: string }> {
  const text = await readFile(join(cli.folder, 'twin/.env.twin'), 'utf8')
  const at = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  const values = {
    cloudentity_url: at('SERVER_AUTHORIZATION'),
    raidiam_url: at('SERVER_DIRECTORY'),
    raidiam_api_url: at('SERVER_DIRECTORY_API'),
    rc_token_endpoint: `${at('SERVER_DIRECTORY_MTLS')}/token`,
    cards_url: at('SERVER_CARDS'),
    client_id: at('CLIENT_ID'),
    org_id: at('ORG_ID'),
    ssa_id: at('SOFTWARE_ID'),
    kid: at('SIGNING_KID'),
    private_key: await readFile(join(cli.folder, 'twin/pki/signing.key'), 'utf8'),
    jsrsasign_js: 'function sign() {}',
  }
  const document = {
    name: 'Thredd UAT',
    values: Object.entries(values).map(([key, value]) => ({ key, value, enabled: true })),
    _postman_variable_scope: 'environment',
  }
  const rest = ['SERVER_KEYSTORE', 'SERVER_API_HUB', 'EXPECTED_TOKEN_ISSUER', 'ROLES'].map(
    (name) => `${name}=${at(name)}`,
  )
  return { postman: JSON.stringify(document), rest: [...rest, 'CA_FILE=twin/pki/ca.crt', ''].join('\n') }
}

test('the page is typed command by command, and every command ends well', { timeout: 240_000 }, async () => {
  await using cli = await Cli.make({ 'thredd.postman_collection.json': COLLECTION })
  const twin = await twinIn(cli)
  const { postman, rest } = await environmentOf(cli)
  await cli.write('uat.postman_environment.json', postman)
  await cli.write('.env.uat.local', rest)
  for (const part of ['crt', 'key'])
    await copyFile(join(cli.folder, `twin/pki/transport.${part}`), join(cli.folder, `transport.${part}`))

  await installCommands(cli)
  const ended: {
    readonly line: string
    readonly exitCode: number
    readonly code: number | null
    readonly said: string
  }[] = []
  for (const { line, exitCode } of COMMANDS) {
    const { code, said } = await typeLine(line, cli.folder, { ...variables, THREDD_VAULT_DIR: 'vault' })
    ended.push({ line, exitCode, code, said })
  }
  await cli.write('own.json', OWN_CALLS)
  const own = await cli.run(['import', 'postman', 'own.json', 'uat.postman_environment.json', '--env', 'uat'])
  const ran = await cli.run(['run', 'flows/imported/own.arazzo.yaml', '--env', 'uat'], { variables })
  const local = await readFile(join(cli.folder, '.env.uat.local'), 'utf8')
  const key = await readFile(join(cli.folder, 'keys/uat-signing.key'), 'utf8')
  const deleted = await cli.run(['run', 'delete-registration', '--env', 'uat', '--confirm', CLIENT_ID], { variables })
  twin.process.kill('SIGINT')
  await once(twin.process, 'close')

  expect(COMMANDS).toHaveLength(6)
  expect(ended.filter(({ exitCode, code }) => code !== exitCode)).toEqual([])
  expect(own).toMatchObject({ code: 0, stderr: '' })
  expect(`${ran.stdout}${ran.stderr}`).toContain('✓ key-again')
  expect(ran).toMatchObject({ code: 0 })
  expect(deleted).toMatchObject({ code: 0 })
  expect(local).toContain(rest)
  expect(local).toContain('SIGNING_KEY_FILE=keys/uat-signing.key\n')
  expect(local).not.toContain('PRIVATE KEY')
  expect(ended.map(({ said }) => said).join('')).not.toContain(key.split('\n')[1])
  for (const file of ['.env.uat.local', 'keys/uat-signing.key'])
    expect((await stat(join(cli.folder, file))).mode & 0o777).toBe(0o600)
  expect(await readFile(join(cli.folder, '.gitignore'), 'utf8')).toBe('.env*.local\nkeys/\n.vault/\n')
})

const REGISTERED = {
  name: 'UAT',
  values: Object.entries({
    client_id: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/1',
    org_id: 'o-1',
    registration_access_token: 'rat-Q9w8E7r6T5y4U3i2O1p0',
    registration_client_uri: 'https://auth.uat.threddid.com/confidential-clients/oauth2/register/1',
  }).map(([key, value]) => ({ key, value, enabled: true })),
  _postman_variable_scope: 'environment',
}

test('nothing is replaced and no registration is taken in before a person agrees', async () => {
  await using cli = await Cli.make({
    'env.json': JSON.stringify(REGISTERED),
    '.env.uat.local': '# mine\nORG_ID=other\n',
  })
  const clientId = REGISTERED.values[0]?.value ?? ''
  const command = ['import', 'postman', 'env.json', '--env', 'uat']

  const asked = await cli.run(command)
  const before = await readFile(join(cli.folder, '.env.uat.local'), 'utf8')
  const agreed = await cli.run([...command, '--yes', '--confirm', clientId])
  const again = await cli.run([...command, '--yes', '--confirm', clientId])
  const after = await readFile(join(cli.folder, '.env.uat.local'), 'utf8')
  const listed = await cli.run(['vault', 'list', '--env', 'uat'])

  expect(asked).toMatchObject({ code: 2 })
  expect(asked.stderr).toContain('1 file would be replaced, and the vault would take in a registration')
  expect(asked.stderr).toContain(`--yes --confirm ${clientId}`)
  expect(before).toBe('# mine\nORG_ID=other\n')
  expect(agreed).toMatchObject({ code: 0 })
  expect(again).toMatchObject({ code: 0 })
  expect(after).toContain('# mine\n')
  expect(after.match(/^ORG_ID=.*$/gm)).toEqual(['ORG_ID=o-1'])
  expect(listed.stdout).toContain(clientId)
  expect([asked, agreed, again, listed].map(({ stdout, stderr }) => stdout + stderr).join('')).not.toContain('rat-Q9w8')
  expect(after).not.toContain('rat-Q9w8')
})

test('init writes what is given and a line for each value that is missing, once', async () => {
  await using cli = await Cli.make({})
  const command = ['init', '--env', 'uat', '--set', 'ORG_ID=o-1']

  const first = await cli.run(command)
  const text = await readFile(join(cli.folder, '.env.uat.local'), 'utf8')
  const other = await cli.run(['init', '--env', 'uat', '--set', 'ORG_ID=o-2'])
  const misspelt = await cli.run(['init', '--env', 'uat', '--set', 'ORGID=1'])
  const unknown = await cli.run(['init', '--env', 'uat', '--set', 'NO_SUCH=1'])
  const after = await readFile(join(cli.folder, '.env.uat.local'), 'utf8')

  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toContain('next: npx thredd doctor --env uat')
  expect(text).toContain('\nORG_ID=o-1\n')
  expect(text).toMatch(/^CLIENT_ID=$/m)
  expect(other).toMatchObject({ code: 2 })
  expect(other.stderr).toContain('nothing was written')
  expect(unknown.stderr).toContain('names no setting')
  expect(misspelt.stderr).toContain('did you mean "--set ORG_ID=…"?')
  expect(after).toBe(text)
  expect((await stat(join(cli.folder, '.env.uat.local'))).mode & 0o777).toBe(0o600)
})
