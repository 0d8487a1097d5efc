/** What must never happen to a client that is in use, with the real command line on hosts of class uat. */
import { expect, test } from 'vitest'
import { person } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

test('a client that one flow was to keep is not deleted by a later one that could not register its own', async () => {
  const who = await person()

  const { stdout } = await who.thredd('run', 'discover', 'register', 'lifecycle')

  expect(who.network.changes()).toEqual(['POST 201', 'POST 400'])
  expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(true)
  expect((await who.vault().current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe(
    who.network.twin.state.clients.get(CLIENT_ID)?.registrationToken.value,
  )
  expect(stdout).toContain('"lifecycle" has registered no client in this run, and leaves the one that is there alone')
})

test('on a machine that is thrown away nothing registers, unless somebody has said where the vault is kept', async () => {
  const who = await person()
  const { THREDD_VAULT_KEY: _, ...variables } = who.network.variables
  const thrownAway = { variables: { ...variables, CI: 'true' } }

  const refused = await who.cli.run(['run', 'register', '--env', 'uat'], thrownAway)

  expect([refused.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(refused.stderr).toContain('error[VAULT_FLEETING]: "register" (register) would leave the only token')
  expect((await who.cli.run(['run', 'discover', '--env', 'uat'], thrownAway)).code).toBe(0)
  expect((await who.cli.run(['run', 'register'], { variables: { CI: 'true' } })).code).toBe(0)
  const kept = await person()
  const { variables: own } = kept.network
  const said = { variables: { ...own, CI: 'true', THREDD_VAULT_DIR: 'kept' } }
  expect((await kept.cli.run(['run', 'register', '--env', 'uat'], said)).code).toBe(0)
})

test('a client that nobody knows is answered with the clients there are, and nothing is sent or written', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  const seen = who.network.twin.log.length

  for (const [args, said] of [
    [['vault', 'show', 'nobody'], 'the vault holds no client "nobody"'],
    [['vault', 'forget', 'nobody', '--confirm', 'nobody'], 'the vault holds no client "nobody"'],
    [['vault', 'recover', 'nobody', '--deleted-by-thredd'], 'the vault holds no client "nobody"'],
    [['message', 'delete', 'nobody'], '"nobody" is neither in the vault of "uat" nor its CLIENT_ID'],
    [['message', 'metadata', 'nobody'], '"nobody" is neither in the vault of "uat" nor its CLIENT_ID'],
    [['run', 'delete-registration', '--confirm', 'nobody'], 'would change a live client on "uat"; nothing was sent'],
  ] as const) {
    const { code, stdout, stderr } = await who.thredd(...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(said)
  }
  expect(who.network.twin.log.length).toBe(seen)
  expect((await who.vault().current(CLIENT_ID))?.deletedAt).toBeUndefined()
})

test('of a client that was deleted Thredd is asked for nothing', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  expect((await who.thredd('run', 'delete-registration', '--confirm', CLIENT_ID)).code).toBe(0)

  for (const what of ['delete', 'metadata']) {
    const { code, stdout, stderr } = await who.thredd('message', what)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(`"${CLIENT_ID}" was deleted at 2`)
    expect(stderr).toContain('see what the vault knows: thredd vault list --env uat')
  }
})

test('of several clients of one application none is taken by chance: each is named, and nothing is sent', async () => {
  const who = await person()
  const ids = ['one', 'two'].map((name) => `https://${name}.example/client`)
  const answers = ids.map((client_id) => ({
    client_id,
    software_id: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
    registration_access_token: `token-of-${client_id}`,
    registration_client_uri: `${client_id}/registration`,
  }))
  await who.cli.write('two.json', JSON.stringify(answers))
  const choice = await who.thredd('vault', 'import', 'two.json')
  expect([choice.code, ids.every((id) => choice.stderr.includes(`"${id}"`))]).toEqual([2, true])
  for (const id of ids) expect((await who.thredd('vault', 'import', 'two.json', id, '--confirm', id)).code).toBe(0)

  for (const flow of ['read-registration', 'delete-registration', 'register']) {
    const { code, stderr } = await who.thredd('run', flow, '--confirm', ids[0] ?? '')
    expect(code).toBe(2)
    expect(stderr).toContain('the vault of "uat" holds 2 clients of this application; nothing was sent')
    for (const id of ids) expect(stderr).toContain(`"${id}"`)
  }
  expect(who.network.twin.log).toEqual([])
})
