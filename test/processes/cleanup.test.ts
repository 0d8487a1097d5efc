/** Nothing left unaccounted for: each client that a run makes is on the ledger, and what a run leaves behind is removed. */
import { readdir } from 'node:fs/promises'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { changeStatus, loseAnswer } from '../../mocks/index.ts'
import type { LedgerEntry, Vault } from '../../src/vault/index.ts'
import { Cli } from '../support/cli.ts'
import { CONFIRM, hold, killedAt, type Person, person, spoil } from '../support/person.ts'
import { course, runOnTwin } from '../support/run.ts'
import { CLIENT_ID } from '../support/twin.ts'
import { body, call, CLIENT_ID as THEIRS, temporaryFolder, URI, vaultIn } from '../support/vault.ts'

const isLive = ({ network }: Person) => network.twin.state.clients.has(CLIENT_ID)
const ledgerOf = async (who: Person) => (await who.vault().ledger()).map(({ state }) => state)
const changes = ({ network }: Person) => network.changes().filter((line) => line.startsWith('DELETE'))

test('the ledger says of every client which run made it, whether that was to delete it, and what became of it', async () => {
  const folder = await temporaryFolder()
  const vault = vaultIn(folder)
  const said = async () =>
    (await vault.ledger()).map(({ runId, step, purpose, state }) => `${runId} ${step} ${purpose} ${state}`)
  const registering = async (runId: string, purpose: LedgerEntry['purpose']) =>
    await vault.begin({ ...call('register'), runId, purpose })

  {
    await using lost = await registering('one', 'temporary')
    expect(await said()).toEqual(['one register temporary announced'])
    await lost.close('unknown')
  }
  expect(await said()).toEqual(['one register temporary unknown'])
  await answered(await registering('two', 'temporary'), 'token-1')
  expect(await said()).toEqual(['two register temporary registered'])
  await vault.close()
  expect(await said()).toEqual(['two register temporary left behind'])
  await answered(await vault.begin(call('update')), 'token-2', 200)
  expect(await said()).toEqual(['two register temporary left behind'])
  await (await vault.begin(call('delete'))).close('unknown')
  expect(await said()).toEqual(['two register temporary unknown'])
  await vault.remove(THEIRS)
  expect(await said()).toEqual(['two register temporary deleted'])
  await answered(await registering('three', 'kept'), 'token-3')
  expect(await said()).toEqual(['two register temporary deleted', 'three register kept kept'])
})

test('a run that ends names the clients that it was to delete and leaves behind', async () => {
  const vault = vaultIn(await temporaryFolder())
  await answered(await vault.begin({ ...call('register'), runId: 'one', purpose: 'temporary' }), 'token-1')

  expect(await vault.warnings({ runId: 'one' })).toEqual([
    `client "${THEIRS}" was registered by step "register" and is still there, although this run was to delete it: thredd cleanup --env uat`,
  ])
  expect([await vault.warnings({ runId: 'two' }), await vault.warnings()]).toEqual([[], []])
  await vault.remove(THEIRS)
  expect(await vault.warnings({ runId: 'one' })).toEqual([])
})

test('a client that anybody registered to stay is not left behind, whoever registers it again', async () => {
  const stays = async (register: (vault: Vault) => Promise<unknown>) => {
    const vault = vaultIn(await temporaryFolder())
    await register(vault)
    return (await vault.ledger()).map(({ state }) => state)
  }
  const as = async (vault: Vault, token: string, purpose?: LedgerEntry['purpose']) =>
    await answered(await vault.begin({ ...call('register'), ...(purpose && { purpose }) }), token)

  expect(await stays((vault) => as(vault, 'one'))).toEqual(['kept'])
  expect(await stays(async (vault) => [await as(vault, 'one', 'kept'), await as(vault, 'two', 'temporary')])).toEqual([
    'kept',
  ])
  expect(await stays(async (vault) => [await as(vault, 'one', 'temporary'), await as(vault, 'two', 'kept')])).toEqual([
    'kept',
  ])
  // From an export, Postman, or an earlier version of this tool: nobody knows what was meant.
  const entry = {
    kind: 'answer',
    at: '2026-01-01T00:00:00Z',
    runId: 'r',
    step: 's',
    status: 201,
    body: body('x'),
    clientId: THEIRS,
  }
  expect(await stays((vault) => vault.import(THEIRS, [entry]))).toEqual(['kept'])
})

test('what a client was meant for survives twenty rotations of its token', async () => {
  const vault = vaultIn(await temporaryFolder())
  await answered(await vault.begin(call('register')), 'first')
  await vault.remove(THEIRS)
  await answered(await vault.begin({ ...call('register'), purpose: 'temporary' }), 'token')
  for (let index = 0; index < 25; index++)
    await vault.keep({ status: 200, body: body(`token-${index}`), step: 'read', runId: 'r', clientId: THEIRS })
  await vault.rotateKey().catch(() => undefined)
  await vault.close()

  expect((await vault.ledger()).map(({ state }) => state)).toEqual(['deleted', 'left behind'])
})

/** In the order in which the flow calls them. */
const OPERATIONS = [
  'directoryToken',
  'getSoftwareStatementAssertion',
  'registerClient',
  'token',
  'cardsSmoke',
  'readClient',
  'updateClient',
  'deleteClient',
]

test('Ctrl-C at each call of the lifecycle leaves nothing: a call that changes the client is waited for', async () => {
  const who = await person()
  const ends: Record<string, readonly string[]> = {}
  for (const operation of OPERATIONS) {
    const held = hold(who.network, operation)
    const running = who.start('run', 'lifecycle')
    await held.arrived
    await Cli.interrupt(running, 'stopping')
    held.release()
    const { code } = await running.ended
    who.network.twin.reset()
    expect([operation, code]).toEqual([operation, 3])
    ends[operation] = [...(await ledgerOf(who)), isLive(who) ? 'live' : 'gone']
    await startAgain(who)
  }

  const [first, second, ...others] = OPERATIONS
  expect(ends).toEqual({
    ...Object.fromEntries([first, second].map((operation) => [operation, ['gone']])),
    ...Object.fromEntries(others.map((operation) => [operation, ['deleted', 'gone']])),
  })
})

test('a second Ctrl-C at a call that changes the client ends the run at once, and says that the call is open', async () => {
  const who = await person()
  const ends: Record<string, readonly string[]> = {}
  for (const operation of ['registerClient', 'updateClient', 'deleteClient']) {
    const held = hold(who.network, operation)
    const running = who.start('run', 'lifecycle')
    await held.arrived
    await Cli.interrupt(running, 'stopping')
    await Cli.interrupt(running, 'cutting off')
    const { code, stdout } = await running.ended
    held.release()
    who.network.twin.reset()
    expect([operation, code]).toEqual([operation, 3])
    const open = /warning open (\w+) of client/.exec(stdout)?.[1] ?? 'none'
    ends[operation] = [open, ...(await ledgerOf(who)), isLive(who) ? 'live' : 'gone']
    await startAgain(who)
  }

  expect(ends).toEqual({
    // The answer with the only token was lost.
    registerClient: ['register', 'unknown', 'live'],
    // The answer with the new token was lost; the old one no longer deletes.
    updateClient: ['update', 'unknown', 'live'],
    deleteClient: ['delete', 'unknown', 'gone'],
  })
})

test('killed at a call of the lifecycle: the ledger names what is left, and cleanup removes it or says who can', async () => {
  const who = await person({ rotateOnUpdate: false })
  const ends: Record<string, unknown> = {}
  for (const operation of [
    'getSoftwareStatementAssertion',
    'registerClient',
    'cardsSmoke',
    'updateClient',
    'deleteClient',
  ]) {
    await killedAt(who, operation)
    const before = await ledgerOf(who)
    const { code, stdout } = await who.thredd('cleanup', ...CONFIRM)
    ends[operation] = [...before, '->', ...(await ledgerOf(who)), isLive(who) ? 'live' : 'gone', code]
    if (isLive(who)) expect(stdout).toContain(`next: register again: thredd run register --env uat`)
    await startAgain(who)
  }

  expect(ends).toEqual({
    getSoftwareStatementAssertion: ['->', 'gone', 0],
    registerClient: ['unknown', '->', 'unknown', 'live', 3],
    cardsSmoke: ['left behind', '->', 'deleted', 'gone', 0],
    updateClient: ['unknown', '->', 'deleted', 'gone', 0],
    deleteClient: ['unknown', '->', 'deleted', 'gone', 0],
  })
})

test('cleanup asks for the client id like any run, shows without sending on --dry-run, and leaves a record', async () => {
  const who = await person()
  await killedAt(who, 'cardsSmoke')

  expect((await who.thredd('vault', 'list')).stdout).toMatch(
    /^\S+\n {2}registered, answer of \S+\n {2}left behind by run \S+, which was to delete it: thredd cleanup --env uat\n$/,
  )
  const shown = await who.thredd('cleanup', '--dry-run')
  expect(shown).toEqual({
    code: 3,
    stderr: '',
    stdout: expect.stringMatching(
      new RegExp(
        `^left behind  ${CLIENT_ID}\n  registered \\S+Z by step "register" of run [0-9a-f-]{36}, which was to delete it\n$`,
      ),
    ),
  })
  const json = JSON.parse((await who.thredd('cleanup', '--dry-run', '--json')).stdout)
  expect(json).toMatchObject({ environment: 'uat', dryRun: true, found: [{ state: 'left behind' }], removed: [] })
  for (const args of [[], ['--confirm', 'somebody-else']]) {
    const refused = await who.thredd('cleanup', ...args)
    expect([refused.code, refused.stdout]).toEqual([
      2,
      expect.stringContaining('error[USAGE]: "delete-registration" (delete) would change a live client on "uat"'),
    ])
  }
  expect([isLive(who), changes(who)]).toEqual([true, []])

  const done = await who.thredd('cleanup', ...CONFIRM)

  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('\nnothing is left behind\n') })
  expect([isLive(who), changes(who)]).toEqual([false, ['DELETE 204']])
  expect(await who.cli.record()).toMatchObject({ verdict: 'conformant', workflows: [{ effect: 'delete' }] })
  expect(await who.thredd('cleanup')).toEqual({
    code: 0,
    stdout: 'nothing was left behind on "uat"\n',
    stderr: '',
  })
})

test('what register made on purpose is never touched by cleanup', async () => {
  const who = await person()
  await who.thredd('run', 'register')

  expect((await who.thredd('cleanup', ...CONFIRM)).stdout).toBe('nothing was left behind on "uat"\n')

  expect([isLive(who), changes(who), await ledgerOf(who)]).toEqual([true, [], ['kept']])
})

test('the client of a run that is still going is left to that run', async () => {
  const who = await person()
  const held = hold(who.network, 'cardsSmoke')
  const running = who.start('run', 'lifecycle')
  await held.arrived

  const { code, stdout } = await who.thredd('cleanup', ...CONFIRM)

  expect([code, changes(who)]).toEqual([3, []])
  expect(stdout).toMatch(
    /^registered {3}\S+\n {2}registered \S+ by step "register" of run \S+, which is still running and will delete it\n/,
  )
  held.release()
  expect((await running.ended).code).toBe(0)
  expect(await ledgerOf(who)).toEqual(['deleted'])
})

test('without a vault there is nothing to clean up, and nothing is made', async () => {
  await using cli = await Cli.make()

  expect(await cli.run(['cleanup'])).toEqual({
    code: 0,
    stdout: 'nothing was left behind on "mock"\n',
    stderr: '',
  })
  expect(await readdir(cli.folder)).toEqual([])
})

test('what a killed run left on the embedded twin ended with it: cleanup closes the books', async () => {
  await using cli = await Cli.make()
  const running = cli.start(['run', 'lifecycle', '--json'])
  let seen = ''
  await new Promise<void>((resolve) => {
    running.process.stdout.on('data', (text: string) => {
      seen += text
      if (seen.includes('"registration-kept"')) resolve()
    })
  })
  running.process.kill('SIGKILL')
  await running.ended

  const { code, stdout } = await cli.run(['cleanup', '--json'])

  expect([code, JSON.parse(stdout)]).toMatchObject([0, { environment: 'mock', left: [] }])
  expect((await cli.run(['cleanup'])).stdout).toBe('nothing was left behind on "mock"\n')
})

test('a step that fails after the registration does not leave the client behind', async () => {
  await using ran = await runOnTwin({ flows: ['lifecycle'], faults: [changeStatus('cardsSmoke', 403)] })

  expect(ran.record.exitCode).toBe(1)
  expect(course(ran.record).at(-1)).toBe('leave-nothing-behind passed')
  expect(ran.twin.state.clients.has(CLIENT_ID)).toBe(false)
})

test('what always runs deletes only what this run has registered', async () => {
  await using first = await runOnTwin()
  const { folder, twin } = first
  await using ran = await runOnTwin({ flows: ['lifecycle'], folder, twin })

  expect(course(ran.record).filter((line) => /^(?:register|leave)/.test(line))).toEqual([
    'register failed',
    'leave-nothing-behind skipped: nothing to do: "lifecycle" has registered no client in this run, and leaves the one that is there alone',
  ])
  expect(twin.state.clients.has(CLIENT_ID)).toBe(true)
})

test('a deletion whose answer is lost is asked for again, and cleanup finds that it took place', async () => {
  const who = await person()
  spoil(who.network, loseAnswer('deleteClient'))
  await who.thredd('run', 'lifecycle')
  who.network.twin.reset()
  expect(await ledgerOf(who)).toEqual(['unknown'])

  const { stdout, code } = await who.thredd('cleanup')

  expect([code, await ledgerOf(who)]).toEqual([0, ['deleted']])
  expect(stdout).toContain(
    'settled: the server refuses the stored token with status 401: the client is deleted, and marked so',
  )
})

test('a page in place of the answer to a DELETE, or to the reading after it, deletes nothing in the vault', async () => {
  const who = await person()
  await killedAt(who, 'cardsSmoke')
  const pageFor = (operation: string, status: number) =>
    who.network.twin.use(
      http.all(
        ({ request }) => who.network.twin.operationOf(request) === operation,
        () => HttpResponse.html('<h1>back soon</h1>', { status }),
      ),
    )

  pageFor('deleteClient', 200)
  pageFor('readClient', 403)
  expect((await who.thredd('cleanup', ...CONFIRM)).code).not.toBe(0)
  expect([isLive(who), await ledgerOf(who)]).toEqual([true, ['unknown']])
  expect(await who.thredd('cleanup', ...CONFIRM)).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('open: the answer to the stored token has status 403 and a page'),
  })
  expect(await ledgerOf(who)).toEqual(['unknown'])

  who.network.twin.reset()
  expect((await who.thredd('cleanup', ...CONFIRM)).code).toBe(0)
  expect([isLive(who), await ledgerOf(who)]).toEqual([false, ['deleted']])
})

async function answered(intent: Awaited<ReturnType<Vault['begin']>>, token: string, status = 201): Promise<void> {
  await intent.keep({ status, body: body(token, { registration_client_uri: URI }) })
  await intent.close('answered')
}

/** Thredd deletes what is still there, and the vault is told. */
async function startAgain(who: Person): Promise<void> {
  who.network.twin.state.deleteClient(CLIENT_ID)
  const vault = who.vault()
  await vault.remove(CLIENT_ID)
  if ((await vault.list()).registrations.length > 0) await vault.forget(CLIENT_ID)
  await vault.close()
}
