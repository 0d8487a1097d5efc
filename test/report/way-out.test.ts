/** Every documented negative outcome is reached, and each ends with one sentence: what happened, and the documented way out. */
import { expect, test } from 'vitest'
import { performHook, type Switches } from '../../mocks/index.ts'
import { commandsFor } from '../../src/record/hints.ts'
import { refusalOf } from '../../src/record/refusals.ts'
import { SITUATIONS, wayOut } from '../../src/report/way-out.ts'
import { attemptOnTwin, type RunOnTwinOptions, runOnTwin, sharedPki, type TwinRun } from '../support/run.ts'

/** As on the embedded twin, whose environment a command uses by itself. */
const command = commandsFor([])
const steps = (ran: TwinRun) => ran.record.workflows.flatMap((workflow) => workflow.steps)
/** The sentences of a run, each of which a person has seen. */
function told(ran: TwinRun): string[] {
  const sentences = steps(ran).flatMap((step) => wayOut(step, command) ?? [])
  for (const sentence of sentences) expect(ran.screen).toContain(`way out ${sentence}\n`)
  return sentences
}

const UUID = '00000000-0000-4000-8000-000000000000'

/** What is wrong, how it comes about in one run, the step that finds it, and how the sentence begins. */
const OUTCOMES: readonly (readonly [what: string, options: RunOnTwinOptions, step: string, begins: string])[] = [
  [
    'a wrong CLIENT_ID',
    {
      flows: ['register'],
      settings: { CLIENT_ID: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/x' },
    },
    'software-statement/directory-token',
    'Thredd CA does not accept this client with this certificate',
  ],
  [
    'a wrong ORG_ID',
    { flows: ['register'], settings: { ORG_ID: UUID } },
    'software-statement/statement',
    'Thredd CA gives no software statement for these ids',
  ],
  [
    'a wrong SOFTWARE_ID',
    { flows: ['register'], settings: { SOFTWARE_ID: UUID } },
    'software-statement/statement',
    'Thredd CA gives no software statement for these ids',
  ],
  [
    'a scope beyond the roles that is refused',
    { flows: ['register'], inputs: { scopes: 'cards.read eds.read' }, switches: { scopeMode: 'strict' } },
    'register',
    'a requested scope belongs to no role of the application',
  ],
  [
    'a scope beyond the roles that is dropped',
    { flows: ['register'], inputs: { scopes: 'cards.read eds.read' }, switches: { scopeMode: 'filter' } },
    'register',
    'the server left out scopes that no role of the application covers',
  ],
  [
    'an API before Thredd has set the metadata',
    { flows: ['register'], switches: { metadataSet: 'when-asked', requirePmMetadata: true } },
    'cards-call',
    'do not run this again: send Thredd the message of the run',
  ],
  [
    'a token for a scope that is not registered',
    { flows: ['access-token'], inputs: { scope: 'eds.read' } },
    'narrow-token',
    'a requested scope is not registered for the client',
  ],
]

test.for(OUTCOMES)('%s ends with the way out', async ([, options, stepId, begins]) => {
  await using ran = await runOnTwin(options)

  const found = steps(ran).filter((step) => wayOut(step, command) !== undefined)
  expect(found.map((step) => step.stepId)).toEqual([stepId])
  expect(told(ran)).toEqual([expect.stringMatching(new RegExp(`^${begins}`))])
})

test.for(['400', '409'] as const)(
  'a second registration, refused with %s, ends with the ways to change the client that is there',
  async (secondRegistrationStatus) => {
    const switches = { secondRegistrationStatus }
    await using first = await runOnTwin({ switches })
    await using second = await runOnTwin({ switches, twin: first.twin })

    expect(told(second)).toEqual([
      expect.stringMatching(
        /^so a server refuses an application that has a client already: .*add-scope-with-put.*3\.3\.2/,
      ),
    ])
  },
)

test.for([
  [400, 'invalid_client_metadata', 'Client metadata invalid', 'registered'],
  [400, 'invalid_request', 'Client(_id) value could not be persisted', 'registered'],
  [409, 'Kunde ist bereits registriert', '', 'registered'],
  [400, 'invalid_client_metadata', 'requested scope is not available to this client', 'scope'],
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

test('a registration access token that is dead ends with the way to Thredd, where no stored one works', async () => {
  await using first = await runOnTwin()
  performHook(first.twin.state, 'delete-client')
  const { twin, folder } = first
  await using second = await runOnTwin({ flows: ['read-registration'], unaided: true, twin, folder })

  expect(told(second)).toEqual([
    expect.stringMatching(/^the registration access token is not accepted: .*thredd message delete\)/),
  ])
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

test('a software statement from before its end is fetched again by each flow; one that is refused says so', async () => {
  await using ran = await runOnTwin({
    faults: [
      {
        name: 'statement expires',
        what: 'the statement expires before it is used',
        handlers: (twin) => {
          const { issuedStatements } = twin.state
          const set = issuedStatements.set.bind(issuedStatements)
          issuedStatements.set = (digest, owner) => {
            set(digest, owner)
            performHook(twin.state, 'expire-statements')
            return issuedStatements
          }
          return []
        },
      },
    ],
  })

  expect(told(ran)).toEqual([expect.stringMatching(/^the software statement was not accepted: it is too old/)])
})

test('an application that is not active says whom to ask', async () => {
  await using ran = await runOnTwin({ faults: [hooked('set-application-status', { status: 'Inactive' })] })

  expect(told(ran)).toEqual([expect.stringMatching(/^application or organisation is not active in Thredd CA/)])
})

test.for(['handshake', 'html400'] as const)(
  'an expired certificate that the server refuses (%s) says how to get a new one',
  async (refuse) => {
    const switches: Partial<Switches> = { refuse }
    await using ran = await runOnTwin({
      kind: 'tls',
      switches,
      faults: [hooked('expire-certificates', { use: 'tls' })],
    })

    expect(ran.record.exitCode).toBe(3)
    if (refuse === 'html400')
      expect(told(ran)).toEqual([expect.stringMatching(/^the certificate was refused: it has expired/)])
    // An ended connection is no proof of its cause; its own words say what may be.
    else expect(ran.screen).toContain('PEER_CLOSED')
  },
)

test('an expired certificate of ours is said before anything is sent', async () => {
  const { certificateFile, keyFile } = (await sharedPki()).identities.expired
  const attempt = await attemptOnTwin({
    settings: { TRANSPORT_CERT_FILE: certificateFile, TRANSPORT_KEY_FILE: keyFile },
  })

  expect(attempt.traffic).toEqual([])
  expect((attempt as { error: Error }).error).toMatchObject({ code: 'IDENTITY_EXPIRED' })
})

test('a management call that the server forbids, and an unknown signing key, have their sentences', async () => {
  await using forbidden = await runOnTwin({ switches: { registrationTokenManagement: false } })
  await using unknownKey = await runOnTwin({ faults: [hooked('expire-certificates', { use: 'sig' })] })

  expect(told(forbidden)).toEqual([expect.stringMatching(/^the registration access token may not manage this client/)])
  expect(told(unknownKey)).toEqual([
    expect.stringMatching(/^the authorization server does not accept the client assertion/),
  ])
})

test('each sentence is one sentence, names a way out, and is told for some answer', () => {
  for (const { sentence: words } of SITUATIONS) {
    const sentence = typeof words === 'function' ? words(command) : words
    expect(sentence).not.toMatch(/\.$|\n/)
    expect(sentence).toMatch(/: |; |, so /)
  }
})

test('where all is well, and where no document has an answer, nothing is added', async () => {
  await using ran = await runOnTwin()

  expect(told(ran)).toEqual([])
})

/** Something that happens at Thredd before the first call. */
function hooked(hook: string, parameters: Readonly<Record<string, unknown>>) {
  return {
    name: hook,
    what: hook,
    handlers: (twin: Parameters<typeof performHookOn>[0]) => performHookOn(twin, hook, parameters),
  }
}

function performHookOn(twin: TwinRun['twin'], hook: string, parameters: Readonly<Record<string, unknown>>) {
  performHook(twin.state, hook, parameters)
  return []
}
