/** What the vault knows of a client, from its answers and its calls. */
import { createHash } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { Secret } from '../../src/secret/index.ts'
import { fingerprint, type Probe, proveToken, type Registration, recover, vaultOf } from '../../src/vault/index.ts'
import { damaged } from '../prove/hostile/answers.ts'
import {
  answer,
  asLeft,
  body,
  CHALLENGE,
  CLIENT_ID,
  call,
  ended,
  eventsIn,
  fallbacks,
  KEY,
  logIn,
  PRESENTED,
  register,
  temporaryFolder,
  thrown,
  token,
  URI,
  vaultIn,
} from '../support/vault.ts'

const inNew = async (more?: Parameters<typeof vaultIn>[1]) => vaultIn(await temporaryFolder(), more)
const registered = (name: string) => JSON.parse(body(name)) as Record<string, unknown>
const answers =
  (status: number, text = '', presented = PRESENTED): Probe =>
  async () => ({ kind: 'answered', status, headers: status === 401 ? CHALLENGE : [], body: text, presented })

function plain(registration: Registration | undefined) {
  return (
    registration && { ...registration, registrationAccessToken: registration.registrationAccessToken?.reveal() ?? null }
  )
}

test('a registration is read back as it was answered, without its credentials among the metadata', async () => {
  const vault = await inNew({ now: () => new Date('2026-01-02T03:04:05.678Z') })
  const text = body('token-1', {
    client_secret: 's',
    hashed_secret: 'h',
    software_statement: 'a.b.c',
    scopes: ['cards.read'],
    extension: { client_secret: 's', kept: true },
  })

  const kept = await vault.keep(answer(text, { status: 201, step: 'register', runId: 'run-1' }))

  const at = '2026-01-02T03:04:05.679Z'
  const expected = {
    clientId: CLIENT_ID,
    registrationAccessToken: 'token-1',
    registrationClientUri: URI,
    metadata: { client_id: CLIENT_ID, scopes: ['cards.read'], extension: { kept: true } },
    scopes: ['cards.read'],
    softwareStatementSha256: createHash('sha256').update('a.b.c').digest('base64url'),
    fallbacks: [],
    workedAt: undefined,
    keptAt: at,
    runId: 'run-1',
    step: 'register',
    deletedAt: undefined,
    origin: { at, runId: 'run-1', step: 'register', purpose: 'kept' },
  }
  expect(plain(kept?.registration)).toEqual(expected)
  expect({ rotated: kept?.rotated, problem: kept?.problem }).toEqual({ rotated: false, problem: undefined })
  expect(plain(await vault.current(CLIENT_ID))).toEqual(expected)
})

test.each([
  ['an answer without the two members', answer('{"client_id":"c"}'), false],
  ['an error answer that repeats the token', answer(body('token-1'), { status: 400 }), false],
  ['a redirect', answer(body('token-1'), { status: 302 }), false],
  ['an empty answer', answer('', { status: 204 }), false],
  ['only the token', answer('{"registration_access_token":"token-1"}'), true],
  ['only the URI', answer('{"registration_client_uri":"https://auth.example/"}'), true],
  ['a token that is a number', answer('{"registration_access_token":7}'), true],
  ['a token that is null', answer('{"registration_access_token":null}'), true],
  ['a client_id that is an object', answer(JSON.stringify({ ...registered('token-1'), client_id: {} })), true],
  ['members in a wrapper', answer(JSON.stringify({ data: registered('token-1') })), true],
  ['members three wrappers deep', answer(JSON.stringify({ a: [{ b: registered('token-1') }] })), true],
  ['JSON cut in the middle', answer(body('token-1').slice(0, -3)), true],
  ['JSON behind a byte order mark', answer(`\uFEFF${body('token-1')}`), true],
  ['a name written with escapes', answer('{"registration\\u005faccess_token":"token-1"}'), true],
  ['an unpaired surrogate', answer(body('token-1', { client_name: '\ud800' })), true],
])('%s: kept as it came, or not kept at all', async (_, given, isKept) => {
  const folder = await temporaryFolder()

  const kept = await vaultIn(folder).keep(given)

  expect(kept !== undefined).toBe(isKept)
  if (isKept) expect((await eventsIn(logIn(folder))).at(-1)).toMatchObject({ kind: 'answer', body: given.body })
})

test('in a wrapper the token is found, and stays hidden there too', async () => {
  const vault = await inNew()
  const { client_id: client, ...rest } = registered('token-1')

  const kept = await vault.keep(answer(JSON.stringify({ client_id: client, data: { ...rest, grant_types: [] } })))

  expect(plain(kept?.registration)).toMatchObject({ clientId: CLIENT_ID, registrationAccessToken: 'token-1' })
  expect(kept?.registration.metadata).toEqual({ grant_types: [] })
})

test('nesting of any depth is read', async () => {
  const vault = await inNew()
  const deep = 3000
  const text = `${'{"a":'.repeat(deep)}${body('token-1')}${'}'.repeat(deep)}`

  await vault.keep(answer(text))

  expect(await token(vault)).toBe('token-1')
})

test.each([
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['gzip, identity', gzipSync],
  ['deflate, gzip', (bytes: Uint8Array) => gzipSync(deflateSync(bytes))],
])('an answer in %s that nobody asked for is kept as it came, and its token is found', async (coding, encode) => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  const bytes = encode(Buffer.from(body('token-1')))

  await using intent = await vault.begin(call('register'))
  await intent.keep({ status: 201, body: bytes, coding })
  await intent.close('answered')

  expect((await eventsIn(logIn(folder))).at(-1)).toMatchObject({
    coding,
    encoding: 'base64',
    body: bytes.toString('base64'),
  })
  expect([await token(vault), await vault.unsettled()]).toEqual(['token-1', []])
})

test.each(['zip', 'gzip', 'aes128gcm'])(
  'an answer whose coding "%s" cannot be undone is kept, and its call stays open',
  async (coding) => {
    const vault = await inNew()

    await using intent = await vault.begin(call('register'))
    await intent.keep({ status: 201, body: Buffer.from([0x1f, 0x8b, 1, 2, 255]), coding })
    await intent.close('answered')

    expect(await vault.unsettled()).toMatchObject([{ effect: 'register', status: 201, way: 'ask' }])
    expect(await vault.keep(answer('', { body: Buffer.from([255]), coding, clientId: CLIENT_ID }))).toBeDefined()
  },
)

test.each([
  ['plain text that is said to be gzip', Buffer.from(body('token-1'))],
  ['gzip with a wrong checksum', damaged(gzipSync(body('token-1')))],
])('of %s the token is found', async (_, bytes) => {
  const vault = await inNew()

  await vault.keep(answer('', { body: bytes, coding: 'gzip' }))

  expect(await token(vault)).toBe('token-1')
})

const WHOLE = { bodyAt: 24, isChunked: false }

test.each([
  ['is cut behind both members', (text: string) => text.slice(0, text.lastIndexOf(',')), 'settled'],
  ['is cut within its token', (text: string) => text.slice(0, text.indexOf('token-1') + 5), 'ask'],
  ['is JSON within a page', (text: string) => `<pre>${text}</pre>`, 'settled'],
])(
  'of a message that no HTTP parser took, whose body %s, the members are found that are whole',
  async (_, cut, way) => {
    const vault = await inNew()
    const text = cut(
      JSON.stringify({
        client_id: CLIENT_ID,
        registration_client_uri: URI,
        registration_access_token: 'token-1',
        more: 1,
      }),
    )

    await using intent = await vault.begin(call('register'))
    await intent.keep({ status: 201, body: Buffer.from(`HTTP/1.1 201 Created\r\n\r\n${text}`), message: WHOLE })
    await intent.close('answered')

    expect((await vault.unsettled()).map((open) => open.way)).toEqual(way === 'settled' ? [] : [way])
    expect(await token(vault)).toBe(way === 'settled' ? 'token-1' : undefined)
  },
)

test('a registration within a list of 300,000 elements is found', async () => {
  const vault = await inNew()

  await vault.keep(answer(`[${'0,'.repeat(300_000)}${body('token-1')}]`))

  expect(await token(vault)).toBe('token-1')
})

test('an answer whose bytes are no text is kept byte for byte', async () => {
  const folder = await temporaryFolder()
  const bytes = Uint8Array.from([0xef, 0xbb, 0xbf, ...Buffer.from(body('token-1')), 0xff])

  await vaultIn(folder).keep(answer('', { body: bytes }))

  expect((await eventsIn(logIn(folder))).at(-1)).toMatchObject({
    encoding: 'base64',
    body: Buffer.from(bytes).toString('base64'),
  })
})

test('an answer that names no client is kept for the client the request was about, else under its run and step', async () => {
  const vault = await inNew()
  const text = '{"registration_access_token":"token-2"}'

  expect((await vault.keep(answer(text, { clientId: CLIENT_ID })))?.registration.clientId).toBe(CLIENT_ID)
  expect((await vault.keep(answer(text)))?.registration.clientId).toBe('unknown (run run-read, step read)')
})

test('an answer with only one of the two members leaves the other as it was', async () => {
  const vault = await inNew()
  await register(vault)

  await vault.keep(answer(JSON.stringify({ client_id: CLIENT_ID, registration_access_token: 'token-2' })))
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-2',
    registrationClientUri: URI,
  })

  await vault.keep(answer(JSON.stringify({ client_id: CLIENT_ID, registration_client_uri: 'https://other.example/' })))
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-2',
    registrationClientUri: 'https://other.example/',
  })
  // And what cannot be used replaces nothing.
  const kept = await vault.keep(answer(JSON.stringify({ client_id: CLIENT_ID, registration_access_token: 7 })))
  expect([kept?.rotated, await token(vault)]).toEqual([false, 'token-2'])
})

test('reading a client again and again does not make the log grow', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  await register(vault)

  await vault.keep(answer(body('token-1')))
  await vault.worked(CLIENT_ID)
  await vault.worked(CLIENT_ID)

  expect((await eventsIn(logIn(folder))).map(({ kind }) => kind)).toEqual(['vault', 'call', 'answer', 'worked'])
})

test('a deleted client is marked, not destroyed, and a new registration takes nothing from the old one', async () => {
  const vault = await inNew()
  await register(vault)

  await vault.remove(CLIENT_ID, { runId: 'run-2', step: 'delete' })
  await vault.remove(CLIENT_ID)
  await vault.remove('never seen')

  expect(await vault.current(CLIENT_ID)).toBeUndefined()
  expect((await vault.list()).registrations.map(plain)).toMatchObject([
    { clientId: CLIENT_ID, registrationAccessToken: 'token-1', deletedAt: expect.stringMatching(/Z$/) },
  ])
  expect((await vault.history(CLIENT_ID)).map(({ what, runId }) => `${what} ${runId}`)).toEqual([
    'registered run-register',
    'deleted run-2',
  ])
  const kept = await vault.keep(answer(JSON.stringify({ client_id: CLIENT_ID, registration_access_token: 'token-9' })))
  expect(kept?.rotated).toBe(false)
  expect(plain(await vault.current(CLIENT_ID))).toMatchObject({
    registrationAccessToken: 'token-9',
    registrationClientUri: undefined,
  })
})

test('environments and clients do not mix, and a folder that does not exist yet holds none', async () => {
  const folder = await temporaryFolder()
  const [uat, production] = [vaultIn(folder), vaultIn(folder, { environment: 'prod' })]
  expect([await uat.current(CLIENT_ID), await uat.list()]).toEqual([undefined, { registrations: [], unreadable: [] }])

  for (const id of ['b', 'a']) await uat.keep(answer(body(`token-${id}`, { client_id: id })))
  await production.keep(answer(body('token-p', { client_id: 'a' })))

  const tokens = async (vault: typeof uat) =>
    (await vault.list()).registrations.map(plain).map((one) => [one?.clientId, one?.registrationAccessToken])
  expect(await tokens(uat)).toEqual([
    ['a', 'token-a'],
    ['b', 'token-b'],
  ])
  expect(await tokens(production)).toEqual([['a', 'token-p']])
})

test('every token that a client ever held is known by its fingerprint, with what took its place and when', async () => {
  const vault = await inNew()
  await register(vault)
  await vault.worked(CLIENT_ID)
  await ended(vault, 'update', 200, body('token-2'))
  const [one, two] = ['token-1', 'token-2'].map(fingerprint)
  const at = '2026-01-02T03:04:09.000Z'

  expect(await vault.tokens(CLIENT_ID)).toEqual([
    {
      fingerprint: one,
      state: 'fallback',
      at: '2026-01-02T03:04:07.000Z',
      runId: 'run-register',
      step: 'register',
      workedAt: '2026-01-02T03:04:08.000Z',
      replacedBy: two,
      replacedAt: expect.stringMatching(/Z$/),
    },
    {
      fingerprint: two,
      state: 'current',
      at: expect.stringMatching(/Z$/),
      runId: 'run-update',
      step: 'update',
      workedAt: undefined,
      replacedBy: undefined,
      replacedAt: undefined,
    },
  ])
  expect(at).toMatch(/Z$/)
  await vault.worked(CLIENT_ID)
  expect((await vault.tokens(CLIENT_ID)).map(({ state }) => state)).toEqual(['superseded', 'current'])
  await vault.remove(CLIENT_ID)
  expect((await vault.tokens(CLIENT_ID)).map(({ state }) => state)).toEqual(['superseded', 'superseded'])
})

test('the token before the newest stays until the newest has worked; one that works is current again', async () => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'update', 200, body('token-2'))
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-2', ['token-1']])
  await vault.worked(CLIENT_ID)
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-2', []])

  await ended(vault, 'update', 200, body('token-3'))
  await vault.worked(CLIENT_ID, { token: new Secret('token-2', 'token') })
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-2', ['token-3']])
})

test.each([
  ['that was superseded', 'token-1', 'token-2', []],
  ['that is current', 'token-2', 'token-2', []],
  ['that nobody knows, where one is known to work', 'token-9', 'token-2', ['token-9']],
])('an imported token %s takes the place of none', async (_, name, current, others) => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'update', 200, body('token-2'))
  await vault.worked(CLIENT_ID)
  const entry = {
    kind: 'answer',
    at: '2026-06-01T00:00:00.000Z',
    runId: 'import',
    step: 'file',
    status: 200,
    clientId: CLIENT_ID,
  }

  await vault.import(CLIENT_ID, [{ ...entry, body: body(name), imported: true }])

  expect([await token(vault), await fallbacks(vault)]).toEqual([current, others])
})

test('an imported token is current where the vault holds none that a server gave it', async () => {
  const vault = await inNew()
  const entry = {
    kind: 'answer',
    at: '2026-06-01T00:00:00.000Z',
    runId: 'import',
    step: 'file',
    status: 200,
    clientId: CLIENT_ID,
  }

  await vault.import(CLIENT_ID, [{ ...entry, body: body('token-8'), imported: true }])
  await vault.import(CLIENT_ID, [{ ...entry, body: body('token-9'), imported: true }])
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-9', ['token-8']])

  await ended(vault, 'update', 200, body('token-1'))
  await vault.import(CLIENT_ID, [{ ...entry, at: '2026-06-02T00:00:00.000Z', body: body('token-7'), imported: true }])
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-1', ['token-7', 'token-9', 'token-8']])
})

test('what is imported takes its place by its time: an old deletion buries no client that came after it', async () => {
  const [vault, other] = [await inNew(), await inNew()]
  await register(other, 'token-0')
  await ended(other, 'delete', 204)
  await other.close()
  const later = await inNew({ now: () => new Date('2026-02-01T00:00:00Z') })
  await register(later, 'token-1')

  for (const { clientId, entries } of await other.export()) expect(await later.import(clientId, entries)).toBe(2)

  expect(await token(later)).toBe('token-1')
  expect((await later.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'deleted', 'registered'])
  for (const { clientId, entries } of await later.export()) {
    expect(await later.import(clientId, entries)).toBe(0)
    expect(await vault.import(clientId, entries)).toBe(3)
  }
  expect(await token(vault)).toBe('token-1')
  expect((await thrown(vault.import(CLIENT_ID, [{ kind: 'answer' }]))).message).toContain(
    'holds what is no entry of a vault',
  )
})

test('VAULT_DIR of a folder without a vault does not hide the vault that the project has', async () => {
  const project = await temporaryFolder()
  const environment = (folder: string, name = 'uat') => ({
    ...({ name, flags: [], class: 'uat', folder: project } as const),
    vault: { folder, key: new Secret(Buffer.from(KEY).toString('base64url'), 'VAULT_KEY') },
  })
  const open = (...about: Parameters<typeof environment>) => {
    const vault = vaultOf(environment(...about), { now: () => new Date() })
    onTestFinished(() => vault.close())
    return vault
  }
  const usual = join(project, '.vault', 'uat')
  await open(usual).prepare()

  const { problems } = await thrown(open(join(project, 'empty')).prepare())
  expect(problems).toEqual([
    {
      code: 'VAULT_UNWRITABLE',
      message: `vault folder "${join(project, 'empty')}" holds no vault of "uat", but the project has one; nothing was sent`,
      found: `"${join(usual, 'uat.log')}"`,
      hint: 'leave VAULT_DIR away, name the folder that holds the vault with it, or move the vault there',
    },
  ])
  await open(join(project, 'empty'), 'prod').prepare()
  await cp(usual, join(project, 'moved'), { recursive: true })
  await open(join(project, 'moved')).prepare()
})

const OURS = { clientId: CLIENT_ID, softwareId: 'software-1' }
const theirs = (id: string, name = 'token-1') =>
  JSON.stringify({
    client_id: id,
    registration_access_token: name,
    registration_client_uri: `https://auth.example/${id}`,
  })

/** Registers on a server that issues ids of its own. */
async function issued(vault: ReturnType<typeof vaultIn>, id: string, name?: string): Promise<void> {
  await using intent = await vault.begin({ ...call('register'), ...OURS })
  await intent.keep({ status: 201, body: theirs(id, name) })
  await intent.close('answered')
}

test('a client that the server named itself is found by what the environment names, and by its application', async () => {
  const vault = await inNew()
  await issued(vault, 'issued-1')

  for (const about of [
    'issued-1',
    CLIENT_ID,
    { softwareId: 'software-1' },
    { clientId: 'new id', softwareId: 'software-1' },
  ])
    expect((await vault.current(about))?.clientId).toBe('issued-1')
  expect(await vault.current({ clientId: 'new id', softwareId: 'software-2' })).toBeUndefined()
  expect(await vault.unsettled()).toEqual([])
})

test.each([
  ['by its address', { url: 'https://auth.example/issued-1' }],
  ['by its token', { url: 'https://elsewhere.example/x', token: 'token-1' }],
  ['by what the environment names', { url: 'https://elsewhere.example/x' }],
])('a DELETE of a client that the server named itself is recorded for it, %s', async (_, how) => {
  const vault = await inNew()
  await issued(vault, 'issued-1')

  await using intent = await vault.begin({ ...call('delete'), ...OURS, ...how })
  await intent.keep({ status: 204, body: '' })
  await intent.close('answered')

  expect(intent.clientId).toBe('issued-1')
  expect(await vault.current({ ...OURS })).toBeUndefined()
  expect((await vault.ledger()).map(({ clientId, state }) => [clientId, state])).toEqual([['issued-1', 'deleted']])
})

test('a DELETE at the address of one client with the token of another, which a server took, is recorded for the address', async () => {
  const vault = await inNew()
  await issued(vault, 'issued-1')
  await issued(vault, 'issued-2', 'token-2')

  const how = { url: 'https://auth.example/issued-2', token: 'token-1' }
  await using intent = await vault.begin({ ...call('delete'), ...OURS, ...how })
  await intent.keep({ status: 204, body: '' })
  await intent.close('answered')

  expect((await vault.ledger()).map(({ clientId, state }) => [clientId, state])).toEqual([
    ['issued-1', 'kept'],
    ['issued-2', 'deleted'],
  ])
})

test('of two clients of one application none is taken by chance: nothing is sent, and each can be named', async () => {
  const vault = await inNew()
  await issued(vault, 'issued-1')
  await issued(vault, 'issued-2', 'token-2')
  const problem = {
    code: 'USAGE',
    message: 'the vault of "uat" holds 2 clients of this application; nothing was sent',
    found: '"issued-1", "issued-2"',
    hint: 'set CLIENT_ID to the one that is meant',
  }

  expect((await thrown(vault.current(OURS))).problems).toEqual([problem])
  expect((await thrown(vault.begin({ ...call('update'), ...OURS }))).problems).toEqual([problem])
  expect((await vault.current({ ...OURS, clientId: 'issued-2' }))?.registrationAccessToken?.reveal()).toBe('token-2')
  await using intent = await vault.begin({ ...call('update'), ...OURS, url: 'https://auth.example/issued-2' })
  expect(intent.clientId).toBe('issued-2')
  // An answer that comes all the same is kept.
  expect(await vault.keep(answer(theirs('issued-1', 'token-3'), OURS))).toMatchObject({ rotated: true })
})

test('a POST that was lost is settled by one that is answered under another id', async () => {
  const vault = await inNew()
  await (await vault.begin({ ...call('register'), ...OURS })).close('unknown')
  expect(await vault.unsettled()).toMatchObject([{ clientId: CLIENT_ID, way: 'retry' }])

  await issued(vault, 'issued-1')

  expect(await vault.unsettled()).toEqual([])
  expect((await vault.history('issued-1')).map(({ what }) => what)).toEqual(['registered', 'settled'])
})

test('a call that was not sent leaves nothing open; any other end without an answer does', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)

  await (await vault.begin(call('register'))).close('not-sent')
  expect(await vault.unsettled()).toEqual([])
  {
    await using _ = await vault.begin(call('register'))
    expect(await vault.unsettled()).toMatchObject([{ way: 'wait', next: 'another process is at it; let it end' }])
    expect(await vaultIn(folder).unsettled()).toMatchObject([{ way: 'wait' }])
  }
  const begunAt = '2026-01-02T03:04:08.000Z'
  expect(await vault.unsettled()).toEqual([
    {
      id: expect.any(String),
      clientId: CLIENT_ID,
      effect: 'register',
      method: 'POST',
      url: 'https://auth.example/register',
      step: 'register',
      runId: 'run-register',
      purpose: 'kept',
      begunAt,
      status: undefined,
      way: 'retry',
      known: `POST of step "register" in run run-register left at ${begunAt}; no answer was kept`,
      next: 'register again: thredd run register --env uat; where the first registration took place the server refuses the second, and then thredd vault list --env uat says how to ask Thredd to delete the client',
    },
  ])
  // A process that dies says nothing; its lock does.
  await vault.begin(call('register'))
  const left = vaultIn(await asLeft(folder))
  expect((await left.prepare()).map((warning) => warning.split(':')[0])).toEqual(
    Array(2).fill('open register of client "https'),
  )
})

test.each([
  ['a registration', 'register', 201, body('token-2'), []],
  ['a registration without its token', 'register', 201, '{"client_id":"x"}', ['ask']],
  ['a registration in HTML', 'register', 201, '<html>', ['ask']],
  ['a refused registration', 'register', 400, '{}', []],
  ['a registration and a gateway that gave up', 'register', 504, '', ['retry']],
  ['an update without a token', 'update', 200, '{}', []],
  ['an update whose answer cannot be read', 'update', 200, '{"registration_access', ['read']],
  ['a refused update', 'update', 401, '', []],
  ['an update and a server error', 'update', 500, '', ['read']],
  ['a deletion', 'delete', 204, '', []],
  ['a deletion and a request timeout', 'delete', 408, '', ['read']],
] as const)('%s: the answer settles the call or says too little', async (_, effect, status, text, ways) => {
  const vault = await inNew()
  if (effect !== 'register') await register(vault)

  await ended(vault, effect, status, text)

  expect((await vault.unsettled()).map(({ way }) => way)).toEqual(ways)
})

async function onlyOpen(vault: ReturnType<typeof vaultIn>) {
  const [open] = await vault.unsettled()
  if (open === undefined) throw new Error('nothing is open')
  return open
}

test('recovering an update: the stored token works, so the call is settled and stands in the history', async () => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'update')
  const open = await onlyOpen(vault)

  expect(open.way).toBe('read')
  expect(await recover(vault, open, { runId: 'r' })).toEqual({ settled: false, words: open.next })
  expect(await recover(vault, open, { probe: answers(200, body('token-1')), runId: 'r' })).toEqual({
    settled: true,
    words: 'the stored token works; compare its metadata with what was sent, and repeat the update if it is missing',
  })
  expect(await vault.unsettled()).toEqual([])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual([
    'registered',
    'answered',
    'settled',
    'worked',
  ])
})

test('recovering an update: the token is gone, so Thredd must delete the client; its word settles the call', async () => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'update')

  expect(await recover(vault, await onlyOpen(vault), { probe: answers(401), runId: 'r' })).toEqual({
    settled: false,
    words: `the server refuses the stored token with status 401; no usable token is left: ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}" (Thredd CA > Applications > Details), with the message of thredd message delete ${CLIENT_ID} --token-refused --env uat; when Thredd confirms: thredd vault recover ${CLIENT_ID} --deleted-by-thredd --env uat, then register again: thredd run register --env uat`,
  })
  await vault.remove(CLIENT_ID)
  expect(await vault.unsettled()).toEqual([])
})

test.each([
  ['still works', 200, body('token-1'), true, 'the client was not deleted', 'token-1'],
  ['is refused', 401, '', true, 'the client is deleted', undefined],
  ['meets an error', 503, '', false, 'status 503; try again later', 'token-1'],
])('recovering a deletion: the token %s', async (_, status, text, settled, words, after) => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'delete')

  const result = await recover(vault, await onlyOpen(vault), { probe: answers(status, text), runId: 'r' })

  expect(result).toEqual({ settled, words: expect.stringContaining(words) })
  expect(await token(vault)).toBe(after)
  expect(await vault.unsettled()).toHaveLength(settled ? 0 : 1)
})

test('a refusal says nothing of a client whose token was issued to another certificate than the one presented', async () => {
  const vault = await inNew()
  await using intent = await vault.begin({ ...call('register'), thumbprint: 'certificate-2' })
  await intent.keep({ status: 201, body: body('token-1') })
  await intent.close('answered')
  await ended(vault, 'delete')
  const recovering = async (probe: Probe) => await recover(vault, await onlyOpen(vault), { probe, runId: 'r' })

  expect(await recovering(answers(401))).toEqual({
    settled: false,
    words: `the server refuses the stored token with status 401, presented with the certificate of identity "transport" (x5t#S256 certificate-1), but it was last issued to or accepted with x5t#S256 certificate-2: a server may bind a token to its certificate, so this does not show whether the client is there; nothing was changed; name that certificate as an identity of the environment, with IDENTITY_<NAME>_CERT_FILE and IDENTITY_<NAME>_KEY_FILE, and repeat the command; without that certificate ask Thredd whether the client is there, and if it is deleted: thredd vault recover ${CLIENT_ID} --deleted-by-thredd --env uat`,
  })
  expect([await token(vault), (await vault.unsettled()).length]).toEqual(['token-1', 1])
  const asked: (string | undefined)[] = []
  expect(
    await recovering(async (_, __, thumbprint) => {
      asked.push(thumbprint)
      return {
        kind: 'answered',
        status: 401,
        headers: CHALLENGE,
        body: '',
        presented: { ...PRESENTED, thumbprint: 'certificate-2' },
      }
    }),
  ).toEqual({
    settled: true,
    words: 'the server refuses the stored token with status 401: the client is deleted, and marked so',
  })
  expect(asked).toEqual(['certificate-2'])
})

test('the certificate with which a token worked last is the one whose refusal counts', async () => {
  const vault = await inNew()
  await using intent = await vault.begin({ ...call('register'), thumbprint: 'certificate-2' })
  await intent.keep({ status: 201, body: body('token-1') })
  await intent.close('answered')
  const prove = async (probe: Probe) =>
    (await proveToken(vault, (await vault.current(CLIENT_ID)) as Registration, probe, { runId: 'r' })).token
  const known = async () => (await vault.current(CLIENT_ID))?.thumbprint

  expect([await prove(answers(401)), await known()]).toEqual(['unknown', 'certificate-2'])
  expect([await prove(answers(200, '{}')), await known()]).toEqual(['works', 'certificate-1'])
  expect(await prove(answers(401))).toBe('refused')
  const again = answers(200, body('token-1'), { ...PRESENTED, thumbprint: 'certificate-3' })
  expect([await prove(again), await known()]).toEqual(['works', 'certificate-3'])
  const { size } = vault
  expect([await prove(again), vault.size]).toEqual(['works', size])
})

test.each([
  ['the only one of the environment', PRESENTED, undefined, true],
  ['one of several', { ...PRESENTED, isOnly: false }, undefined, false],
  ['the only one, and the call went out with another', PRESENTED, 'certificate-2', false],
])(
  'a refusal where nobody knows the certificate of the token: the one presented is %s',
  async (_, presented, thumbprint, settled) => {
    const vault = await inNew()
    await register(vault)
    await (await vault.begin({ ...call('delete'), thumbprint })).close('unknown')

    const result = await recover(vault, await onlyOpen(vault), { probe: answers(401, '', presented), runId: 'r' })

    expect(result.settled).toBe(settled)
    expect(await token(vault)).toBe(settled ? undefined : 'token-1')
  },
)

test('recovering a registration: a second one that succeeds settles the first, one that is refused leads to Thredd', async () => {
  const vault = await inNew()
  await ended(vault, 'register')

  await ended(vault, 'register', 400, '{"error":"invalid_client_metadata"}')
  expect(await vault.unsettled()).toMatchObject([
    { way: 'ask', known: expect.stringContaining('; a later attempt was refused with status 400') },
  ])
  await register(vault, 'token-2')
  expect(await vault.unsettled()).toEqual([])
  expect((await vault.history(CLIENT_ID)).map(({ what }) => what)).toEqual(['registered', 'settled'])
})

test('tokens are tried one after the other, and one that brings a new one stays to fall back to', async () => {
  const vault = await inNew()
  await register(vault)
  await ended(vault, 'update', 200, body('token-2'))
  await ended(vault, 'update', 200, body('token-3'))
  const only =
    (name: string, text = '{}'): Probe =>
    async (_, used) => ({
      kind: 'answered',
      status: used.reveal() === name ? 200 : 401,
      headers: CHALLENGE,
      body: text,
      presented: PRESENTED,
    })
  const prove = async (probe: Probe) =>
    await proveToken(vault, (await vault.current(CLIENT_ID)) as Registration, probe, { runId: 'r' })

  expect(await prove(only('token-1'))).toEqual({
    token: 'works',
    words: 'an earlier token works, and is current again',
  })
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-1', ['token-3']])
  expect(await prove(only('token-1', body('token-4')))).toEqual({
    token: 'works',
    words: 'the stored token works; the answer replaced it by a new one',
  })
  expect([await token(vault), await fallbacks(vault)]).toEqual(['token-4', ['token-1', 'token-3']])
  expect(await prove(answers(401))).toEqual({
    token: 'refused',
    words: 'the server refuses all 3 stored tokens with status 401',
  })
})

test('of two processes that change one client the second waits, then says who is in the way and that nothing was sent', async () => {
  const folder = await temporaryFolder()
  const [one, two] = [vaultIn(folder), vaultIn(folder)]
  const intent = await one.begin(call('register'))

  expect((await thrown(two.begin(call('register')))).problems).toEqual([
    {
      code: 'VAULT_UNWRITABLE',
      message: `client "${CLIENT_ID}" is being changed by another process`,
      found: expect.stringMatching(/^step "register" of run run-register, which left at \S+Z and has no answer yet$/),
      hint: 'let the other run end, or stop it',
    },
  ])
  // Another client is changed meanwhile.
  await (await two.begin({ ...call('register'), clientId: 'another' })).close('not-sent')
  const waiting = vaultIn(folder, { lockWaitMs: 10_000 }).begin(call('register'))
  await intent.close('unknown')
  await (await waiting).close('not-sent')
})

test('the same process does not change one client twice at a time either', async () => {
  const vault = await inNew()
  await using _ = await vault.begin(call('register'))

  expect((await thrown(vault.begin(call('register')))).message).toContain('is being changed by another process')
})

test('forgetting leaves nothing of a client, but not while a call is open', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  await register(vault)
  await vault.keep(answer(body('token-b', { client_id: 'b' })))
  await ended(vault, 'update')
  expect((await thrown(vault.forget(CLIENT_ID))).problems[0]).toMatchObject({
    message: `a call of client "${CLIENT_ID}" is open; its record is not destroyed`,
    hint: `settle it first: thredd vault recover ${CLIENT_ID} --online --env uat`,
  })
  await vault.worked(CLIENT_ID)

  await vault.forget(CLIENT_ID)

  expect((await eventsIn(logIn(folder))).map(({ kind, clientId }) => [kind, clientId])).toEqual([
    ['vault', undefined],
    ['answer', 'b'],
  ])
  expect((await vaultIn(folder).list()).registrations.map(({ clientId }) => clientId)).toEqual(['b'])
  await vault.forget()
  expect((await vaultIn(folder).list()).registrations).toEqual([])
})

const USE = { clientId: CLIENT_ID, server: 'https://auth.example', scope: 'cards.read', thumbprint: 'x5t' }
const API_TOKEN = { receivedAt: '2026-01-02T03:04:05.000Z', expiresAt: '2026-01-02T04:04:05.000Z' }

test('an API access token is given out for just what it was asked for', async () => {
  const vault = await inNew()
  await vault.keepAccessToken(USE, {
    ...API_TOKEN,
    accessToken: new Secret('narrow', 'access_token'),
    scope: 'cards.read',
  })
  await vault.keepAccessToken(
    { ...USE, scope: undefined },
    { ...API_TOKEN, accessToken: new Secret('wide', 'access_token') },
  )

  const given = async (use: typeof USE | Omit<typeof USE, 'scope'>) =>
    (await vault.accessToken(use))?.accessToken.reveal()
  expect(await given(USE)).toBe('narrow')
  expect(await given({ clientId: USE.clientId, server: USE.server, thumbprint: USE.thumbprint })).toBe('wide')
  for (const other of [
    { scope: 'cards.write' },
    { clientId: 'b' },
    { server: 'https://b.example' },
    { thumbprint: 'b' },
  ])
    expect(await given({ ...USE, ...other })).toBeUndefined()
  await vault.keepAccessToken(USE, { ...API_TOKEN, accessToken: new Secret('newer', 'access_token') })
  expect(await given(USE)).toBe('newer')
})

test('a line with a token that is copied to another place is found, not handed out', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  await vault.keepAccessToken(
    { ...USE, scope: undefined },
    { ...API_TOKEN, accessToken: new Secret('wide', 'access_token') },
  )
  await vault.keepAccessToken(USE, { ...API_TOKEN, accessToken: new Secret('narrow', 'access_token') })
  const { readFile, writeFile } = await import('node:fs/promises')
  const lines = (await readFile(logIn(folder), 'latin1')).split('\n')
  await writeFile(logIn(folder), [...lines.slice(0, 3), lines[2], ''].join('\n'))

  const next = vaultIn(folder)
  expect(await next.accessToken(USE)).toBeUndefined()
  expect((await thrown(next.prepare())).message).toContain('line 4 of vault')
})

test.each([
  [URI, undefined, true],
  ['https://elsewhere.example/x', 'token-1', true],
  ['https://elsewhere.example/x', 'token-9', false],
  [`${URI}/x`, undefined, false],
])('whether %s with token %s manages a registered client: %s', async (url, name, expected) => {
  const vault = await inNew()
  await register(vault)

  expect(await vault.manages(url, name)).toBe(expected)
  await vault.remove(CLIENT_ID)
  expect(await vault.manages(url, name)).toBe(false)
})
