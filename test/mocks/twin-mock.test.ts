/** `thredd mock`: the files it writes, what it prints, and clients in other processes that use it. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensurePki, HOSTS } from '../../mocks/index.ts'
import { type MockOptions, serveMock } from '../../src/front/cli/mock.ts'
import { resolve, run } from '../../src/run/index.ts'
import { stable } from '../support/golden.ts'
import { outsideClient } from '../support/outside.ts'
import { course, ROOT, recordIn } from '../support/run.ts'
import { CLIENT_ID, sharedPki, URLS } from '../support/twin.ts'

let place: string
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'thredd-mock-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

/** A running mock in a folder of its own, with the shared certificates; disposing stops it and gives the exit code. */
async function serve(options: Partial<MockOptions> = {}) {
  const folder = await mkdtemp(join(place, 'twin-'))
  await cp((await sharedPki()).folder, join(folder, 'pki'), { recursive: true })
  const stop = new AbortController()
  let screen = ''
  const ready = Promise.withResolvers<void>()
  const served = serveMock(
    { folder, port: '0', ...options },
    {
      write(text) {
        screen += text
        ready.resolve()
      },
      signal: stop.signal,
    },
  )
  await Promise.race([ready.promise, served])
  const origin = /listens on (\S+)/.exec(screen)?.[1] ?? ''
  return {
    folder,
    origin,
    at: (url: string) => url.replace('https://', `${origin}/`),
    ask: outsideClient(await ensurePki(join(folder, 'pki'), { hosts: HOSTS })),
    screen: () => screen,
    async stop() {
      stop.abort()
      return await served
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await served
    },
  }
}

const FORM = { grant_type: 'client_credentials', client_id: CLIENT_ID }

test('it prints its address, how to use it, and one line for each request, and stops cleanly', async () => {
  const mock = await serve()
  await mock.ask(mock.at(`${URLS.directoryMtls}/token`), { form: FORM })
  await mock.ask(mock.at(`${URLS.directoryMtls}/token?client_secret=hush`), { form: { ...FORM, client_id: 'x' } })
  await mock.ask(mock.at(`${URLS.directoryMtls}/token`), { as: 'none', form: FORM }).catch(() => undefined)
  const exitCode = await mock.stop()

  expect(exitCode).toBe(0)
  expect(stable(mock.screen(), { folder: mock.folder }).replace(/^\d\d:\d\d:\d\d/gm, '<time>')).toBe(
    [
      'the offline twin listens on https://localhost:<port>',
      'certificates, keys and settings are in <folder>',
      'run flows against it with: thredd run register --env <folder>/.env.twin',
      'the documented calls with curl: <folder>/curl.sh; for Postman: <folder>/twin.postman_environment.json',
      `<time> 200 POST ${URLS.directoryMtls}/token [CN=b9f04639-cdeb-425b-a310-450d3d293fd4] directory token for ${CLIENT_ID}, bound to the certificate`,
      `<time> 401 POST ${URLS.directoryMtls}/token?client_secret=… [CN=b9f04639-cdeb-425b-a310-450d3d293fd4] refused: client_id is unknown`,
      `<time> --- POST ${URLS.directoryMtls}/token [no certificate] certificate refused: no client certificate`,
      'stopped',
      '',
    ].join('\n'),
  )
  await expect(mock.ask(mock.at(URLS.cards))).rejects.toThrow('ECONNREFUSED')
})

test('the folder holds what a client needs, and version control ignores all of it', async () => {
  await using mock = await serve()

  expect((await readdir(mock.folder)).sort()).toEqual([
    '.env.twin',
    '.gitignore',
    'curl.sh',
    'pki',
    'twin.postman_environment.json',
  ])
  expect(await readFile(join(mock.folder, '.gitignore'), 'utf8')).toBe('*\n')
  expect((await stat(join(mock.folder, 'twin.postman_environment.json'))).mode & 0o777).toBe(0o600)
  const postman = JSON.parse(await readFile(join(mock.folder, 'twin.postman_environment.json'), 'utf8'))
  const values = Object.fromEntries(postman.values.map(({ key, value }: Record<string, string>) => [key, value]))
  expect(values).toMatchObject({ client_id: CLIENT_ID, kid: 'offline-twin-signing', authorization: mock.at(URLS.old) })
  expect(values.private_key).toMatch(/^-----BEGIN PRIVATE KEY-----/)
})

test('a flow of this project runs against it over the network, with the settings it wrote', async () => {
  await using mock = await serve({ switches: ['metadataSet=at-once'] })

  const request = await resolve({
    selection: { flows: ['register'], folders: [ROOT] },
    environment: { env: join(mock.folder, '.env.twin'), folder: mock.folder, variables: {} },
  })
  const { file } = await run(request, {
    out: join(mock.folder, 'reports'),
    version: '0.0.0-test',
  })

  const record = recordIn(file)
  expect(course(record).filter((line) => !line.endsWith(' passed'))).toEqual([])
  expect(record).toMatchObject({ counterparty: 'network', verdict: 'conformant', exitCode: 0 })
})

/** Why the shell script cannot run here, if so. */
const missing = ['curl', 'openssl', 'sh'].filter((tool) => {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`])
    return false
  } catch {
    return true
  }
})

test.skipIf(missing.length > 0)(
  'the curl script that it wrote registers, calls and deletes, twice in a row',
  async () => {
    for (const switches of [[], ['uriForm=encoded', 'uriHost=old', 'directoryApiHost=matls-auth']]) {
      await using mock = await serve({ switches })

      for (const _ of ['first', 'second']) {
        const { stdout } = await promisify(execFile)(join(mock.folder, 'curl.sh'))
        const [registration = '', call] = stdout.trim().split('\n')
        expect(JSON.parse(registration)).toMatchObject({
          client_id: CLIENT_ID,
          scopes: ['cards.read', 'cards.write', 'pin.read'],
        })
        expect(JSON.parse(call ?? '')).toMatchObject([{ productName: 'Test Session' }])
      }
    }
  },
)

test('switches, faults and the admin port are taken from flags, and switches from a file as well', async () => {
  const switchesFile = join(place, 'switches')
  await writeFile(switchesFile, '# ours\nrefuse=html400\ndirectoryTokenSeconds=60\n')
  await using mock = await serve({
    switchesFile,
    switches: ['directoryTokenSeconds=5'],
    faults: ['unavailable:cardsSmoke=502'],
    adminPort: '0',
  })
  const ask = (as: 'none' | 'transport') => mock.ask(mock.at(`${URLS.directoryMtls}/token`), { as, form: FORM })

  expect((await ask('none')).status).toBe(400)
  expect(JSON.parse((await ask('transport')).text)).toMatchObject({ expires_in: 5 })
  expect((await mock.ask(mock.at(URLS.cards))).status).toBe(502)
  const [, origin, token] = /admin: (\S+) with "Authorization: Bearer (\S+)"/.exec(mock.screen()) ?? []
  const answer = await fetch(`${origin}/hooks/lock`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  expect(answer.status).toBe(200)
  expect(mock.screen()).toContain('fault: instead of cardsSmoke: unavailable 502\n')
})

test('with a state file a registration survives a restart', async () => {
  const stateFile = join(place, 'state.json')
  const first = await serve({ stateFile })
  await first.ask(first.at(`${URLS.directoryMtls}/token`), { form: FORM })
  await first.stop()

  expect(JSON.parse(await readFile(stateFile, 'utf8')).maps.directoryTokens).toHaveLength(1)
  expect((await stat(stateFile)).mode & 0o777).toBe(0o600)
  const second = await serve({ stateFile })
  expect(await second.stop()).toBe(0)
})

test('a seed file gives further applications, each with certificates and settings to run flows with', async () => {
  const seedFile = join(place, 'seed.json')
  const ids = { org_id: '6f1f3b3e-0000-4000-8000-000000000001', software_id: '6f1f3b3e-0000-4000-8000-000000000002' }
  await writeFile(seedFile, JSON.stringify({ applications: [{ name: 'payments', ...ids }] }))
  await using mock = await serve({ seedFile, switches: ['metadataSet=at-once'] })
  const env = join(mock.folder, '.env.payments')

  const request = await resolve({
    selection: { flows: ['register'], folders: [ROOT] },
    environment: { env, folder: mock.folder, variables: {} },
  })
  const { file } = await run(request, {
    out: join(mock.folder, 'reports'),
    version: '0.0.0-test',
  })

  expect(mock.screen()).toContain(`run flows against it as "payments" with: thredd run register --env ${env}\n`)
  const record = recordIn(file)
  expect(course(record).filter((line) => !line.endsWith(' passed'))).toEqual([])
  expect(mock.screen()).toContain(`registered ${CLIENT_ID.replace(/[^/]+$/, ids.software_id)} with `)
})

test('with the documented names the addresses are the documented ones, with the port where it is not 443', async () => {
  const free = await serve()
  const { port } = new URL(free.origin)
  await free.stop()
  await using mock = await serve({ urls: 'documented', port })
  const ask = outsideClient(await ensurePki(join(mock.folder, 'pki'), { hosts: HOSTS }), Number(port))

  const told = await ask(`${URLS.old.replace('.io/', `.io:${port}/`)}/.well-known/openid-configuration`)

  expect(JSON.parse(told.text)).toMatchObject({ issuer: URLS.old.replace('.io/', `.io:${port}/`) })
  expect(mock.screen()).toContain(`add this line to /etc/hosts:\n127.0.0.1 ${HOSTS.join(' ')}\n`)
})

test('a wrong option is refused before anything is written or opened', async () => {
  const folder = join(place, 'never')
  const rows: readonly (readonly [Partial<MockOptions>, string])[] = [
    [{ urls: 'both' }, '"--urls both" cannot be'],
    [{ port: '70000' }, 'flag "--port" needs a port'],
    [{ adminPort: 'x' }, 'flag "--admin" needs a port'],
    [{ urls: 'documented', port: '0' }, '"--port 0" goes with "--urls loopback" only'],
    [{ switches: ['colour=red'] }, 'unknown switch "colour"'],
    [{ switchesFile: join(place, 'nowhere') }, `"--switches ${join(place, 'nowhere')}": ENOENT`],
    [{ seedFile: join(place, 'nowhere') }, `"--seed ${join(place, 'nowhere')}": ENOENT`],
  ]
  for (const [options, message] of rows) {
    const refused = serveMock({ folder, ...options }, { write() {}, signal: AbortSignal.abort() })
    await expect(refused).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(message) })
  }
  expect(existsSync(folder)).toBe(false)
  await expect(serve({ faults: ['explode'] })).rejects.toMatchObject({ code: 'USAGE' })
})

test('a port that is in use is reported, with what to do', async () => {
  await using mock = await serve()

  await expect(serve({ port: new URL(mock.origin).port })).rejects.toMatchObject({
    code: 'TWIN',
    message: expect.stringContaining('EADDRINUSE'),
    problems: [{ hint: 'another process has the port; choose another with --port, or 0 for any free one' }],
  })
})
