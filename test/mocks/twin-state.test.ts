/** The twin's state can be kept: in a file that survives a restart, or as a value. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { createTwin, type Pki, startAdmin, startTwin } from '../../mocks/index.ts'
import { openStore } from '../../mocks/store.ts'
import { type Ask, outsideAssertion, outsideClient } from '../support/outside.ts'
import { CLIENT_ID, type Json, makeBench, ORGANISATION, SOFTWARE, sharedPki, URLS } from '../support/twin.ts'

let pki: Pki
let folder: string
beforeAll(async () => {
  pki = await sharedPki()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-state-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

async function register(ask: Ask): Promise<Json> {
  const form = { grant_type: 'client_credentials', client_id: CLIENT_ID }
  const { access_token } = JSON.parse((await ask(`${URLS.directoryMtls}/token`, { form })).text) as Json
  const path = `/organisations/${ORGANISATION}/softwarestatements/${SOFTWARE}/assertion`
  const statement = await ask(`${URLS.directoryApi}${path}`, { bearer: String(access_token) })
  const json = { ...documentedRequest, software_statement: statement.text }
  return JSON.parse((await ask(`${URLS.old}/oauth2/register`, { json })).text) as Json
}

async function tokenForm(audience: string = URLS.old) {
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await outsideAssertion(pki, audience),
  }
}

test('a client, its tokens, used assertions, roles and the clock survive a restart', async () => {
  const stateFile = join(folder, 'state.json')
  const first = await startTwin({ pki, stateFile })
  const before = outsideClient(pki, first.port)
  const client = await register(before)
  const form = await tokenForm()
  const token = JSON.parse((await before(`${URLS.old}/oauth2/token`, { form })).text) as Json
  await using admin = await startAdmin(first.twin, { onChange: first.keep })
  const headers = { authorization: `Bearer ${admin.token}` }
  await fetch(`${admin.origin}/hooks/grant-role`, { method: 'POST', headers, body: '{"role": "eds"}' })
  await fetch(`${admin.origin}/hooks/advance-clock`, { method: 'POST', headers, body: '{"seconds": 60}' })
  await fetch(`${admin.origin}/hooks/expire-certificates`, { method: 'POST', headers, body: '{"use": "sig"}' })
  const kept = await readFile(stateFile, 'utf8')
  await first.close()

  expect(await readFile(stateFile, 'utf8')).toBe(kept)
  expect((await stat(stateFile)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['state.json'])
  await using second = await startTwin({ pki, stateFile })
  const ask = outsideClient(pki, second.port)
  const read = await ask(String(client.registration_client_uri), { bearer: String(client.registration_access_token) })
  expect(JSON.parse(read.text)).toEqual(client)
  expect((await ask(URLS.cards, { bearer: String(token.access_token) })).status).toBe(200)
  expect(second.twin.state.application(SOFTWARE).roles).toContain('eds')
  expect(second.twin.state.now().getTime() - Date.now()).toBeGreaterThan(50_000)
  expect((await ask(`${URLS.old}/oauth2/token`, { form })).status).toBe(401)
  expect(second.twin.log.at(-1)?.decision).toBe('refused: the key id is not in the keystore of the client')
})

test('on another port the kept state is answered with the new addresses', async () => {
  const stateFile = join(folder, 'state.json')
  const first = await startTwin({ pki, stateFile, urls: 'loopback' })
  const before = outsideClient(pki)
  const client = await register((address, asked) => before(first.publish(address), asked))
  const form = await tokenForm(first.publish(URLS.old))
  const token = JSON.parse((await before(first.publish(`${URLS.old}/oauth2/token`), { form })).text) as Json
  // Started before the first port is free again, so that it gets another one.
  await using second = await startTwin({ pki, stateFile, urls: 'loopback' })
  await first.close()

  const ask: Ask = (address, asked) => before(second.publish(address), asked)
  const path = String(client.registration_client_uri).replace(first.origin, second.origin)
  const bearer = String(client.registration_access_token)
  const read = await before(path, { bearer })
  expect(JSON.parse(read.text)).toEqual(JSON.parse(JSON.stringify(client).replaceAll(first.origin, second.origin)))
  // The statement is signed and stays as it was; nothing else has the old address.
  const { software_statement, ...rest } = JSON.parse(read.text) as Json
  expect(software_statement).toBe(client.software_statement)
  expect(JSON.stringify(rest)).not.toContain(first.origin)
  expect((await ask(URLS.cards, { bearer: String(token.access_token) })).status).toBe(200)
  const introspection = { ...(await tokenForm(second.publish(URLS.old))), token: String(token.access_token) }
  const told = JSON.parse((await ask(`${URLS.old}/oauth2/introspect`, { form: introspection })).text) as Json
  expect(told).toMatchObject({ active: true, iss: expect.stringContaining(`${second.origin}/`) })
  expect((await readFile(stateFile, 'utf8')).replaceAll(String(software_statement), '')).not.toContain('localhost')
})

test('an answer is sent only when the state that it reports is in the file', async () => {
  const stateFile = join(folder, 'state.json')
  await using running = await startTwin({ pki, stateFile })
  const client = await register(outsideClient(pki, running.port))

  expect(await readFile(stateFile, 'utf8')).toContain(String(client.registration_access_token))
})

/** States larger than those that each answer waits for, and a timer that a test runs itself. */
function largeStates() {
  const small = createTwin({ pki }).state.snapshot()
  const large = (name: string) => () => {
    const deadTokens = Array.from(
      { length: 30_000 },
      (_, index) => [`${name}-${index}-${'x'.repeat(20)}`, true] as const,
    )
    return { ...small, maps: { ...small.maps, deadTokens } }
  }
  const timer = {
    run: undefined as (() => void) | undefined,
    set: ((task: () => void) => {
      timer.run = task
      return setTimeout(() => {})
    }) as typeof setTimeout,
  }
  return { large, timer }
}

test('a large state is written soon after an answer, and whole at the end', async () => {
  const stateFile = join(folder, 'state.json')
  const isIn = async (name: string) => (await readFile(stateFile, 'utf8')).includes(`"${name}-0-`)
  const { large, timer } = largeStates()
  const store = await openStore(stateFile, timer.set)
  await store.save(large('first'))

  await store.save(large('second'))
  expect(await isIn('first')).toBe(true)
  await store.save(large('third'))
  await store.flush(large('fourth'))
  expect([await isIn('third'), await isIn('fourth')]).toEqual([false, true])
  await store.save(large('fifth'))
  timer.run?.()
  await expect.poll(async () => await isIn('fifth')).toBe(true)
})

test('after a write of a large state that failed the next answer waits until one succeeds', async () => {
  const place = join(folder, 'disk')
  await mkdir(place)
  const stateFile = join(place, 'state.json')
  const { large, timer } = largeStates()
  const store = await openStore(stateFile, timer.set)
  await store.save(large('first'))
  await store.save(large('second'))
  await rm(place, { recursive: true })
  timer.run?.()

  await expect
    .poll(() =>
      store.save(large('third')).then(
        () => 'saved',
        () => 'failed',
      ),
    )
    .toBe('failed')
  await mkdir(place)
  await store.save(large('fourth'))
  expect((await readFile(stateFile, 'utf8')).includes('"fourth-0-')).toBe(true)
})

test('many saves at once leave one complete file', async () => {
  const stateFile = join(folder, 'state.json')
  await using running = await startTwin({ pki, stateFile })
  const ask = outsideClient(pki, running.port)
  const form = { grant_type: 'client_credentials', client_id: CLIENT_ID }

  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${URLS.directoryMtls}/token`, { form })))

  const text = await readFile(stateFile, 'utf8')
  for (const { text: answer } of answers) expect(text).toContain((JSON.parse(answer) as Json).access_token)
  expect(await readdir(folder)).toEqual(['state.json'])
})

test('a file that is not a state file is refused and left as it is', async () => {
  for (const text of ['{', '{}', '{"version": 99}', 'null']) {
    const stateFile = join(folder, 'state.json')
    await writeFile(stateFile, text)
    await expect(startTwin({ pki, stateFile })).rejects.toThrow(
      `state file "${stateFile}" was not written by this version of the twin; move it away to start with an empty state`,
    )
    expect(await readFile(stateFile, 'utf8')).toBe(text)
  }
  await chmod(folder, 0o700)
  await expect(startTwin({ pki, stateFile: folder })).rejects.toThrow('is no file')
})

test('a twin made from the snapshot of another one continues with its state', async () => {
  const bench = makeBench(pki)
  const client = await bench.register()
  bench.twin.state.setMetadata(CLIENT_ID)
  await bench.token()

  const snapshot = JSON.parse(JSON.stringify(bench.twin.state.snapshot()))
  const twin = createTwin({ pki, snapshot })

  expect(twin.state.snapshot()).toEqual(snapshot)
  expect(twin.state.clients.get(CLIENT_ID)?.registrationToken.value).toBe(client.registration_access_token)
})
