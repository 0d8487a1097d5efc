/**
 * Each situation of the table comes about in a run against the twin, and is printed alike on the console, in report.md, in
 * junit.xml and as an annotation: one finding that says what the server said, what it means, what to do, and whose turn it is.
 */
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { type Fault, faultsOf, performHook, type Twin } from '../../mocks/index.ts'
import { commandsFor } from '../../src/record/hints.ts'
import type { StepRecord } from '../../src/record/index.ts'
import { refusalOf } from '../../src/record/refusals.ts'
import { adviceOf, SITUATIONS, situationOf } from '../../src/report/situations.ts'
import { expectGolden, stable } from '../support/golden.ts'
import { github, junit, markdown } from '../support/reports.ts'
import { attemptOnTwin, type RunOnTwinOptions, runOnTwin, type TwinRun } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

/** As on the embedded twin, whose environment a command uses by itself. */
const command = commandsFor([])
const UUID = '00000000-0000-4000-8000-000000000000'

/** How each situation comes about: in one run, or in a second one on the twin and with the vault of the first. */
const PLAYS: Readonly<Record<string, RunOnTwinOptions | ((first: TwinRun) => RunOnTwinOptions)>> = {
  'waiting-for-metadata': { switches: { metadataSet: 'when-asked', requirePmMetadata: true } },
  'certificate-refused': { faults: [fault('html400:registerClient')] },
  throttled: { faults: [fault('throttled:cardsSmoke=30')] },
  'server-error': { faults: [fault('unavailable:cardsSmoke')] },
  'clocks-differ': { now: () => new Date(Date.now() + AHEAD), faults: [ownDate('token')] },
  'directory-client': { settings: { CLIENT_ID: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/x' } },
  'statement-not-generated': { switches: { requireGenerate: true }, unaided: true },
  'statement-ids': { settings: { ORG_ID: UUID } },
  'keystore-ids': { flows: ['discover'], settings: { ORG_ID: UUID } },
  'directory-token': { faults: [refusing('getSoftwareStatementAssertion', 401, { message: 'Unauthorized' })] },
  'initial-token': { switches: { initialAccessToken: 'required' } },
  'statement-unapproved': { faults: [hooked('set-application-status', { status: 'Inactive' })] },
  'statement-refused': { faults: [expiringStatements()] },
  'scope-refused': { inputs: { scopes: 'cards.read eds.read' }, switches: { scopeMode: 'strict' } },
  'registered-already': ({ twin }) => ({ twin }),
  'member-refused': {
    faults: [
      refusing('registerClient', 400, {
        error: 'invalid_client_metadata',
        error_description: 'invalid client metadata',
        error_hint: 'grant_types',
      }),
    ],
  },
  'update-refused': {
    flows: ['add-scope-with-put'],
    faults: [
      refusing('updateClient', 400, { error: 'invalid_request', error_description: 'the request is malformed' }),
    ],
  },
  'workspace-unknown': { faults: [refusing('registerClient', 404, { error: 'tenant not found', error_code: 404 })] },
  'scopes-dropped': { inputs: { scopes: 'cards.read eds.read' }, switches: { scopeMode: 'filter' } },
  'registration-token-refused': ({ twin, folder }) => {
    performHook(twin.state, 'delete-client')
    return { flows: ['read-registration'], unaided: true, twin, folder }
  },
  'client-not-found': {
    flows: ['add-scope-with-put'],
    faults: [refusing('updateClient', 404, { error: 'The requested resource could not be found', error_code: 404 })],
  },
  'management-forbidden': { switches: { registrationTokenManagement: false } },
  'assertion-key-unknown': { faults: [hooked('expire-certificates', { use: 'sig' })] },
  'assertion-replayed': {
    faults: [refusing('token', 400, { error: 'jti_known', error_description: 'The jti was already used.' })],
  },
  'assertion-refused': { settings: { ASSERTION_AUDIENCE_AUTHORIZATION: 'https://elsewhere.example' } },
  'scope-not-registered': { flows: ['access-token'], inputs: { scope: 'eds.read' } },
  'api-token-refused': { faults: [fault('status:cardsSmoke=401')] },
  'api-forbidden': { flows: ['lifecycle'], faults: [fault('status:cardsSmoke=403')] },
}

test('each situation of the table is played', () => {
  expect(Object.keys(PLAYS).toSorted()).toEqual(SITUATIONS.map(({ id }) => id).toSorted())
})

test.for(Object.keys(PLAYS))('%s is one finding, and every report prints it', async (id) => {
  const play = PLAYS[id]
  await using first = typeof play === 'function' ? await runOnTwin() : undefined
  await using ran = await runOnTwin(typeof play === 'function' ? play(first as TwinRun) : play)

  const steps = ran.record.workflows.flatMap((workflow) => workflow.steps)
  const step = steps.find((one) => situationOf(one)?.id === id)
  expect(step, `what came: ${steps.map((one) => situationOf(one)?.id)}`).toBeDefined()
  if (step === undefined) return
  expectGolden(asPrinted(ran, step), `findings/${id}.txt`)
})

test('each sentence of the table is one sentence, and each row names a way out', () => {
  const step = { exchanges: [], checks: [] } as unknown as StepRecord
  for (const row of SITUATIONS) {
    const { means, next, turn } = adviceOf(row, step, command)
    expect([means, next].join(' ')).not.toMatch(/\.$|\n|undefined/)
    expect(next).not.toBe('')
    expect(['yours', 'thredd', 'again']).toContain(turn)
  }
})

test('where all is well, no situation is found', async () => {
  await using ran = await runOnTwin()

  expect(ran.record.workflows.flatMap(({ steps }) => steps.flatMap((step) => situationOf(step) ?? []))).toEqual([])
})

test.for([
  [400, 'invalid_client_metadata', 'Client metadata invalid', 'registered'],
  [400, 'invalid_request', 'Client(_id) value could not be persisted', 'registered'],
  [409, 'Kunde ist bereits registriert', '', 'registered'],
  [400, 'invalid_client_metadata', 'requested scope is not available to this client', 'scope'],
  [400, 'invalid_client_metadata', 'grant_types contains a value that is not allowed', 'member'],
  [400, 'invalid_scope', 'The requested scope is invalid, unknown, or malformed.', 'scope'],
  [403, 'access_denied', 'The resource owner or authorization server denied the request.', 'scope'],
  [403, 'request_forbidden', 'The request is not allowed.', 'scope'],
  [400, 'invalid_software_statement', 'software statement signature could not be verified', 'statement'],
  [400, 'unapproved_software_statement', 'software statement is not approved', 'statement unapproved'],
  [400, 'invalid_redirect_uri', 'already registered', undefined],
  [401, 'invalid_client_metadata', 'already registered', undefined],
] as const)('a registration that is refused with %i %s "%s" is told as: %s', ([status, error, description, means]) => {
  const body = JSON.stringify({ error, error_description: description })
  expect(refusalOf({ status, body })).toBe(means)
})

test('without the registration variables nothing is sent, and the way out is named', async () => {
  const attempt = await attemptOnTwin({ flows: ['add-scope-with-put'], unaided: true })

  expect(attempt.traffic).toEqual([])
  expect((attempt as { error: Error }).error.message).toContain('is waiting for a registration of this application')
})

test('without ids nothing is sent, and each is named with the place where Thredd CA shows it', async () => {
  const attempt = await attemptOnTwin({
    flows: ['register'],
    settings: { ORG_ID: ' ' },
    inputs: { software_id: 'x'.repeat(41) },
  })

  expect(attempt.traffic).toEqual([])
  expect((attempt as { error: Error }).error.message).toContain(
    'input "software_id" from --input does not fit its schema',
  )
})

test('an expired certificate of ours is said before anything is sent', async () => {
  const { certificateFile, keyFile } = (await sharedPki()).identities.expired
  const attempt = await attemptOnTwin({
    settings: { TRANSPORT_CERT_FILE: certificateFile, TRANSPORT_KEY_FILE: keyFile },
  })

  expect(attempt.traffic).toEqual([])
  expect((attempt as { error: Error }).error).toMatchObject({ code: 'IDENTITY_EXPIRED' })
})

test('an ended handshake is no proof of its cause; its own words say what may be', async () => {
  await using ran = await runOnTwin({
    kind: 'tls',
    switches: { refuse: 'handshake' },
    faults: [hooked('expire-certificates', { use: 'tls' })],
  })

  expect(ran.record.exitCode).toBe(3)
  expect(ran.screen).toContain('PEER_CLOSED')
})

/** The finding of a step in each of the four forms. */
function asPrinted(ran: TwinRun, { stepId }: StepRecord): string {
  const lines = ran.screen.split('\n')
  const start = lines.findIndex((line) => new RegExp(`^ {2}[✗!✓] ${stepId} `).test(line))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('      '))
  const report = markdown(ran.record).split(/\n(?=- |\n|#)/)
  const cases = junit(ran.record).split('<testcase ')
  const own = cases.find((one) => one.startsWith(`name="${stepId}"`)) ?? ''
  const outcome = /<(failure|error)\b[\s\S]*?<\/\1>/.exec(own)?.[0]
  const warning = new RegExp(`<property name="warning ${stepId}: [^>]*>`).exec(junit(ran.record))?.[0]
  const parts = {
    console: lines.slice(start, end).join('\n'),
    'report.md': report.filter((one) => one.startsWith('- ') && one.includes(`/ ${stepId}\`: `)).join('\n'),
    'junit.xml': outcome ?? warning ?? '',
    annotation: github(ran.record)
      .filter((line) => line.includes(` / ${stepId} / `))
      .join('\n'),
  }
  const text = Object.entries(parts).map(([name, part]) => `--- ${name}\n${part}\n`)
  const known = text
    .join('\n')
    .replaceAll(/(x-trace-id|x-fapi-interaction-id) (?!ab12)[\w-]+/g, '$1 <id>')
    .replaceAll(/(\.arazzo\.yaml(?::|,line=))\d+/g, '$1<line>')
    // The clock goes on between the answer and its date.
    .replaceAll(/\b(399|400|401) seconds/g, '400 seconds')
  return stable(known, { folder: ran.folder })
}

/** How far the clock of the twin is ahead, in milliseconds. */
const AHEAD = 400_000

/** The answers to an operation with the date of a server whose clock is ahead. */
function ownDate(operation: string): Fault {
  return {
    name: `${operation} date`,
    what: `answers of ${operation} have the date of the server`,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        async ({ request }) => {
          const { body, status, headers } = await twin.pass(request)
          const dated = new Headers(headers)
          dated.set('date', new Date(Date.now() + AHEAD).toUTCString())
          return new HttpResponse(body, { status, headers: dated })
        },
      ),
    ],
  }
}

function refusing(operation: string, status: number, body: Readonly<Record<string, string | number>>): Fault {
  return {
    name: `${operation} refused`,
    what: `${operation} is refused with ${status}`,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        () => HttpResponse.json(body, { status, headers: { 'x-trace-id': 'ab12' } }),
      ),
    ],
  }
}

/** A fault by its name on the command line. */
function fault(spec: string): Fault {
  return {
    name: spec,
    what: spec,
    handlers: (twin) => faultsOf(spec, twin.operations).flatMap((one) => one.handlers(twin)),
  }
}

/** Something that happens at Thredd before the first call. */
function hooked(hook: string, parameters: Readonly<Record<string, unknown>>): Fault {
  return {
    name: hook,
    what: hook,
    handlers: (twin) => {
      performHook(twin.state, hook, parameters)
      return []
    },
  }
}

/** Each software statement expires before it is used. */
function expiringStatements(): Fault {
  return {
    name: 'statement expires',
    what: 'the statement expires before it is used',
    handlers: ({ state }: Twin) => {
      const set = state.issuedStatements.set.bind(state.issuedStatements)
      state.issuedStatements.set = (digest, owner) => {
        set(digest, owner)
        performHook(state, 'expire-statements')
        return state.issuedStatements
      }
      return []
    },
  }
}

test.for(['unavailable:registerClient', 'status:registerClient=500'])(
  'after %s it is open whether the client was registered',
  async (text) => {
    await using ran = await runOnTwin({ faults: [fault(text)] })

    expect(ran.screen).toContain('your turn: thredd vault list says what is open, and the way out')
    expect(ran.screen).not.toContain('run again')
  },
)
