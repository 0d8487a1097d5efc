/** A list of applications on hosts of class uat: confirmed as a whole, each row by itself, stopped and run again. */
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { changeField } from '../../mocks/index.ts'
import { commandsIn } from '../../src/record/hints.ts'
import { Cli, ROOT } from '../support/cli.ts'
import { hold, person, shell, spoil } from '../support/person.ts'
import {
  addApplications,
  clientId,
  csvOf,
  numbers,
  SHARED_CERTIFICATE,
  SHARED_SETTING,
  softwareId,
} from '../support/rows.ts'

/** A person with a list of so many applications. */
async function fleet(count: number) {
  const who = await person(SHARED_CERTIFICATE)
  addApplications(who.network, numbers(count))
  await who.cli.write('.env.uat', `${who.network.environment}${SHARED_SETTING}PAUSE_MS=0\n`)
  await who.cli.write('clients.csv', csvOf(numbers(count)))
  const confirmation = async (flow = 'register') => {
    const { stdout } = await who.thredd('run', flow, '--data', 'clients.csv', '--dry-run')
    return /--confirm (\S+)/.exec(stdout)?.[1] ?? ''
  }
  return {
    ...who,
    confirmation,
    run: async (...more: string[]) =>
      await who.thredd('run', 'register', '--data', 'clients.csv', '--confirm', await confirmation(), ...more),
    clients: () => [...who.network.twin.state.clients.keys()].toSorted(),
  }
}

test('a list is confirmed by its number of rows and its hash, and every client is kept by its own id', async () => {
  const who = await fleet(5)

  const unconfirmed = await who.thredd('run', 'register', '--data', 'clients.csv')
  expect([unconfirmed.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(unconfirmed.stderr).toMatch(/"register" \(register\) would run for 5 rows on "uat".*\n.*expected --confirm 5-/)
  const confirmation = await who.confirmation()
  await who.cli.write('clients.csv', `${csvOf(numbers(5))}\r\n`)
  const changed = await who.thredd('run', 'register', '--data', 'clients.csv', '--confirm', confirmation)
  expect([changed.code, who.network.twin.log.length]).toEqual([2, 0])
  expect(changed.stderr).toContain('got the confirmation of another list')

  const { code, stdout } = await who.run('--parallel', '3', '--format', 'md,ctrf,har')
  expect(code, stdout).toBe(0)
  expect(stdout).toContain('rows    5 conformant')
  expect(who.clients()).toEqual(numbers(5).map(clientId))
  const held = (await who.vault().list()).registrations
  expect(held.map((one) => one.clientId)).toEqual(numbers(5).map(clientId))
  for (const { clientId: id, registrationAccessToken } of held)
    expect(who.network.twin.state.clients.get(id)?.registrationToken.value).toBe(registrationAccessToken?.reveal())
  const record = await who.cli.record()
  expect(record.workflows.map(({ row }) => row?.number)).toEqual(numbers(5))
  expect(record.rows).toMatchObject({ file: 'clients.csv', total: 5, parallel: 3, leftOut: [], notStarted: [] })
  expect(record.messagesToThredd?.map((one) => one.clientId).toSorted()).toEqual(numbers(5).map(clientId))
  const texts = new Map<string, string>()
  for (const name of ['record.json', 'report.html', 'junit.xml', 'report.md', 'ctrf.json', 'run.har'])
    texts.set(name, await readFile(join(who.cli.folder, 'reports', 'latest', name), 'utf8'))
  expect(texts.get('junit.xml')?.match(/<testsuite name="register, row \d/g)).toHaveLength(5)
  // Of one row and of all others.
  const secrets = [...who.network.twin.state.clients.values()].map(({ registrationToken }) => registrationToken.value)
  for (const secret of secrets) for (const [name, text] of texts) expect(text.includes(secret), name).toBe(false)
})

test('a row that fails stops no other; run again, the list leaves out what is registered', async () => {
  const who = await fleet(4)
  who.network.twin.state.setApplicationStatus(softwareId(2), 'Inactive')

  const confirmation = await who.confirmation()
  const first = await who.run('--parallel', '2')
  expect(first.code, first.stdout).toBe(1)
  expect(first.stdout).toMatch(/rows {4}3 conformant · 1 non-conformant/)
  expect(who.clients()).toEqual([1, 3, 4].map(clientId))

  who.network.twin.state.setApplicationStatus(softwareId(2), 'Active')
  const second = await who.run()
  // What the first run came to is not said by the second.
  expect(second.code, second.stdout).toBe(3)
  expect(second.stdout).toContain('4 rows of clients.csv: 1 to run')
  expect(second.stdout).toMatch(/left out row 1: registered by an earlier run at \S+Z, not proven here/)
  expect(second.stdout).toContain('rows    1 conformant · 3 left out, not proven here')
  const again = await who.cli.record()
  expect([again.verdict, again.rows?.leftOut.map(({ number }) => number)]).toEqual(['inconclusive', [1, 3, 4]])
  expect(again.warnings.join()).toContain('3 rows left out, whose clients an earlier run has registered')
  expect(who.clients()).toEqual(numbers(4).map(clientId))

  const third = await who.thredd('run', 'register', '--data', 'clients.csv', '--confirm', confirmation)
  expect(third.code).toBe(2)
  expect(third.stderr).toContain('would register over the client that the vault of "uat" holds')
})

test('a row that names a client other than the one in the vault changes nothing', async () => {
  const who = await fleet(2)
  expect((await who.run()).code).toBe(0)
  const lines = csvOf(numbers(2)).split('\r\n')
  await who.cli.write('clients.csv', [lines[0], lines[2]?.replace(clientId(2), clientId(7)), ''].join('\r\n'))
  const sent = who.network.twin.log.length

  const refused = await who.thredd('run', 'delete-registration', '--data', 'clients.csv', '--dry-run')
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain(
    'row 1 (line 2) of "clients.csv": column "CLIENT_ID": the vault of "uat" holds another',
  )
  expect(refused.stderr).toContain(`expected ${clientId(2)}`)
  expect([who.network.twin.log.length, who.clients()]).toEqual([sent, [1, 2].map(clientId)])
})

test('Ctrl-C begins no further row, and what the others have registered is deleted', async () => {
  const who = await fleet(6)
  const confirmation = await who.confirmation('lifecycle')
  const held = hold(who.network, 'readClient')

  const running = who.start('run', 'lifecycle', '--data', 'clients.csv', '--parallel', '2', '--confirm', confirmation)
  await held.arrived
  running.process.kill('SIGINT')
  held.release()
  const { code, stdout } = await running.ended

  expect(code, stdout).toBe(3)
  expect(who.clients()).toEqual([])
  expect(who.network.changes().filter((change) => change === 'DELETE 204').length).toBeGreaterThan(0)
  const record = await who.cli.record()
  expect(record.rows?.notStarted).toEqual([3, 4, 5, 6])
  expect(stdout).toContain('4 not started')
  expect((await who.vault().list()).registrations.filter(({ deletedAt }) => deletedAt === undefined)).toEqual([])
})

test('Ctrl-C while rows register: what was sent is waited for, and every client that exists has its token in the vault', async () => {
  const who = await fleet(6)
  const held = hold(who.network, 'registerClient')
  const confirmation = await who.confirmation()
  const running = who.start('run', 'register', '--data', 'clients.csv', '--parallel', '3', '--confirm', confirmation)
  await held.arrived

  await Cli.interrupt(running, 'stopping')
  held.release()
  const { code, stdout } = await running.ended

  expect(code, stdout).toBe(3)
  expect(who.clients().length).toBeGreaterThan(0)
  const vault = who.vault()
  expect((await vault.list()).registrations.map((one) => one.clientId)).toEqual(who.clients())
  expect(await vault.unsettled()).toEqual([])
})

test('rows about one client run one after the other, and the second does not register over the first', async () => {
  const who = await fleet(1)
  await who.cli.write('clients.csv', csvOf([1, 1, 1]))

  const { code, stdout } = await who.run('--parallel', '3')

  // This run has registered it, and says what came of that.
  expect(code, stdout).toBe(0)
  expect(stdout).toContain('3 to run, one at a time, since those about one client run one after another')
  expect(who.network.changes()).toEqual(['POST 201'])
  expect((await who.cli.record()).rows?.leftOut).toEqual(
    [2, 3].map((number) => ({ number, because: 'registered by row 1 of this run', registeredBy: 1 })),
  )
})

test('a row that names another client than the row before it has brought about does not begin', async () => {
  const who = await fleet(1)
  await who.cli.write('clients.csv', csvOf([1, 1]))
  spoil(who.network, changeField('registerClient', '/client_id', 'somebody-else'))

  const { code, stdout } = await who.run()

  expect(code, stdout).toBe(1)
  expect(stdout).toContain(
    'row 2 was not started: column "CLIENT_ID": the vault of "uat" holds another client for the SOFTWARE_ID of the row; correct CLIENT_ID',
  )
  expect(who.network.changes()).toEqual(['POST 201'])
  expect((await who.cli.record()).rows?.notStarted).toEqual([2])
})

test('a client that another run registers meanwhile was not confirmed: a later row leaves it alone', async () => {
  const who = await fleet(1)
  const own = { THREDD_CLIENT_ID: clientId(1), THREDD_SOFTWARE_ID: softwareId(1) }
  const start = (...args: string[]) =>
    who.cli.start([...args, '--env', 'uat', '--allow-env'], { variables: { ...who.network.variables, ...own } })
  expect((await start('run', 'register').ended).code).toBe(0)
  const twice = ['run', 'delete-registration', '--repeat', '2']
  const { stdout: dry } = await start(...twice, '--dry-run').ended
  // At its end the first row shows that the client is gone.
  const held = hold(who.network, 'token')
  const running = start(...twice, '--confirm', /--confirm (\S+)/.exec(dry)?.[1] ?? '')
  await held.arrived
  who.network.twin.reset()
  spoil(who.network, changeField('registerClient', '/client_id', 'somebody-else'))
  await start('run', 'register').ended
  held.release()

  const { code, stdout } = await running.ended

  expect(code, stdout).toBe(3)
  expect(stdout).toContain('row 2 was not started: client "somebody-else" was registered or changed by another run')
  expect(who.network.changes()).toEqual(['POST 201', 'DELETE 204', 'POST 201'])
  expect((await who.cli.record()).rows?.notStarted).toEqual([2])
})

test('a row whose client is not in the vault does not begin, and the others run', async () => {
  const who = await fleet(3)
  await who.cli.write('clients.csv', csvOf([1, 3]))
  expect((await who.run()).code).toBe(0)
  await who.cli.write('clients.csv', csvOf(numbers(3)))
  const read = async (...more: string[]) =>
    await who.thredd('run', 'read-registration', '--data', 'clients.csv', ...more)

  const why =
    /row 2 was not started: workflow "read-registration" is waiting for a registration of this application: .*; register first with THREDD_CLIENT_ID=/
  const dry = await read('--dry-run')
  expect([dry.code, dry.stdout]).toEqual([0, expect.stringMatching(why)])
  expect(dry.stdout).toContain('rows        2, 1 not started, 1 at a time')
  const { code, stdout } = await read()
  expect([code, stdout]).toEqual([3, expect.stringMatching(why)])
  expect(stdout).toContain('rows    2 conformant · 1 not started')
  expect((await who.cli.record()).rows?.notStarted).toEqual([2])

  const junit = await readFile(join(who.cli.folder, 'reports', 'latest', 'junit.xml'), 'utf8')
  expect(junit).toMatch(/<testsuite name="rows not started" tests="1" failures="0" errors="0" skipped="1"/)
  expect(junit).toMatch(
    /<testcase name="row 2" .*\n +<skipped message="workflow &quot;read-registration&quot; is waiting/,
  )

  await who.cli.write('clients.csv', csvOf([2]))
  const none = await read()
  expect([none.code, none.stdout, none.stderr]).toEqual([3, '', expect.stringContaining('error[PRECONDITION]: ')])
  const waiting = numbers(12).map((number) => 2 * number)
  await who.cli.write('clients.csv', csvOf(waiting))
  const all = await read()
  expect([all.code, all.stderr]).toEqual([3, expect.stringContaining('and 2 more problems of rows')])
  for (const [row, number] of waiting.slice(0, 10).entries())
    expect(all.stderr).toMatch(
      new RegExp(
        `row ${row + 1} \\(line ${row + 2}\\) of "clients.csv": [^=]*= register first with [^,]*=${softwareId(number)} thredd`,
      ),
    )
})

test('a row that waits no longer was not confirmed', async () => {
  const who = await fleet(2)
  await who.cli.write('clients.csv', csvOf([1]))
  expect((await who.run()).code).toBe(0)
  const second = csvOf([2])
  await who.cli.write('clients.csv', csvOf([1, 2]))
  const confirmation = await who.confirmation('delete-registration')
  await who.cli.write('second.csv', second)
  const { stdout } = await who.thredd('run', 'register', '--data', 'second.csv', '--dry-run')
  const confirmed = /--confirm (\S+)/.exec(stdout)?.[1] ?? ''
  expect((await who.thredd('run', 'register', '--data', 'second.csv', '--confirm', confirmed)).code).toBe(0)

  const deleted = ['run', 'delete-registration', '--data', 'clients.csv', '--confirm', confirmation]
  const { code, stderr } = await who.thredd(...deleted)

  expect([code, stderr]).toEqual([2, expect.stringContaining('got the confirmation of another list')])
  expect(who.clients()).toEqual([1, 2].map(clientId))
})

test('the records of shards without a row that may run are merged, and name these rows', async () => {
  const who = await fleet(4)
  await who.cli.write('clients.csv', csvOf([1, 3]))
  expect((await who.run()).code).toBe(0)
  await who.cli.write('clients.csv', csvOf(numbers(4)))
  const shards = async (flow: string, ...more: string[]) =>
    await Promise.all(
      [1, 2].map(async (index) => {
        const shard = ['--shard', `${index}/2`, '--out', `${flow}-${index}`]
        return (await who.thredd('run', flow, '--data', 'clients.csv', ...shard, ...more)).code
      }),
    )

  expect(await shards('read-registration')).toEqual([0, 3])
  const second = ['--shard', '2/2', '--dry-run']
  const dry = await who.thredd('run', 'read-registration', '--data', 'clients.csv', ...second)
  expect([dry.code, dry.stdout]).toEqual([
    0,
    expect.stringMatching(/rows {8}0, 2 not started: nothing would be sent\n$/),
  ])
  const reads = ['read-registration-1', 'read-registration-2']
  const read = await who.cli.run(['report', 'merge', ...reads, '--out', 'read', '--format', 'md,ctrf'])
  expect([read.code, read.stdout]).toEqual([3, expect.stringContaining('2 shards · 4 rows · 2 not started')])
  const folder = join(
    who.cli.folder,
    'read',
    (await readdir(join(who.cli.folder, 'read'))).find((one) => one !== 'latest') ?? '',
  )
  const record = JSON.parse(await readFile(join(folder, 'record.json'), 'utf8'))
  expect([record.rows.notStarted, record.workflows.length]).toEqual([[2, 4], 2])
  const junit = await readFile(join(folder, 'junit.xml'), 'utf8')
  expect(junit.match(/<testcase name="row [24]" .*\n +<skipped message="workflow .*is waiting for/g)).toHaveLength(2)

  const { summary, tests } = JSON.parse(await readFile(join(folder, 'ctrf.json'), 'utf8')).results
  expect([summary.skipped, tests.filter((one: { status: string }) => one.status === 'skipped').length]).toEqual([2, 2])
  expect(await readFile(join(folder, 'report.md'), 'utf8')).toContain('Nothing failed, but 2 rows were not started.')

  // Shard 1 of a registration has no row left.
  expect(await shards('register', '--confirm', await who.confirmation())).toEqual([3, 0])
  const registered = await who.cli.run(['report', 'merge', 'register-1', 'register-2', '--out', 'registered'])
  expect([registered.code, registered.stdout]).toEqual([3, expect.stringContaining('4 rows · 2 left out')])
})

test('a column that other flows take is not used, also where these change clients', async () => {
  const who = await fleet(1)
  expect((await who.run()).code).toBe(0)
  const [head, line] = csvOf([1]).split('\r\n')
  await who.cli.write('clients.csv', `${head},scopes\n${line},cards.read\n`)
  const { code, stdout } = await who.thredd('run', 'read-registration', '--data', 'clients.csv')
  expect(code, stdout).toBe(0)
  expect(stdout).toContain('column "scopes" of "clients.csv" is an input of other flows, and is not used')
})

test('a row whose client the row before has deleted says what it waits for', async () => {
  const who = await fleet(1)
  expect((await who.run()).code).toBe(0)
  await who.cli.write('clients.csv', csvOf([1, 1]))
  const confirmation = await who.confirmation('delete-registration')
  const { stdout } = await who.thredd('run', 'delete-registration', '--data', 'clients.csv', '--confirm', confirmation)
  expect(stdout).toMatch(/\nrow 2 .*inconclusive.*\n.* waiting for a registration/)
})

test('what a row is told to do names its application, and does it when copied', async () => {
  const who = await fleet(2)
  const held = hold(who.network, 'registerClient', false)
  held.release()
  const { stdout } = await who.run()
  who.network.twin.reset()
  expect(who.clients()).toEqual([])

  const command = commandsIn(stdout).find((one) => one.includes(softwareId(2)) && one.includes(' run register '))
  const ended = await shell(who, command ?? '')

  expect(command).toBe(
    `THREDD_CLIENT_ID=${clientId(2)} THREDD_SOFTWARE_ID=${softwareId(2)} thredd run register --env uat --allow-env`,
  )
  expect(ended.code, ended.stdout).toBe(0)
  expect(who.clients()).toEqual([clientId(2)])
})

test('rows share their connections to a host where they have the same certificate, and nowhere else', async () => {
  const who = await fleet(4)
  const own = who.network.environment.replaceAll('fixtures/pki', join(ROOT, 'fixtures', 'pki'))
  await who.cli.write('.env.uat', `${own}${SHARED_SETTING}PAUSE_MS=0\n`)
  const [, ...lines] = csvOf(numbers(4)).trim().split('\r\n')
  const identities = ['transport', 'other', 'transport', 'other']
  const cells = lines.map((line, index) => `${line},${identities[index]}`)
  await who.cli.write('clients.csv', ['CLIENT_ID,ORG_ID,SOFTWARE_ID,IDENTITY', ...cells, ''].join('\n'))

  await who.run('--parallel', '1')

  const { log } = who.network.twin
  const posted = log.filter(({ method, url }) => method === 'POST' && url.includes('/oauth2/register'))
  const [first, second] = posted.map(({ certificate }) => certificate)
  expect(first).not.toBe(second)
  expect(posted.map(({ certificate }) => certificate)).toEqual([first, second, first, second])
  // With each of the two certificates, and without one.
  for (const [host, connections] of who.network.tunnels()) expect(connections, host).toBeLessThanOrEqual(3)
  expect(log.length).toBeGreaterThan(3 * who.network.tunnels().size)
})

test('on UAT no more rows are at once than one address may have connections', async () => {
  const who = await fleet(1)
  const { code, stderr } = await who.thredd('run', 'register', '--data', 'clients.csv', '--parallel', '11')
  expect(code).toBe(2)
  expect(stderr).toContain('expected at most 10')
})

test.each([[], ['--json']])(
  'reports that cannot be written at the end: what was done is said before that (%s)',
  async (...more) => {
    const who = await fleet(2)
    const held = hold(who.network, 'registerClient')
    const confirmation = await who.confirmation()
    const running = who.start('run', 'register', '--data', 'clients.csv', '--confirm', confirmation, ...more)
    await held.arrived
    await rm(join(who.cli.folder, 'reports'), { recursive: true })
    held.release()

    const { stdout, stderr, code } = await running.ended

    expect([who.clients().length, code]).toEqual([2, 3])
    expect(stderr).toMatch(/^error\[REPORT_UNWRITABLE\]: ".*record.json" cannot be written: there is no such file\n/m)
    if (more.length === 0) {
      expect(stdout).toMatch(/\nrows {4}2 conformant\nscope .*\nrecord {2}none: it could not be written\n/)
      expect(stdout.match(/send this to Thredd/g)).toHaveLength(2)
    } else
      expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
        ...{ type: 'run-finished', verdict: 'conformant', exitCode: 3 },
        ...{ problems: [{ code: 'REPORT_UNWRITABLE' }], messagesToThredd: [{}, {}] },
      })
  },
)
