/** What the flows that prove requirements may do to a client on hosts of class uat, and what ends them. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { faultsOf } from '../../mocks/index.ts'
import { ROOT } from '../support/cli.ts'
import { CONFIRM, type Person, person, spoil } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

test('flows that prove refusals run where they are named, confirmed, and the file says that nobody uses the client', async () => {
  const who = await person()
  const run = ['run', 'registration'] as const
  await who.cli.write('.env.uat', environmentOf(who))

  const unconfirmed = await who.thredd(...run)
  expect([unconfirmed.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(unconfirmed.stderr).toContain('expected --confirm <client_id>')
  await who.cli.write('.env.uat', environmentOf(who).replace('SACRIFICIAL_CLIENT=true', ''))
  const inUse = await who.thredd(...run, ...CONFIRM)
  expect([inUse.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(inUse.stderr).toContain('"registration" is of safety class D')
  const unnamed = await who.thredd('run', '--conformance')
  expect(unnamed.stderr + unnamed.stdout).toContain('metadata')
  expect(who.network.changes()).toEqual([])
})

test('the first 429 ends the run: what it registered is deleted, and the reason is said', async () => {
  const who = await person()
  await who.cli.write('.env.uat', environmentOf(who))
  spoil(who.network, ...faultsOf('status:readClient=429', who.network.twin.operations))

  const { code, stdout } = await who.thredd('run', 'registration', ...CONFIRM)

  expect(stdout).toContain('asks to slow down (429)')
  expect(code).toBe(3)
  expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(false)
  expect(who.network.changes().at(-1)).toBe('DELETE 204')
  expect((await who.cli.record()).workflows[0]?.error).toMatchObject({ code: 'INTERRUPTED' })
  expect((await who.thredd('cleanup', '--dry-run')).stdout).not.toContain(CLIENT_ID)
})

test('a run makes no more calls than MOST_CALLS says, but for those that undo the others', async () => {
  const who = await person()
  await who.cli.write('.env.uat', `${environmentOf(who)}MOST_CALLS=12\n`)

  const { code, stdout } = await who.thredd('run', 'registration', ...CONFIRM)

  expect(code).toBe(3)
  expect(stdout).toContain('the run was stopped: it has made 12 calls')
  expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(false)
})

test('a client that a server registers although it must refuse it is deleted before the run ends', async () => {
  const who = await person()
  await who.cli.write('.env.uat', environmentOf(who))
  spoil(who.network, ...faultsOf('breaks:registerClient=statement-is-signed', who.network.twin.operations))

  const { code } = await who.thredd('run', 'registration', ...CONFIRM)

  expect(code).toBe(1)
  expect(who.network.changes().filter((change) => change === 'POST 201').length).toBeGreaterThan(1)
  expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(false)
})

test('a takeover is tried with the client of a second application, and neither client stays', async () => {
  const who = await person()
  const ours = environmentOf(who)
  await who.cli.write('.env.uat', ours.replaceAll(/^OTHER_.*$/gm, ''))
  const alone = await who.thredd('run', 'takeover', ...CONFIRM)
  expect([alone.code, who.network.changes()]).toEqual([2, []])
  expect(alone.stderr).toContain('OTHER_CLIENT_ID')

  await who.cli.write('.env.uat', `${ours}\n${OTHER}\n`)
  const { code, stdout } = await who.thredd('run', 'takeover', ...CONFIRM)

  expect(code, stdout).toBe(0)
  expect(who.network.changes().filter((change) => change === 'DELETE 204')).toHaveLength(2)
  expect(who.network.twin.state.clients.size).toBe(0)
})

/** The second application, as the offline environment has it. */
const OTHER =
  readFileSync(`${ROOT}.env.mock`, 'utf8')
    .match(/^OTHER_.*$/gm)
    ?.join('\n') ?? ''

/** With the certificates that refusals need, and without pauses. */
function environmentOf({ network }: Person): string {
  return `${network.environment.replaceAll('=fixtures/pki/', `=${ROOT}fixtures/pki/`)}\nPAUSE_MS=0\n`
}
