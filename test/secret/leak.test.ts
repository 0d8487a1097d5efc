/**
 * Canaries: every secret of a run is known to the test, and none may be found in anything the run wrote, showed or
 * threw, in any encoding. The search is written apart from the redactor, so that one mistake is not made twice.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { inspect } from 'node:util'
import { HttpResponse, http } from 'msw'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeContentType, changeField, type Fault, loseAnswer, replaceBody } from '../../mocks/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import { createArtifacts, searchOnly } from '../../src/report/artifacts.ts'
import { USUAL_FORMATS } from '../../src/report/index.ts'
import { writePack } from '../../src/report/pack.ts'
import { Redactor } from '../../src/secret/index.ts'
import { html } from '../support/reports.ts'
import {
  attemptOnTwin,
  notPassed,
  ROOT,
  type RunOnTwinOptions,
  runOnTwin,
  stepOf,
  type Traffic,
} from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

/** With what needs escaping in JSON, URLs and forms. */
const PASSPHRASE = 'correct "horse" \\ battery/+ stäple & <co>'
const VAULT_KEY = randomBytes(32).toString('base64url')
const COOKIES: Readonly<Record<string, string>> = {
  first: randomBytes(16).toString('base64url'),
  second: randomBytes(16).toString('base64url'),
}
const NUMBER = '4815162342108'
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const PIN_BLOCK = '04A1B2C3D4E5F607'

let folder: string
/** settings that bring in secrets of our own: an encrypted key, its passphrase, the vault key */
let settings: Readonly<Record<string, string>>
/** name → value */
let ours: ReadonlyMap<string, string>

beforeAll(async () => {
  const pki = await sharedPki()
  folder = await mkdtemp(join(tmpdir(), 'thredd-leak-'))
  const transportKey = await readFile(pki.identities.transport.keyFile, 'utf8')
  const signingKey = await readFile(pki.identities.signing.keyFile, 'utf8')
  const file = join(folder, 'encrypted.key')
  const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE } as const
  await writeFile(file, createPrivateKey(transportKey).export(cipher))
  settings = {
    TRANSPORT_KEY_FILE: file,
    TRANSPORT_PASSPHRASE: PASSPHRASE,
    VAULT_KEY,
    SIGNING_KEY: signingKey,
    SIGNING_KEY_FILE: '',
  }
  ours = new Map([
    ['passphrase', PASSPHRASE],
    ['vault key', VAULT_KEY],
    ['transport key', transportKey],
    ['transport key, bytes', bodyOf(transportKey)],
    ['signing key', signingKey],
    ['signing key, bytes', bodyOf(signingKey)],
  ])
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test('a run over TLS leaves no secret in files, on the screen or in its events', async () => {
  const { found, secrets } = await search({ kind: 'tls' })

  expect(found).toEqual([])
  expect([...secrets.keys()].sort()).toEqual(
    [
      'passphrase',
      'registerClient client_secret',
      'registerClient hashed_secret',
      'registerClient registration_access_token',
      'signing key',
      'signing key, bytes',
      'token access_token',
      'token client_assertion',
      'directoryToken access_token',
      'introspect client_assertion',
      'getSoftwareStatementAssertion answer',
      'transport key',
      'transport key, bytes',
      'vault key',
    ].sort(),
  )
})

test('card numbers of answers are in no file, the run says so, and no hash is kept that would give them away', async () => {
  const number = '4111111111111111'
  const fault = answering('cardsSmoke', () => HttpResponse.json([{ pan: number }, { pan: 378282246310005 }]))
  await using ran = await runOnTwin({ faults: [fault], formats: USUAL_FORMATS })

  const files = await readdir(ran.reports, { recursive: true, withFileTypes: true })
  for (const file of files.filter((entry) => entry.isFile())) {
    const text = await readFile(join(file.parentPath, file.name), 'utf8')
    expect([file.name, text.includes(number) || text.includes('378282246310005')]).toEqual([file.name, false])
  }
  const body = stepOf(ran.record, 'cards-call').exchanges[0]?.response?.body
  expect(body?.text).toContain('"pan": "[card_number]"')
  expect(body).not.toHaveProperty('sha256')
  const warning = /^(\d+) numbers with the shape of a card number were removed/
  const number_ = Number(warning.exec(ran.record.warnings.at(-1) ?? '')?.[1])
  expect(ran.record.redaction).toMatchObject({
    cardNumbers: number_,
    replaced: { 'digits that have the shape of a card number': number_ },
  })
  expect(ran.screen).toContain('warning 2 numbers with the shape of a card number were removed')
  expect(html(ran.record)).toMatch(
    /<details class="fold" open><summary>.*warnings? of the run<\/summary><ul class="plain"><li>2 numbers with the shape/,
  )
})

test('names that REDACT adds are secret in requests and answers', async () => {
  const fault = answering('cardsSmoke', () => HttpResponse.json({ pin_block: PIN_BLOCK, said: `not ${PIN_BLOCK}` }))
  const own = await mkdtemp(join(folder, 'redacting-'))
  await writeFile(
    join(own, '.env.mock'),
    `${await readFile(join(ROOT, '.env.mock'), 'utf8')}\nREDACT=x-api-key, Pin_Block\n`,
  )
  await using ran = await runOnTwin({ faults: [fault], folder: own })

  const body = stepOf(ran.record, 'cards-call').exchanges[0]?.response?.body
  expect(body?.text?.replaceAll(/#[0-9a-f]{8}/g, '#')).toBe(
    '{\n  "pin_block": "[pin_block#]",\n  "said": "not [pin_block#]"\n}',
  )
  expect(ran.record.redaction.names).toEqual(['x-api-key', 'Pin_Block'])
})

test('every report of a run is among the files that are searched', async () => {
  // An archive holds the bytes of the folder as they are: once is enough.
  const { files, found } = await search({ packs: ['pack', 'pack.zip'] })

  expect(found).toEqual([])

  const written = new Set(files.map((file) => basename(file)))
  const names = [
    'record.json',
    'report.html',
    'report.md',
    'junit.xml',
    'ctrf.json',
    'run.har',
    'manifest.json',
    'pack.zip',
  ]
  for (const name of names) expect(written).toContain(name)
})

test('a client assertion for the directory is no less a secret', async () => {
  const { found, secrets } = await search({ settings: { DIRECTORY_AUTH_METHOD: 'private_key_jwt' } })

  expect(found).toEqual([])
  expect([...secrets.keys()]).toContain('directoryToken client_assertion')
})

/** What a flow does with an input, and a value that only this makes a secret. */
const INPUTS: readonly (readonly [because: string, schema: string, step: string, canary: string])[] = [
  [
    'its format says so, though it looks like words',
    '{ type: string, format: password }',
    `operationId: $sourceDescriptions.cards.cardsSmoke
        parameters: [{ name: Authorization, in: header, value: 'Bearer {$inputs.door}' }]`,
    'open sesame, please',
  ],
  [
    'it is sent as a bearer token',
    '{ type: string }',
    `operationId: $sourceDescriptions.cards.cardsSmoke
        parameters: [{ name: Authorization, in: header, value: 'Bearer {$inputs.door}' }]`,
    'open-sesame-4815162342',
  ],
  [
    'it is sent as a member with a secret name',
    '{ type: string }',
    `operationId: $sourceDescriptions.authorization.revoke
        requestBody:
          contentType: application/x-www-form-urlencoded
          payload: { token: other, client_assertion_type: other, client_assertion: $inputs.door }`,
    'open-sesame-4815162342',
  ],
]

test.for(INPUTS)('an input is a secret because %s', async ([, schema, step, canary]) => {
  const flow = join(folder, 'secret-input.arazzo.yaml')
  const api = (name: string) =>
    `{ name: ${name}, url: '${join(ROOT, `flows/apis/${name}.openapi.yaml`)}', type: openapi }`
  await writeFile(
    flow,
    `arazzo: 1.1.0
info: { title: A secret input, version: 1.0.0 }
sourceDescriptions: [${api('cards')}, ${api('authorization')}]
workflows:
  - workflowId: secret-input
    x-dcr: { effect: read }
    inputs: { type: object, required: [door], properties: { door: ${schema} } }
    steps:
      - stepId: send
        ${step}
    outputs: { door: $inputs.door }
`,
  )
  const echoes = ['cardsSmoke', 'revoke'].map((operation) =>
    answering(operation, (_, { request, requestBody }) => {
      const header = request.headers.get('authorization')?.slice('Bearer '.length)
      const form = new URLSearchParams(requestBody).getAll('client_assertion')
      return HttpResponse.json([{ productID: 1, productName: 'echo', header, form }])
    }),
  )

  const { found, ended } = await search({ flows: [flow], inputs: { door: canary }, faults: echoes }, { canary })

  expect(ended).toBe('conformant')
  expect(found).toEqual([])
})

test('what a later answer shows to be a secret is masked in the record of an earlier one', async () => {
  const canary = `later-${randomBytes(16).toString('hex')}`
  const early = answering('registerClient', (text) =>
    json(text, 201, { 'cache-control': 'no-store', 'x-next': canary }),
  )
  await using ran = await runOnTwin({
    faults: [early, changeField('readClient', '/registration_access_token', canary)],
  })

  const record = await readFile(ran.file, 'utf8')

  expect(hits('canary', needlesOf(canary), record)).toEqual([])
  const headers = stepOf(ran.record, 'register').exchanges[0]?.response?.headers
  expect(headers).toContainEqual(['x-next', expect.stringMatching(/^\[registration_access_token#[0-9a-f]{8}\]$/)])
})

test('what a server says about a secret member is no secret: the record still says what is wrong', async () => {
  const about = { error: 'invalid_request', errors: { client_secret: ['missing'], software_statement: 'is not valid' } }
  const fault = answering('registerClient', () => HttpResponse.json(about, { status: 400 }))
  await using ran = await runOnTwin({ faults: [fault] })

  expect(ran.record.verdict).toBe('non-conformant')
  const [check] = notPassed(stepOf(ran.record, 'register'))
  expect(check).toMatchObject({ expected: '201', actual: '400' })
  expect(JSON.parse(await readFile(ran.file, 'utf8'))).toHaveProperty('workflows.0.steps.2.scopes.missing', [])
})

/** What misbehaving servers do with secrets: some they were told or told us, some nobody could know for secrets. */
const FAULTS: readonly (readonly [title: string, fault: Fault, ended: string])[] = [
  [
    'client_secret in an error description',
    answering('readClient', (_, { client }) => refused(`the secret ${client('client_secret')} is of no use here`)),
    'non-conformant',
  ],
  [
    'client_secret in an error description before it was issued',
    answering('registerClient', (_, { client }) => refused(`client_secret=${client('client_secret')} refused`)),
    'non-conformant',
  ],
  ['JSON within an error description', answering('registerClient', (text) => refused(text)), 'non-conformant'],
  [
    'the client assertion in an error description',
    answering('token', (_, { requestBody }) => refused(`cannot read ${requestBody}`)),
    'non-conformant',
  ],
  [
    'the registration access token in a header, in three encodings',
    answering('readClient', (text, { client }) => {
      const token = client('registration_access_token')
      return new HttpResponse(text, {
        headers: {
          'content-type': 'application/json',
          'cache-control': 'no-store',
          'x-raw': token,
          'x-base64': Buffer.from(`token:${token}`).toString('base64'),
          'x-hex': Buffer.from(token).toString('hex'),
        },
      })
    }),
    'conformant',
  ],
  [
    'cookies, also where the body repeats them',
    answering('readClient', (text) => {
      const headers = new Headers({ 'content-type': 'application/json' })
      for (const name of ['first', 'second']) headers.append('set-cookie', `${name}=${COOKIES[name]}; HttpOnly`)
      return new HttpResponse(JSON.stringify({ ...JSON.parse(text), note: Object.values(COOKIES) }), { headers })
    }),
    'conformant',
  ],
  [
    'our own keys and passphrases, however the server came by them',
    answering('readClient', () => HttpResponse.html([...ours.values()].join('<br>'), { status: 500 })),
    'inconclusive',
  ],
  [
    'the registration access token in the query of registration_client_uri',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      body.registration_client_uri += `?access=${body.registration_access_token}`
      return HttpResponse.json(body, { status: 201 })
    }),
    'non-conformant',
  ],
  [
    'the registration access token in a long URL that is no https URL',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      body.registration_client_uri = `http://auth.uat.threddid.com/${'long/'.repeat(10)}?${body.registration_access_token}`
      return HttpResponse.json(body, { status: 201 })
    }),
    'non-conformant',
  ],
  [
    'a long secret where a number should be',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      return HttpResponse.json({ ...body, client_id_issued_at: body.hashed_secret }, { status: 201 })
    }),
    'non-conformant',
  ],
  [
    'the registration access token as client_id',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      return HttpResponse.json({ ...body, client_id: body.registration_access_token }, { status: 201 })
    }),
    'non-conformant',
  ],
  [
    'the registration access token among the scopes',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      return HttpResponse.json({ ...body, scopes: ['cards.read', body.registration_access_token] }, { status: 201 })
    }),
    'conformant',
  ],
  [
    'an access token as the name of a member',
    answering('token', (text) => {
      const body = JSON.parse(text) as { access_token: string }
      return HttpResponse.json({ ...body, tokens: { [body.access_token]: 'active' } })
    }),
    'non-conformant',
  ],
  [
    'an opaque access token as the name of a member',
    answering('directoryToken', (text) => {
      const body = JSON.parse(text) as { access_token: string }
      return HttpResponse.json({ ...body, tokens: { [body.access_token]: 'active' } })
    }),
    'conformant',
  ],
  [
    'secrets as objects and lists',
    answering('registerClient', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      return HttpResponse.json(
        {
          ...body,
          client_secret: { current: body.client_secret },
          hashed_secret: [[{ value: body.hashed_secret }]],
          note: `${body.client_secret} ${body.hashed_secret}`,
        },
        { status: 201 },
      )
    }),
    'non-conformant',
  ],
  ['the registration answer as HTML', changeContentType('registerClient', 'text/html'), 'non-conformant'],
  ['the registration answer as plain text', changeContentType('registerClient', 'text/plain'), 'non-conformant'],
  ['the directory token as HTML', changeContentType('directoryToken', 'text/html'), 'non-conformant'],
  [
    'the registration answer cut in the middle',
    answering('registerClient', (text) => json(text.slice(0, -30), 201)),
    'non-conformant',
  ],
  [
    'the registration answer cut within a secret',
    answering('registerClient', (text, { client }) =>
      json(text.slice(0, text.indexOf(client('registration_access_token')) + 60), 201),
    ),
    'non-conformant',
  ],
  [
    'the directory token in a form instead of JSON',
    answering('directoryToken', (text) => {
      const body = JSON.parse(text) as Record<string, string>
      return new HttpResponse(new URLSearchParams(body).toString(), { headers: { 'content-type': 'text/plain' } })
    }),
    'non-conformant',
  ],
  [
    'a page with the headers of the request',
    answering('readClient', (_, { client }) =>
      HttpResponse.html(`<pre>Authorization: Bearer ${client('registration_access_token')}</pre>`, { status: 500 }),
    ),
    'inconclusive',
  ],
  [
    'a page with secrets in every encoding',
    answering('readClient', (_, { client }) => {
      const secrets = [client('registration_access_token'), client('client_secret')]
      return HttpResponse.html(secrets.flatMap((secret) => [...formsOf(secret).values()]).join('<br>'), { status: 500 })
    }),
    'inconclusive',
  ],
  [
    'the software statement as a JSON string with white space',
    answering('getSoftwareStatementAssertion', (text) => HttpResponse.json(` ${text}\n`)),
    'non-conformant',
  ],
  ['a refusal that says nothing', replaceBody('registerClient', ''), 'non-conformant'],
  ['a numeric access token', changeField('directoryToken', '/access_token', Number(NUMBER)), 'non-conformant'],
  ['a lost answer', loseAnswer('registerClient'), 'inconclusive'],
]

test.for(FAULTS)('nothing leaks through %s', async ([, fault, ended]) => {
  const attempt = await search({ faults: [fault] }, { ...COOKIES, number: NUMBER })

  expect(attempt.found).toEqual([])
  expect(attempt.ended).toBe(ended)
})

test('a refused certificate leaves no secret either', async () => {
  const { certificateFile, keyFile } = (await sharedPki()).identities.rogue
  const rogue = { TRANSPORT_CERT_FILE: certificateFile, TRANSPORT_KEY_FILE: keyFile }
  const { found, ended } = await search({ kind: 'tls', settings: rogue })

  expect(found).toEqual([])
  expect(ended).toBe('inconclusive')
})

/** Input that is wrong: what it ends in, and which setting is wrong. */
const WRONG_INPUT: readonly (readonly [code: string, settings: Readonly<Record<string, string>>])[] = [
  ['IDENTITY_UNREADABLE', { TRANSPORT_PASSPHRASE: 'canary wrong passphrase' }],
  ['KEY_UNUSABLE', { SIGNING_KEY: 'canary no key' }],
  ['VAULT_KEY', { VAULT_KEY: 'canary no vault key' }],
]

test.for(WRONG_INPUT)('%s: the message about a wrong secret does not hold it', async ([code, wrong]) => {
  const [canary = ''] = Object.values(wrong)
  const { found, ended } = await search({ settings: wrong }, { canary })

  expect(found).toEqual([])
  expect(ended).toBe(code)
})

test('the vault alone holds the registration, encrypted', async () => {
  const { secrets, files } = await search({})

  expect(files.filter((file) => file.endsWith('.log'))).toHaveLength(1)
  expect(secrets.get('registerClient registration_access_token')).toMatch(/^[\w.-]{80,}$/)
})

const FORM_NAMES = [...formsOf('correct "horse" battery/+ stäple').keys()]

test.for(FORM_NAMES)('the search of these tests finds a planted secret: %s', (form) => {
  const planted = `before ${formsOf(PASSPHRASE).get(form)} after`

  expect(hits('passphrase', needlesOf(PASSPHRASE), planted)).not.toEqual([])
})

test.for(FORM_NAMES)('what another process is to write is refused with a known secret: %s', async (form) => {
  const redactor = new Redactor(randomBytes(32))
  redactor.add({ value: PASSPHRASE, name: 'passphrase' })

  await expect(searchOnly(redactor).write('report.md', [`x ${formsOf(PASSPHRASE).get(form)} y`])).rejects.toMatchObject(
    {
      code: 'SECRET_LEAK',
      message: '"report.md" would have held a secret and was not written: passphrase',
    },
  )
})

test.for(FORM_NAMES)('of an artifact with a known secret all but that is written, and it is said: %s', async (form) => {
  const reports = await mkdtemp(join(tmpdir(), 'thredd-artifacts-'))
  try {
    const said: string[] = []
    const redactor = new Redactor(randomBytes(32))
    redactor.add({ value: PASSPHRASE, name: 'passphrase' })
    const artifacts = await createArtifacts(reports, 'run', { redactor, warn: (text) => said.push(text) })

    const file = await artifacts.write('report.md', [`before ${formsOf(PASSPHRASE).get(form)} after`])

    const text = await readFile(file, 'utf8')
    expect(text).toMatch(/^before .{0,3}\[passphrase#[0-9a-f]{8}\].{0,3} after$/)
    expect(hits('passphrase', needlesOf(PASSPHRASE), text)).toEqual([])
    expect(said).toEqual([
      '"report.md" would have held passphrase: it was hidden there; please report this, without the secret',
    ])
  } finally {
    await rm(reports, { recursive: true, force: true })
  }
})

test('an artifact without a known secret is written whole, and "latest" leads to it', async () => {
  const reports = await mkdtemp(join(tmpdir(), 'thredd-artifacts-'))
  try {
    const redactor = new Redactor(randomBytes(32))
    redactor.add({ value: PASSPHRASE, name: 'passphrase' })
    const artifacts = await createArtifacts(reports, 'run', { redactor, warn: () => undefined })

    const file = await artifacts.write('report.txt', [redactor.text(`it was "${PASSPHRASE}"`)])
    await artifacts.publish()

    expect(file).toBe(join(reports, 'run', 'report.txt'))
    expect(await readFile(join(reports, 'latest', 'report.txt'), 'utf8')).toMatch(
      /^it was "\[passphrase#[0-9a-f]{8}\]"$/,
    )
    expect(await readdir(join(reports, 'run'))).toEqual(['report.txt'])
  } finally {
    await rm(reports, { recursive: true, force: true })
  }
})

test('a reports folder that cannot be made is one clear error', async () => {
  const file = join(folder, 'a-file')
  await writeFile(file, '')

  await expect(
    createArtifacts(file, 'run', { redactor: new Redactor(randomBytes(32)), warn: () => undefined }),
  ).rejects.toMatchObject({
    code: 'REPORT_UNWRITABLE',
    message: `"${join(file, 'run')}" cannot be written: "${file}" is no folder`,
  })
})

interface Search {
  /** which secret, in which form, where */
  readonly found: readonly string[]
  readonly secrets: ReadonlyMap<string, string>
  readonly files: readonly string[]
  /** the verdict, or the code of the error */
  readonly ended: string
}

/** Runs with all our secrets in play and looks for each of them, and for the server's, in everything that came of it. */
async function search(
  { packs = ['pack'], ...options }: RunOnTwinOptions & { readonly packs?: readonly string[] },
  canaries: Readonly<Record<string, string>> = {},
): Promise<Search> {
  await using ran = await attemptOnTwin({
    formats: USUAL_FORMATS,
    ...options,
    settings: { ...settings, ...options.settings },
  })
  if ('record' in ran) {
    const key = { alg: 'ES256', privateKey: KEY } as const
    for (const name of packs) await writePack(ran.record, { pack: join(ran.folder, name), key, now: new Date() })
  }
  const secrets = new Map([...ours, ...issued(ran.traffic), ...Object.entries(canaries)])
  const files = (await readdir(ran.folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== '.env.mock')
    .map((entry) => join(entry.parentPath, entry.name))
  const places = new Map([
    ['the screen', ran.screen],
    ['the events as JSON', JSON.stringify(ran.events)],
    ['names of files', files.join('\n')],
    ...(await Promise.all(
      files.map(async (file) => [relative(ran.folder, file), await readFile(file, 'latin1')] as const),
    )),
  ])
  if ('error' in ran) {
    // The record would be the thing to read; a run that ends in an error shows that instead.
    places.set('the error', inspect(ran.error, { depth: null, showHidden: true }))
    places.set('the problems', JSON.stringify(ran.error instanceof ToolError ? ran.error.problems : ''))
  } else {
    places.set('the returned record', JSON.stringify(ran.record))
    expect(existsSync(ran.file)).toBe(true)
  }
  const ended =
    'error' in ran ? (ran.error instanceof ToolError ? ran.error.code : String(ran.error)) : ran.record.verdict
  const found = [...secrets].flatMap(([name, value]) => {
    const needles = needlesOf(value)
    return [...places].flatMap(([place, text]) => hits(name, needles, text).map((hit) => `${hit} in ${place}`))
  })
  return { found, secrets, files, ended }
}

/** What the servers issued, and what we signed for them; a token that two answers repeat is listed once. */
function issued(traffic: readonly Traffic[]): Map<string, string> {
  const byValue = new Map<string, string>()
  const add = (name: string, value: unknown) => {
    if (typeof value === 'string' && value !== '' && !byValue.has(value)) byValue.set(value, name)
  }
  const names = ['access_token', 'client_secret', 'hashed_secret', 'registration_access_token']
  for (const { operation, requestBody, responseBody } of traffic) {
    if (operation === 'getSoftwareStatementAssertion') add(`${operation} answer`, responseBody)
    if (responseBody.startsWith('{')) {
      const body = JSON.parse(responseBody) as Record<string, unknown>
      for (const name of names) add(`${operation} ${name}`, body[name])
    }
    add(`${operation} client_assertion`, new URLSearchParams(requestBody).get('client_assertion'))
  }
  return new Map([...byValue].map(([value, name]) => [name, value]))
}

/** What is looked for of a secret, by form; with its first and last characters, where a piece alone was left. */
function needlesOf(value: string): ReadonlyMap<string, string> {
  // Header and claims of a JWT say who and when, and are shown on purpose; the signature makes it a credential.
  const secret = /^eyJ[\w-]+\.[\w-]+\.([\w-]+)$/.exec(value)?.[1] ?? value
  const forms = formsOf(secret)
  // Shorter pieces could be chance, and every PEM key begins and ends alike.
  if (secret.length > 2 * PIECE && !secret.startsWith('-----BEGIN'))
    forms.set('beginning', secret.slice(0, PIECE)).set('end', secret.slice(-PIECE))
  return new Map([...forms].filter(([form, needle]) => [...forms].find(([, one]) => one === needle)?.[0] === form))
}

function hits(name: string, needles: ReadonlyMap<string, string>, text: string): string[] {
  return [...needles].filter(([, needle]) => text.includes(needle)).map(([form]) => `${name} as ${form}`)
}

const PIECE = 20

/** How a text may lie in another: as it is, or encoded, for base64 at each position within three bytes. */
function formsOf(value: string): Map<string, string> {
  const bytes = Buffer.from(value)
  const forms = new Map([
    ['itself', value],
    ['JSON', JSON.stringify(value).slice(1, -1)],
    ['JSON within JSON', JSON.stringify(JSON.stringify(value).slice(1, -1)).slice(1, -1)],
    ['URL', encodeURIComponent(value)],
    ['URL in lower case', encodeURIComponent(value).replace(/%../g, (code) => code.toLowerCase())],
    ['form', new URLSearchParams([['', value]]).toString().slice(1)],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
  ])
  for (const shift of [0, 1, 2]) {
    // What stays the same whatever stands before and after.
    const among = (neighbour: number) =>
      Buffer.concat([Buffer.alloc(shift, neighbour), bytes, Buffer.alloc(3, neighbour)]).toString('base64')
    const [zeros, ones] = [among(0x00), among(0xff)]
    const same = [...zeros].map((character, index) => (character === ones[index] ? character : ' ')).join('')
    const core = same.trim().split(' ')[0] ?? ''
    forms.set(`base64 at ${shift}`, core)
    forms.set(`base64url at ${shift}`, core.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}

function bodyOf(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, '')
}

interface Known {
  readonly request: Request
  readonly requestBody: string
  /** a secret of the registered client */
  readonly client: (member: 'client_secret' | 'registration_access_token') => string
}

/** The operation's answer is what `change` makes of the real one's text and of what the server knows. */
function answering(operation: string, change: (text: string, known: Known) => Response): Fault {
  return {
    name: `${operation} tells secrets`,
    what: `${operation} puts a secret where none belongs`,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        async ({ request }) => {
          const requestBody = await request.clone().text()
          const text = await (await twin.pass(request)).text()
          const client = (member: 'client_secret' | 'registration_access_token') => {
            const [registered] = [...twin.state.clients.values()]
            const value =
              member === 'client_secret' ? registered?.members.client_secret : registered?.registrationToken.value
            if (typeof value !== 'string') throw new Error(`no ${member} was issued`)
            return value
          }
          return change(text, { request, requestBody, client })
        },
      ),
    ],
  }
}

function refused(description: string): Response {
  return HttpResponse.json({ error: 'invalid_request', error_description: description }, { status: 400 })
}

function json(text: string, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new HttpResponse(text, { status, headers: { 'content-type': 'application/json', ...headers } })
}
