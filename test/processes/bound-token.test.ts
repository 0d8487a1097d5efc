/** A server that binds a registration access token to the certificate it was issued to, and a client with one of its own. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, type Running } from '../support/cli.ts'
import { hold, type Person, person } from '../support/person.ts'
import { addApplications, clientId, csvOf, SHARED_CERTIFICATE, SHARED_SETTING } from '../support/rows.ts'

/** A list of one row that names an identity of its own, on a server that binds tokens to certificates. */
async function rowWithOwnCertificate(by: 'IDENTITY' | 'files' | 'none' = 'IDENTITY') {
  const who = await person({ ...SHARED_CERTIFICATE, certBoundRegistrationToken: true })
  const { network, cli, thredd } = who
  addApplications(network, [1])
  const complete = `${network.environment.replaceAll('fixtures/pki', join(ROOT, 'fixtures', 'pki'))}${SHARED_SETTING}PAUSE_MS=0\n`
  await cli.write('.env.uat', complete)
  const [head, row] = csvOf([1]).split('\r\n')
  const fileOf = (part: string) => new RegExp(`^IDENTITY_RENEWED_${part}_FILE=(.*)$`, 'm').exec(complete)?.[1]
  const [names, cells] =
    by !== 'files'
      ? ['IDENTITY', by === 'none' ? '' : 'renewed']
      : ['TRANSPORT_CERT_FILE,TRANSPORT_KEY_FILE', `${fileOf('CERT')},${fileOf('KEY')}`]
  await cli.write('clients.csv', `${head},${names}\r\n${row},${cells}\r\n`)
  const start = async (flow: string) => {
    const { stdout } = await thredd('run', flow, '--data', 'clients.csv', '--dry-run')
    return who.start('run', flow, '--data', 'clients.csv', '--confirm', /--confirm (\S+)/.exec(stdout)?.[1] ?? '')
  }
  return { who, complete, start }
}

async function leaveBehind(who: Person, start: (flow: string) => Promise<Running>): Promise<void> {
  const held = hold(who.network, 'cardsSmoke')
  const running = await start('lifecycle')
  await held.arrived
  running.process.kill('SIGKILL')
  await running.ended
  held.release()
  who.network.twin.reset()
}

test.each(['IDENTITY', 'files'] as const)(
  'a client that a row registered with its own certificate (%s) is read with that one, and a refusal to another does not delete it',
  async (by) => {
    const { who, complete, start } = await rowWithOwnCertificate(by)
    const { network, cli, thredd } = who
    const run = async (flow: string) => await (await start(flow)).ended
    expect((await run('register')).code).toBe(0)
    hold(network, 'deleteClient', false).release()
    await run('delete-registration')
    network.twin.reset()
    expect(await who.vault().unsettled()).toMatchObject([{ effect: 'delete', way: 'read' }])

    await cli.write('.env.uat', complete.replaceAll(/^IDENTITY_RENEWED_.*\n/gm, ''))
    const unknown = { code: 3, stdout: expect.stringContaining('it was last issued to or accepted with x5t#S256 ') }
    expect(await thredd('vault', 'recover', '--online')).toMatchObject(unknown)
    expect(await thredd('vault', 'check', '--online')).toMatchObject(unknown)
    expect(await who.vault().current(clientId(1))).toBeDefined()

    await cli.write('.env.uat', complete)
    expect(await thredd('vault', 'recover', '--online')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('settled: the stored token works; the client was not deleted'),
    })
    expect(await thredd('vault', 'check', '--online')).toMatchObject({ code: 0 })
    expect([...network.twin.state.clients.keys()]).toEqual([clientId(1)])
  },
)

test('cleanup deletes a client with the certificate that a row registered it with, and leaves it where nobody has that', async () => {
  const { who, complete, start } = await rowWithOwnCertificate()
  await leaveBehind(who, start)
  const cleanUp = async () => await who.thredd('cleanup', '--confirm', clientId(1))

  await who.cli.write('.env.uat', complete.replaceAll(/^IDENTITY_RENEWED_.*\n/gm, ''))
  const before = who.network.twin.log.length
  expect(await cleanUp()).toMatchObject({
    code: 2,
    stdout: expect.stringMatching(
      new RegExp(
        `not deleted {2}${clientId(1)}\nerror\\[IDENTITY_MISSING\\]: client "${clientId(1)}" was registered with a certificate that no identity that could be loaded of "uat" has; nothing was sent\n {3}= expected an identity whose certificate has x5t#S256 \\S+\n {3}= got identity "expired" could not be loaded: .*\n {3}= name it .*, then thredd cleanup --env uat; where that certificate no longer exists, no usable token is left: ask Thredd .* thredd message delete ${clientId(1)} --token-refused .*\n1 client still left`,
      ),
    ),
  })
  await who.cli.write('.env.uat', complete.replace(/^(IDENTITY_RENEWED_KEY_FILE)=.*$/m, '$1=/nowhere.key'))
  const { stdout } = await cleanUp()
  expect(stdout).toMatch(/^ {3}= got .*identity "renewed" could not be loaded: .*\/nowhere.key/m)
  expect(who.network.twin.log.length).toBe(before)

  await who.cli.write('.env.uat', complete)
  expect(await cleanUp()).toMatchObject({ code: 0, stdout: expect.stringContaining('\nnothing is left behind\n') })
  expect(who.network.twin.state.clients.size).toBe(0)
})

test('cleanup takes the certificate that a client was registered with, although the environment now has another for the server', async () => {
  const { who, complete, start } = await rowWithOwnCertificate('none')
  await leaveBehind(who, start)
  await who.cli.write('.env.uat', `${complete}IDENTITY_FOR_AUTHORIZATION=renewed\n`)

  expect(await who.thredd('cleanup', '--confirm', clientId(1))).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('\nnothing is left behind\n'),
  })
  expect(who.network.twin.state.clients.size).toBe(0)
})
