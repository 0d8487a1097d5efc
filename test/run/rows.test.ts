/** What a list of rows may set, how each form of it is read, what is refused before any call, and how shards divide it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ToolError } from '../../src/record/errors.ts'
import { commandsAbout, commandsFor, commandsIn } from '../../src/record/hints.ts'
import { rowInWords } from '../../src/report/words.ts'
import { resolve, shardOf } from '../../src/run/index.ts'
import { readRows } from '../../src/run/row-file.ts'
import { confirmationOf, type RowOptions } from '../../src/run/rows.ts'
import { ROOT } from '../support/run.ts'

const folder = await mkdtemp(join(tmpdir(), 'thredd-rows-'))
afterAll(async () => await rm(folder, { recursive: true, force: true }))

async function file(text: string | Uint8Array, name = 'clients.csv'): Promise<string> {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}

interface Given {
  readonly text?: string | Uint8Array
  readonly name?: string
  readonly variables?: Readonly<Record<string, string>>
  readonly inputs?: Readonly<Record<string, string>>
  readonly flows?: readonly string[]
  readonly options?: Partial<RowOptions>
  readonly step?: string
  readonly registerAgain?: boolean
}

async function rowsOf({ text, name, variables = {}, inputs = {}, flows = ['register'], ...given }: Given) {
  const { options = {}, step, registerAgain } = given
  const { rows } = await resolve({
    environment: { env: 'mock', folder, fallback: ROOT, variables },
    selection: { flows, folders: [ROOT], step },
    inputs: new Map(Object.entries(inputs)),
    permissions: { registerAgain },
    rows: { parallel: 1, ...(text === undefined ? {} : { data: await file(text, name) }), ...options },
  })
  if (rows === undefined) throw new Error('no rows')
  return rows
}

async function refused(given: Given): Promise<readonly string[]> {
  const error = await rowsOf(given).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ToolError)) throw new Error('not refused')
  return error.problems.map(({ message, expected, found, hint }) =>
    [message.replace(/; nothing was sent$/, ''), expected, found, hint]
      .filter((part) => part !== undefined)
      .join(' | '),
  )
}

test.each<[string, string | Uint8Array, readonly (readonly string[])[]]>([
  ['LF, no break at the end', 'a,b\n1,2', [['1', '2']]],
  ['CRLF and a byte order mark', '\ufeffa,b\r\n1,2\r\n', [['1', '2']]],
  ['quotes, commas and doubled quotes', 'a,b\n"x, ""y""",2\n', [['x, "y"', '2']]],
  [
    'a line break within a cell',
    'a,b\n"1\r\n2",3\n4,5\n',
    [
      ['1\r\n2', '3'],
      ['4', '5'],
    ],
  ],
  [
    'empty cells and an empty line',
    'a,b\n,2\n\n1,\n',
    [
      ['', '2'],
      ['1', ''],
    ],
  ],
  ['letters beyond ASCII', 'a,b\nä€,😀\n', [['ä€', '😀']]],
])('CSV: %s', async (_, text, expected) => {
  const { rows, columns } = readRows(await file(text))
  expect(columns).toEqual(['a', 'b'])
  expect(rows.map(({ cells }) => [...cells.values()])).toEqual(expected)
})

test.each([
  [
    'JSON',
    'x.json',
    '[{"a":"1","b":["x","y"]},{"a":2,"b":null}]',
    [
      ['1', '["x","y"]'],
      ['2', ''],
    ],
  ],
  ['NDJSON', 'x.ndjson', '{"a":"1","b":true}\n\n{"b":"3"}\r\n', [['1', 'true'], ['3']]],
  ['JSON lines', 'x.JSONL', '{"a":"1"}', [['1']]],
])('%s', async (_, name, text, expected) => {
  expect(readRows(await file(text, name)).rows.map(({ cells }) => [...cells.values()])).toEqual(expected)
})

test('where a row stands is said by its number and its line', async () => {
  const { rows } = readRows(await file('a\n"1\n2"\n3\n'))
  expect(rows.map(({ place }) => place)).toEqual(['row 1 (line 2) of "clients.csv"', 'row 2 (line 4) of "clients.csv"'])
})

test.each<[string, string | Uint8Array, string, string]>([
  ['an open quote', 'a,b\n1,"2\n3,4\n', 'x.csv', 'line 2 of "x.csv" is not CSV'],
  ['a quote within a cell', 'a,b\n1,2"3\n', 'x.csv', 'line 2 of "x.csv" is not CSV'],
  ['text after a quote', 'a,b\n1,"2"3\n', 'x.csv', 'line 2 of "x.csv" is not CSV'],
  ['a lone CR', 'a,b\r1,2', 'x.csv', 'line 1 of "x.csv" is not CSV'],
  ['a short row', 'a,b\n1\n', 'x.csv', 'row 1 (line 2) of "x.csv" has another number of cells than there are columns'],
  [
    'a long row',
    'a,b\n1,2,3\n',
    'x.csv',
    'row 1 (line 2) of "x.csv" has another number of cells than there are columns',
  ],
  ['no cell filled', 'a,b\n,\n', 'x.csv', 'row 1 (line 2) of "x.csv" is empty'],
  ['one column twice', 'a,a\n1,2\n', 'x.csv', 'column 2 of "x.csv" has the same name as column 1'],
  ['a column without a name', 'a,\n1,2\n', 'x.csv', 'column 2 of "x.csv" has no name'],
  ['a name with blanks', 'a, b\n1,2\n', 'x.csv', 'the name of column 2 of "x.csv" has blanks around it'],
  ['semicolons', 'a;b\n1;2\n', 'x.csv', 'the columns of "x.csv" are not separated by commas'],
  ['nothing but names', 'a,b\n', 'x.csv', '"x.csv" holds no rows'],
  ['nothing', '', 'x.csv', '"x.csv" holds no rows'],
  ['UTF-16', Buffer.from('\ufeffa,b\n1,2', 'utf16le'), 'x.csv', '"x.csv" is not UTF-8 text'],
  ['too many rows', `a\n${'1\n'.repeat(10_001)}`, 'x.csv', '"x.csv" holds too many rows'],
  ['an object', '{"a":1}', 'x.json', '"x.json" is not a list of rows'],
  ['a list of texts', '["a"]', 'x.json', 'row 1 of "x.json" is no JSON object'],
  ['a cut line', '{"a":1}\n{"a"', 'x.ndjson', 'row 2 (line 2) of "x.ndjson" cannot be read'],
  ['a member twice', '[{"a":1},{"a":"{","\\u0061":2}]', 'x.json', 'row 2 of "x.json" has the member "a" twice'],
  [
    'a member twice on a line',
    '{"a":1}\n{"a":1,"a":2}',
    'x.ndjson',
    'row 2 (line 2) of "x.ndjson" has the member "a" twice',
  ],
  ['another ending', 'a', 'x.xlsx', '"x.xlsx" has no ending that says how its rows are written'],
])('refused: %s', async (_, text, name, expected) => {
  const path = await file(text, name)
  let message = ''
  try {
    readRows(path)
  } catch (error) {
    message = error instanceof ToolError ? (error.problems[0].message ?? '') : String(error)
  }
  expect(message).toBe(`${expected}; nothing was sent`)
})

test('a megabyte of quotes that are never closed is refused in no time', async () => {
  const path = await file(`a\n"${'""x'.repeat(300_000)}`)
  expect(() => readRows(path)).toThrow('is not CSV')
})

test('each row has its own client, inputs and names, whatever the environment has', async () => {
  const { rows } = await rowsOf({
    text: 'SOFTWARE_ID,client_id,ORG_ID,scopes\ns-1,c-1,o-1,"cards.read,pin.read"\ns-2,c-2,o-2,\n',
  })
  expect(rows.map(({ request }) => request.client)).toEqual([
    { clientId: 'c-1', softwareId: 's-1', organisation: 'o-1' },
    { clientId: 'c-2', softwareId: 's-2', organisation: 'o-2' },
  ])
  const scopes = rows.map(({ request }) => request.environment.setting('scopes'))
  expect(scopes[0]).toEqual({ value: 'cards.read,pin.read', origin: { label: 'row 1 (line 2) of "clients.csv"' } })
  expect(scopes[1]).toBe(undefined)
  expect(rows[1]?.facts).toMatchObject({
    number: 2,
    values: [
      { name: 'SOFTWARE_ID', value: 's-2' },
      { name: 'client_id', value: 'c-2' },
      { name: 'ORG_ID', value: 'o-2' },
    ],
  })
})

test.each([
  ['SOFTWARE_ID,CLIENT_ID,IDENTITY\ns-1,c-1,renewed\ns-2,c-2,renewed\n', ['row 1 (s-1)', 'row 2 (s-2)']],
  ['CLIENT_ID,SOFTWARE_ID,IDENTITY\nc-1,s-1,other\nc-2,s-2,renewed\n', ['row 1 (other)', 'row 2 (renewed)']],
  ['SOFTWARE_ID,CLIENT_ID,ORG_ID\ns-1,c-1,o\ns-2,c-2,o\n', ['row 1 (s-1)', 'row 2 (s-2)']],
])('a row is called by what sets it apart from the others: %j', async (text, expected) => {
  const { rows } = await rowsOf({ text })
  expect(rows.map(({ facts }) => rowInWords(facts))).toEqual(expected)
})

test('a row has the certificate of an identity, or files of its own beside the list', async () => {
  const named = await rowsOf({ text: 'IDENTITY\nother\nOTHER\n' })
  const { identities } = named.rows[0]?.request.environment ?? {}
  expect(identities?.get('transport')).toBe(identities?.get('other'))
  const own = await rowsOf({
    text: 'TRANSPORT_CERT_FILE,TRANSPORT_KEY_FILE,SIGNING_KEY_FILE,SIGNING_KID\na.crt,keys/a.key,a.key,kid-a\n',
  })
  const { environment } = own.rows[0]?.request ?? {}
  expect(environment?.identities.get('transport')).toMatchObject({
    certificateFile: join(folder, 'a.crt'),
    keyFile: join(folder, 'keys', 'a.key'),
  })
  expect(environment?.signing).toMatchObject({ key: join(folder, 'a.key'), kid: 'kid-a' })
})

test('a command about a row names what the row sets; a secret is left to the user', async () => {
  const text =
    'CLIENT_ID,SOFTWARE_ID,TRANSPORT_CERT_FILE,TRANSPORT_KEY_FILE,TRANSPORT_PASSPHRASE,scopes\nc-1,s-1,a b.crt,a.key,$WORD,x y\n'
  const { rows } = await rowsOf({ text, variables: { THREDD_WORD: 'correct horse battery staple' } })
  const command = commandsFor(rows[0]?.request.environment.flags ?? [])

  expect(command('register')).toBe(
    "THREDD_CLIENT_ID=c-1 THREDD_SOFTWARE_ID=s-1 THREDD_TRANSPORT_CERT_FILE='a b.crt' THREDD_TRANSPORT_KEY_FILE=a.key THREDD_TRANSPORT_PASSPHRASE=<secret> THREDD_SCOPES='x y' thredd run register",
  )
  expect(command('showOpen')).toBe('thredd vault list')
  expect(commandsIn(`do ${command('register')}, then look`)).toEqual([command('register')])
  const [{ facts } = { facts: undefined }] = rows
  expect(commandsAbout(facts, { flags: ['--env', 'uat'] })('update')).toMatch(/^THREDD_CLIENT_ID=c-1 .* --env uat$/)

  const named = await rowsOf({ text: 'IDENTITY\nother\n' })
  expect(commandsFor(named.rows[0]?.request.environment.flags ?? [])('update')).toMatch(
    /^THREDD_TRANSPORT_CERT_FILE=\S*other\.crt THREDD_TRANSPORT_KEY_FILE=\S*other\.key thredd run add-scope-with-put$/,
  )
})

test('every problem of every row is said at once, with row and column', async () => {
  const problems = await refused({ text: 'CLIENT_ID,SOFTWARE_ID,IDENTITY\nc 1,s-1,other\nc-2,,nobody\n' })
  expect(problems).toEqual([
    'row 1 (line 2) of "clients.csv", column "CLIENT_ID": it holds a blank | "c 1"',
    'row 2 (line 3) of "clients.csv", column "SOFTWARE_ID": it is empty | the SOFTWARE_ID of the row | fill it in, or take the column out',
    expect.stringMatching(
      /^row 2 \(line 3\) of "clients.csv", column "IDENTITY": the environment has no identity of that name \| one of .*other.* \| "nobody" \| set IDENTITY_<NAME>_CERT_FILE/,
    ),
  ])
})

test.each([
  'SERVER_CARDS',
  'server_authorization',
  'ENV_CLASS',
  'ALLOWED_HOSTS',
  'VAULT_DIR',
  'VAULT_KEY_FILE',
  'SACRIFICIAL_CLIENT',
  'REDACT',
  'SIGNING_COMMAND',
  'CA_FILE',
  'TLS_MIN_VERSION',
  'IDENTITY_FOR_CARDS',
  'registration_client_uri',
  'registration_access_token',
])('%s is no matter of a row', async (column) => {
  const [problem] = await refused({ text: `${column}\nx\n` })
  expect(problem).toContain(`column "${column}" of "clients.csv" decides where calls go, or what may be done there`)
})

test.each([
  ['TIMEOUT_MS', 'is a setting that is the same for all rows'],
  ['scope', 'is no input of the named flows | did you mean "scopes"?'],
  ['CLIENT_ID', 'without SOFTWARE_ID, so that a row would be about two applications'],
  ['SIGNING_KEY_FILE', 'without SIGNING_KID'],
  ['TRANSPORT_KEY_FILE', 'without TRANSPORT_CERT_FILE'],
  ['IDENTITY,TRANSPORT_PFX_FILE', 'the columns IDENTITY and TRANSPORT_PFX_FILE, which set the same'],
  ['CLIENT_ID,client_id,SOFTWARE_ID', 'column "client_id" of "clients.csv" sets the same as column "CLIENT_ID"'],
])('column %s: %s', async (columns, expected) => {
  const [problem] = await refused({ text: `${columns}\n${columns.replaceAll(/[^,]+/g, 'x')}\n` })
  expect(problem).toContain(expected)
})

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJlc2lnbmF0dXJlc2ln'

test.each([
  ['an assertion in its own column', 'client_assertion', 'hunter2'],
  ['a passphrase', 'TRANSPORT_PASSPHRASE', 'hunter2'],
  ['a JWT where scopes belong', 'scopes', JWT],
  ['a private key', 'scopes', '-----BEGIN PRIVATE KEY-----MIIE'],
  ['a card number', 'scopes', '4111 1111 1111 1111'],
  ['a registration token where scopes belong', 'scopes', 'kT7fQ2mZr9XwLc4VbNs8HyGd'],
  ['one in a URL', 'scopes', 'https://rp.example/cb/kT7fQ2mZr9XwLc4VbNs8HyGd'],
  ['one in place of an id', 'ORG_ID', 'kT7fQ2mZr9XwLc4VbNs8HyGdPj5RuEa3Wq6Mn1BxTz0'],
])('%s is refused and not shown', async (_, column, cell) => {
  const problems = await refused({ text: `${column}\n"${cell}"\n` })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(/secret, (?:and|which) is not shown here/)
  expect(problems[0]).not.toContain(cell.slice(0, 7))
})

test.each([
  ['UUID', 'ORG_ID', '99b2b599-8cc2-499e-b9b4-e8b7b2f5d5a4'],
  [
    'client id',
    'ORG_ID',
    'https://rp.directory.sandbox.threddid.com/openid_relying_party/0f1d8a3e-1c2b-4d5e-8f60-7a8b9c0d1e2f',
  ],
  ['random id of 32 characters', 'ORG_ID', 'kT7fQ2mZr9XwLc4VbNs8HyGdPj5RuEa3'],
  ['list of scopes', 'scopes', 'cards.read cards.3ds.write pin.read accounts.transactions.read'],
  ['name of a key', 'SIGNING_KEY_FILE,SIGNING_KID', 'a.key,kT7fQ2mZr9XwLc4VbNs8HyGdPj5RuEa3Wq6Mn1BxTz0'],
])('a %s is no secret', async (_, column, cell) => {
  expect((await rowsOf({ text: `${column}\n${cell}\n` })).rows).toHaveLength(1)
})

test('an input of other flows is not used, and said; one list serves them all', async () => {
  const text = 'CLIENT_ID,SOFTWARE_ID,scopes\nc-1,s-1,cards.read\n'
  const reading = await rowsOf({ text, flows: ['read-registration'] })
  expect(reading.warnings).toEqual(['column "scopes" of "clients.csv" is an input of other flows, and is not used'])
  expect(reading.rows[0]?.request.environment.flags.join(' ')).not.toContain('SCOPES')
  expect((await rowsOf({ text })).warnings).toEqual([])
})

test.each<[string, unknown, string]>([
  ['ORG_ID', true, 'a boolean'],
  ['ORG_ID', null, 'null'],
  ['ORG_ID', { a: 'b' }, 'an object'],
  ['org_id', ['a'], 'a list'],
  ['ORG_ID', 5, 'a number'],
  ['ROLES', false, 'a boolean'],
  ['IDENTITY', null, 'null'],
  ['scopes', {}, 'an object'],
])('in column %s %j is refused', async (column, cell, kind) => {
  expect(
    await refused({
      text: JSON.stringify([
        { [column]: 'x', directory_auth_method: 'x' },
        { [column]: cell, directory_auth_method: 'x' },
      ]),
      name: 'x.json',
    }),
  ).toContain(
    `row 2 of "x.json", column "${column}": it cannot be used | a text in double quotes${column === 'scopes' ? ' or a list' : ''} | ${kind}`,
  )
})

test.each<[string, string, string]>([
  ['one cell', 'ORG_ID,hunter2\n1,2\n', 'column 2 of line 1 of "clients.csv" has a name that is no input'],
  ['all', 'hunter2,HUNTER2,x\n1,2,3\n', 'columns 1, 2, 3 of line 1 of "clients.csv" have names that are no input'],
  ['the same twice', 'hunter2,hunter2\n1,2\n', 'column 2 of "clients.csv" has the same name as column 1'],
])('a first line that is no line of names is not shown: %s', async (_, text, expected) => {
  const problems = await refused({ text })
  expect(problems).toEqual([expect.stringContaining(expected)])
  expect(problems.join()).not.toMatch(/hunter2/i)
})

test('a row has the roles of its application', async () => {
  const { rows } = await rowsOf({ text: 'SOFTWARE_ID,CLIENT_ID,ROLES\ns-1,c-1,"Cards,Pin"\n' })
  expect(rows[0]?.request.environment.setting('roles')?.value).toBe('Cards,Pin')
})

test('a secret is named by its variable, which must be set and has our prefix', async () => {
  const text = 'TRANSPORT_PFX_FILE,TRANSPORT_PASSPHRASE\na.p12,$PASS_1\n'
  const { rows } = await rowsOf({ text, variables: { THREDD_PASS_1: 'hunter2' } })
  const { passphrase } = rows[0]?.request.environment.identities.get('transport') ?? {}
  expect(passphrase?.reveal()).toBe('hunter2')
  expect(await refused({ text, variables: { PASS_1: 'hunter2' } })).toEqual([
    expect.stringContaining('column "TRANSPORT_PASSPHRASE": the variable THREDD_PASS_1 is not set'),
  ])
  expect((await refused({ text: 'scopes\n$PATH\n' }))[0]).toContain('$PATH is not replaced here')
})

test('what --input sets for all rows is no column', async () => {
  const [problem] = await refused({ text: 'scopes\ncards.read\n', inputs: { scopes: 'pin.read' } })
  expect(problem).toContain('is also given by --input scopes')
})

test('of many problems the first are said, and how many more there are', async () => {
  const problems = await refused({ text: `scopes\n${'$X\n'.repeat(80)}` })
  expect(problems).toHaveLength(51)
  expect(problems.at(-1)).toBe('and 30 more problems of rows')
})

test('a path that a shell would have to replace, and what is hidden in a cell, are refused with what to do', async () => {
  const paths = await refused({ text: 'SIGNING_KEY_FILE,SIGNING_KID\n~/a.key,kid\n' })
  expect(paths).toEqual([expect.stringContaining('column "SIGNING_KEY_FILE": it cannot be used | a path without ~')])
  const hidden = await refused({ text: 'SOFTWARE_ID,CLIENT_ID\ns,c\u202ex\n' })
  expect(hidden).toEqual([expect.stringContaining('it cannot be used | delete the value and type it again')])
})

test('a run of rows names its flows', async () => {
  expect((await refused({ flows: [], options: { repeat: 2 } }))[0]).toContain('needs the names of its flows')
})

const ids = (count: number) =>
  `CLIENT_ID,SOFTWARE_ID\n${Array.from({ length: count }, (_, index) => `c-${index % 13},s-${index % 13}\n`).join('')}`

test('shards have each row once, and all rows of a client together', async () => {
  const text = ids(40)
  const shards = await Promise.all(
    [1, 2, 3].map(async (index) => await rowsOf({ text, name: `s${index}.csv`, options: { shard: { index, of: 3 } } })),
  )
  const all = shards.flatMap(({ rows }) => rows.map(({ facts }) => facts.number))
  expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
  const clients = shards.map(({ rows }) => new Set(rows.map(({ client }) => client)))
  for (const [index, mine] of clients.entries())
    for (const other of clients.slice(index + 1)) expect([...mine].filter((one) => other.has(one))).toEqual([])
  for (const { total } of shards) expect(total).toBe(40)
})

const confirmation = async (given: Given) => confirmationOf(await rowsOf(given), { fromVault: [], waiting: [] })

test('the confirmation names the number of rows, is the same for each shard, and another for another list', async () => {
  const whole = await confirmation({ text: ids(5) })
  const part = await confirmation({ text: ids(5), options: { shard: { index: 2, of: 3 } } })
  const longer = await confirmation({ text: ids(6) })
  const spaced = await confirmation({ text: ids(5).replace('c-0', '"c-0"') })
  const flow = await confirmation({ text: ids(5), flows: ['lifecycle'] })
  expect(whole).toMatch(/^5-[0-9a-f]{12}$/)
  expect(part).toBe(whole)
  expect(new Set([whole, longer, spaced, flow]).size).toBe(4)
})

test.each<[string, Omit<Given, 'text'>]>([
  ['an input', { inputs: { scopes: 'cards.read' } }],
  ['an input that the environment sets', { variables: { THREDD_SCOPES: 'cards.read' } }],
  ['one step', { step: 'authorization-discovery' }],
  ['registering again', { registerAgain: true }],
  ['a server', { variables: { THREDD_SERVER_CARDS: 'https://127.0.0.1:9999' } }],
])('the confirmation changes with %s', async (_, given) => {
  expect(await confirmation({ text: ids(2), ...given })).not.toBe(await confirmation({ text: ids(2) }))
})

test('the confirmation changes with the clients that the vault holds for rows, and with the rows that wait', async () => {
  const rows = await rowsOf({ text: 'scopes\ncards.read\n' })
  const all = [
    ...['c-1', 'c-2'].map((clientId) => ({ fromVault: [{ row: 1, clientId }], waiting: [] })),
    ...[[], [1], [2], [1, 2]].map((waiting) => ({ fromVault: [], waiting })),
  ].map((one) => confirmationOf(rows, one))
  expect(new Set(all).size).toBe(all.length)
})

test.each([
  ['TRANSPORT_CERT_FILE,TRANSPORT_KEY_FILE', ',a.key', 'TRANSPORT_CERT_FILE', 'TRANSPORT_KEY_FILE'],
  ['TRANSPORT_CERT_FILE,TRANSPORT_KEY_FILE', 'a.crt,', 'TRANSPORT_KEY_FILE', 'TRANSPORT_CERT_FILE'],
  ['SIGNING_KEY_FILE,SIGNING_KID', ',kid-a', 'SIGNING_KEY_FILE', 'SIGNING_KID'],
  ['SIGNING_KEY_FILE,SIGNING_KID', 'a.key,', 'SIGNING_KID', 'SIGNING_KEY_FILE'],
])('a row of %s with %s is refused', async (columns, cells, empty, filled) => {
  const problems = await refused({ text: `scopes,${columns}\ncards.read,${cells}\npin.read,,\n` })
  expect(problems).toEqual([
    expect.stringContaining(`row 1 (line 2) of "clients.csv", column "${empty}": it is empty, and ${filled} is not`),
  ])
})

test('one CLIENT_ID with two SOFTWARE_IDs is refused', async () => {
  expect(await refused({ text: 'CLIENT_ID,SOFTWARE_ID\nc-1,s-1\nc-2,s-2\nc-1,s-3\nc-1,s-1\n' })).toEqual([
    'row 3 (line 4) of "clients.csv", column "SOFTWARE_ID": row 1 (line 2) of "clients.csv" has the same CLIENT_ID with another SOFTWARE_ID | s-1 | s-3 | one application has one client: correct one of the two rows',
  ])
})

test('two CLIENT_IDs with one SOFTWARE_ID are refused', async () => {
  expect(await refused({ text: 'CLIENT_ID,SOFTWARE_ID\nc-1,s-1\nc-2,s-2\nc-3,s-1\n' })).toEqual([
    'row 3 (line 4) of "clients.csv", column "CLIENT_ID": row 1 (line 2) of "clients.csv" has the same SOFTWARE_ID with another CLIENT_ID | c-1 | c-3 | one application has one client: correct one of the two rows',
  ])
})

test('equal rows are one client, which only rows that read may be at together', async () => {
  const changing = await rowsOf({ flows: ['lifecycle'], options: { repeat: 3 } })
  expect(new Set(changing.rows.map(({ client }) => client)).size).toBe(1)
  const reading = await rowsOf({ flows: ['discover'], options: { repeat: 3 } })
  expect(reading.rows.map(({ client }) => client)).toEqual([undefined, undefined, undefined])
})

test.each([
  ['2/8', {}, { index: 2, of: 8 }],
  ['auto', { CI_NODE_INDEX: '1', CI_NODE_TOTAL: '4' }, { index: 1, of: 4 }],
  ['auto/8', { JOB_COMPLETION_INDEX: '0' }, { index: 1, of: 8 }],
  ['auto/8', { JOB_COMPLETION_INDEX: '7' }, { index: 8, of: 8 }],
])('--shard %s', (text, variables, expected) => {
  expect(shardOf(text, variables)).toEqual(expected)
})

test.each([
  ['0/8', {}],
  ['9/8', {}],
  ['1', {}],
  ['1/0', {}],
  ['-1/2', {}],
  ['auto', {}],
  ['auto', { JOB_COMPLETION_INDEX: '0' }],
  ['auto/8', {}],
  ['auto/8', { JOB_COMPLETION_INDEX: '8' }],
  ['auto/8', { JOB_COMPLETION_INDEX: 'x' }],
])('--shard %s with %j is refused', (text, variables) => {
  expect(() => shardOf(text, variables)).toThrow('--shard cannot be used')
})
