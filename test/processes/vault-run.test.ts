/** The vault as real processes meet it: `thredd` over TLS on the documented hosts, killed, cut off or refused in the middle. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { http } from 'msw'
import { expect, test } from 'vitest'
import { changeField, type Fault, loseAnswer, replaceBody } from '../../mocks/index.ts'
import { type Vault, vaultOf } from '../../src/vault/index.ts'
import { Cli, ROOT, type Situation } from '../support/cli.ts'
import { fileError, watched } from '../support/files.ts'
import type { Network } from '../support/network.ts'
import { CONFIRM, hold, killedAt, person, spoil } from '../support/person.ts'
import { runOnTwin } from '../support/run.ts'
import { CLIENT_ID } from '../support/twin.ts'

const THREDD = `exec "${process.execPath}" "${join(ROOT, 'bin', 'thredd.js')}"`
const token = async (vault: Vault) => (await vault.current(CLIENT_ID))?.registrationAccessToken?.reveal()
const live = ({ twin }: Network) => twin.state.clients.get(CLIENT_ID)?.registrationToken.value

test('killed while it registers: the next run says what is open and what to do; Thredd deletes, and all begins anew', async () => {
  const who = await person()
  await killedAt(who, 'registerClient')

  const known = /POST of step "register" in run [0-9a-f-]{36} left at \S+Z; no answer was kept/
  const next = await who.thredd('run', 'register')
  expect(next.stdout).toMatch(
    new RegExp(
      `^warning open register of client "${CLIENT_ID}": ${known.source}; register again: thredd run register --env uat; where the first`,
      'm',
    ),
  )
  // The first registration took place, so the second is refused, and that is known from then on.
  expect(next.code).toBe(1)
  const asked = await who.thredd('vault', 'recover')
  expect(asked.code).toBe(3)
  expect(asked.stdout).toMatch(
    new RegExp(
      `^open register of ${CLIENT_ID}\n  ${known.source}; a later attempt was refused with status 4\\d\\d\n  open: no usable token is left: ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}"`,
    ),
  )

  who.network.twin.state.deleteClient(CLIENT_ID)
  expect(await who.thredd('vault', 'recover', CLIENT_ID, '--deleted-by-thredd')).toEqual({
    code: 0,
    stdout: `${CLIENT_ID}\n  marked deleted by Thredd; 1 open call(s) settled\n`,
    stderr: '',
  })
  const { stdout, code } = await who.thredd('run', 'register')
  expect([stdout.includes('warning'), code]).toEqual([false, 0])
  expect(await token(who.vault())).toBe(live(who.network))
})

test('killed before its registration took place: registering again settles it', async () => {
  const who = await person()
  await killedAt(who, 'registerClient', false)

  expect((await who.thredd('run', 'register')).code).toBe(0)

  expect(await who.thredd('vault', 'recover')).toMatchObject({
    code: 0,
    stdout: 'nothing is open: every call that changed a registration is settled\n',
  })
  const { stdout } = await who.thredd('vault', 'history', '--json')
  const { events } = JSON.parse(stdout) as { events: { what: string; note?: string }[] }
  expect(events.map(({ what }) => what)).toEqual(['registered', 'settled', 'worked'])
  expect(events[1]?.note).toMatch(/^register of \S+Z: a later register was answered with status 201$/)
})

test('killed before its update took place: reading with the stored token settles it', async () => {
  const who = await person()
  await killedAt(who, 'updateClient', false)

  expect(await who.thredd('vault', 'list')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining(
      `next: read the client with the stored token: thredd vault recover ${CLIENT_ID} --online --env uat; if the token no longer works, it says how to ask Thredd to delete the client`,
    ),
  })
  expect(await who.thredd('vault', 'recover', '--online')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('\n  settled: the stored token works; compare its metadata with what was sent'),
  })
  expect((await who.thredd('vault', 'check', '--online')).code).toBe(0)
})

test('killed after its update took place: both tokens are gone, which recover finds; then only Thredd can help', async () => {
  const who = await person()
  await killedAt(who, 'updateClient')

  const read = await who.thredd('vault', 'recover', '--online')
  expect(read.code).toBe(3)
  expect(read.stdout).toContain(
    `open: the server refuses the stored token with status 401; no usable token is left: ask Thredd to delete the client, quoting Client ID "${CLIENT_ID}" (Thredd CA > Applications > Details), with the message of thredd message delete ${CLIENT_ID} --token-refused --env uat; when Thredd confirms: thredd vault recover ${CLIENT_ID} --deleted-by-thredd --env uat, then register again: thredd run register --env uat`,
  )
  expect(await who.thredd('vault', 'check', '--online')).toMatchObject({ code: 1 })

  who.network.twin.state.deleteClient(CLIENT_ID)
  expect((await who.thredd('vault', 'recover', CLIENT_ID, '--deleted-by-thredd')).code).toBe(0)
  expect((await who.thredd('run', 'lifecycle')).code).toBe(0)
})

test.each([
  [true, 'the server refuses the stored token with status 401: the client is deleted, and marked so', 'deleted'],
  [
    false,
    'the stored token works; the client was not deleted; repeat the deletion if it is still wanted',
    'registered',
  ],
])('killed while it deletes, which took effect: %s. Reading tells', async (takesEffect, words, state) => {
  const who = await person()
  await killedAt(who, 'deleteClient', takesEffect)

  // Without --online nothing is sent, and the way is named.
  expect(await who.thredd('vault', 'recover')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('if the token works, the client was not deleted'),
  })
  expect(await who.thredd('vault', 'recover', '--online')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`\n  settled: ${words}`),
  })
  expect((await who.thredd('vault', 'list')).stdout).toContain(`${CLIENT_ID}\n  ${state}`)
})

test('recover without a server to ask leaves everything open, and says so', async () => {
  const who = await person()
  await killedAt(who, 'updateClient', false)
  who.network.down.add('auth.uat.threddid.com')

  expect(await who.thredd('vault', 'recover', '--online')).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(/\n {2}open: .*auth\.uat\.threddid\.com.*; try again later\n/),
  })
  expect((await who.thredd('vault', 'check', '--online')).code).toBe(3)
})

test('a token that the server answered with but did not take into use: the one before it is found again', async () => {
  const who = await person({ rotateOnUpdate: false })
  await who.thredd('run', 'register')
  const before = await token(who.vault())
  spoil(who.network, changeField('readClient', '/registration_access_token', 'never-taken-into-use'))
  await who.thredd('vault', 'check', '--online')
  who.network.twin.reset()
  expect(await token(who.vault())).toBe('never-taken-into-use')

  const { stdout, code } = await who.thredd('vault', 'check', '--online', '--json')

  expect([JSON.parse(stdout).tokens, code]).toEqual([
    [{ clientId: CLIENT_ID, token: 'works', words: 'an earlier token works, and is current again' }],
    0,
  ])
  expect(await token(who.vault())).toBe(before)
})

test('an answer lost on the way leaves the call open as unknown; a host that cannot be reached leaves nothing', async () => {
  const who = await person()
  who.network.down.add('uat-thredd.mtls.eu.authz.cloudentity.io')
  expect((await who.thredd('run', 'lifecycle')).code).toBe(3)
  expect(await who.vault().unsettled()).toEqual([])
  expect(await who.vault().export()).toEqual([])

  who.network.down.clear()
  spoil(who.network, loseAnswer('registerClient'))
  expect((await who.thredd('run', 'lifecycle')).code).toBe(3)
  expect(await who.vault().unsettled()).toMatchObject([{ effect: 'register', way: 'retry', status: undefined }])
})

test('a registration that fails every check, even one that is no JSON any more, is kept', async () => {
  const who = await person()
  spoil(who.network, changeField('registerClient', '/client_id', 'somebody-else'))
  expect((await who.thredd('run', 'register')).code).toBe(1)
  const kept = await who.vault().current('somebody-else')
  expect(kept?.registrationAccessToken?.reveal()).toBe(live(who.network))

  who.network.twin.state.deleteClient(CLIENT_ID)
  await who.vault().remove('somebody-else')
  who.network.twin.reset()
  const cut = '{"registration_access_token":"cut-short","registration_cl'
  spoil(who.network, replaceBody('registerClient', cut))
  expect((await who.thredd('run', 'register')).code).not.toBe(0)
  const [client] = await who.vault().export([CLIENT_ID])
  expect(client?.entries).toMatchObject([{ kind: 'answer', status: 201, body: cut }])
})

test('an answer that cannot be kept leaves the call open, and no later call waits for it', async () => {
  let isFull = false
  const files = watched((operation) => {
    if (isFull && operation === 'write') throw fileError('ENOSPC')
  })
  const fills: Fault = {
    name: 'the disk fills while the answer is on its way',
    what: '',
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === 'registerClient',
        async ({ request }) => {
          isFull = true
          return await twin.pass(request)
        },
      ),
    ],
  }

  await using ran = await runOnTwin({ faults: [fills], vault: { files } })

  expect(ran.record.workflows[0]?.steps.find(({ stepId }) => stepId === 'register')).toMatchObject({
    status: 'errored',
    error: {
      code: 'VAULT_FAILED',
      message: expect.stringMatching(/^the answer 201 of step "register" could not be kept: vault folder /),
      found: 'a full disk (ENOSPC)',
      hint: expect.stringMatching(/^make room .*; then register again: thredd run register; where the first/),
    },
  })
  expect(ran.record.exitCode).toBe(3)
  const environment = {
    name: 'mock',
    flags: [],
    class: 'mock',
    vault: { folder: join(ran.folder, '.vault', 'mock') },
  } as const
  const vault = vaultOf(environment, { now: () => new Date() })
  expect(await vault.unsettled()).toMatchObject([{ effect: 'register', clientId: CLIENT_ID, way: 'retry' }])
})

test('a vault that is taken away while an answer is on its way: the answer is kept, the run is inconclusive and says so', async () => {
  const who = await person()
  const held = hold(who.network, 'updateClient')
  const run = who.start('run', 'lifecycle')
  await held.arrived
  await rename(join(who.cli.folder, 'vault'), join(who.cli.folder, 'elsewhere'))
  held.release()

  const { stdout, code } = await run.ended

  expect([code, stdout]).toEqual([
    3,
    expect.stringMatching(/VAULT_FAILED: vault "\S+" was there when this run began, and is gone; the answer/),
  ])
  expect(who.network.changes()).toEqual(['POST 201', 'PUT 200'])
  expect((await who.thredd('vault', 'import', 'elsewhere', '--confirm', 'uat')).code).toBe(0)
  expect((await who.thredd('cleanup', '--confirm', CLIENT_ID)).code).toBe(0)
  expect(who.network.changes()).toEqual(['POST 201', 'PUT 200', 'DELETE 204'])
})

test('of two processes that register one client the second waits until the first has its answer', async () => {
  const who = await person()
  const held = hold(who.network, 'registerClient')
  const first = who.start('run', 'lifecycle')
  await held.arrived
  const second = who.start('run', 'lifecycle', '--json')
  let said = ''
  second.process.stdout.on('data', (text: string) => (said += text))
  while (!said.includes('"step-started","stepId":"register"')) await once(second.process.stdout, 'data')
  expect(await who.thredd('vault', 'list')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('next: another process is at it; let it end'),
  })
  expect(held.arrivals()).toBe(1)

  held.release()
  const [, ended] = await Promise.all([first.ended, second.ended])

  // It looked again after waiting: the client is there now.
  expect(held.arrivals()).toBe(1)
  expect(ended.stdout).toContain('CLIENT_CHANGED')
  expect(await who.vault().unsettled()).toEqual([])
})

const asRoot = process.getuid?.() === 0
const mounts = await promisify(execFile)('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).then(
  () => true,
  () => false,
)

test.for<readonly [string, boolean, (folder: string) => Promise<void>, string | undefined]>([
  [
    'a file where the folder should be',
    true,
    async (folder: string) => writeFile(join(folder, 'vault'), ''),
    undefined,
  ],
  [
    'a folder without permission',
    !asRoot && process.platform !== 'win32',
    async (folder: string) => {
      await mkdir(join(folder, 'vault'))
      await chmod(join(folder, 'vault'), 0o500)
    },
    undefined,
  ],
  ['a limit on the size of files', process.platform !== 'win32', async () => {}, `ulimit -f 8; ${THREDD} "$@"`],
  ['a full disk', mounts, async () => {}, onTmpfs('size=32k')],
  ['a disk without room for a call', mounts, async () => {}, onTmpfs('size=200k')],
  ['a read-only disk', mounts, async () => {}, onTmpfs('size=1m', 'mount -o remount,ro vault &&')],
])('%s: exit 2, and nothing reaches any server', async ([, isPossible, prepare, script], { skip }) => {
  if (!isPossible) return skip('not possible on this machine')
  const { network, cli } = await person()
  await prepare(cli.folder)
  const launch = script === undefined ? {} : await throughBash(cli, script)

  const { stdout, stderr, code } = await cli.run(['run', 'register', '--env', 'uat'], {
    variables: network.variables,
    ...launch,
  })

  expect([stdout, code]).toEqual(['', 2])
  expect(stderr).toMatch(
    /^error\[VAULT_UN\w+\]: vault (?:folder "vault" cannot be written|"vault\/uat.log" cannot be read)\n {3}= got /,
  )
  expect(network.twin.log).toEqual([])
})

test('doctor says before a run that the folder of the vault is read-only', async ({ skip }) => {
  if (!mounts) return skip('not possible on this machine')
  const { network, cli } = await person()
  const { stdout, code } = await cli.run(['doctor', '--env', 'uat'], {
    variables: network.variables,
    ...(await throughBash(cli, onTmpfs('size=1m', 'mount -o remount,ro vault &&'))),
  })

  expect(code, stdout).toBe(1)
  expect(stdout).toMatch(
    /✗ folder +nothing can be written into "\S*vault", where answers must be kept:\s+the disk is read-only\n +→ make its disk writable, or name another folder with VAULT_DIR/,
  )
})

test('on a disk that fills up an answer goes into the space set aside for it, and no further call leaves', async ({
  skip,
}) => {
  if (!mounts) return skip('not possible on this machine')
  const { network, cli } = await person()
  const held = hold(network, 'directoryToken')
  // As soon as the run has set room aside; "filled" lies beside the disk. It gives up by itself where no run begins.
  const fill =
    'for i in $(seq 1500); do ls vault/*.room && break; sleep 0.02; done; cat /dev/zero > vault/other; touch filled'
  const running = cli.start(['run', 'lifecycle', '--env', 'uat'], {
    variables: network.variables,
    ...(await throughBash(cli, onTmpfs('size=400k', `{ (${fill}) > fill.txt 2>&1 & } &&`))),
  })
  const hasEnded = running.ended.then(() => true)
  while (!(await readdir(cli.folder)).includes('filled'))
    if (await Promise.race([hasEnded, sleep(20, false)])) expect.fail((await running.ended).stderr)
  held.release()

  const { stdout, code } = await running.ended

  expect(stdout).toContain(
    'VAULT_FAILED: vault folder "vault" cannot be written; nothing was sent: got a full disk (ENOSPC)',
  )
  expect(stdout).not.toContain('The client was deleted at the end')
  expect([code, network.changes()]).toEqual([3, ['POST 201']])
})

test('list, show, history and check look at a vault that does not exist and make neither it nor a key', async () => {
  await using cli = await Cli.make()

  for (const args of [['list'], ['check'], ['list', '--json'], ['check', '--json'], ['show'], ['history'], ['forget']])
    await cli.run(['vault', ...args])
  expect(await cli.run(['vault', 'list'])).toEqual({
    code: 0,
    stdout: 'the vault of "mock" holds no client\n',
    stderr: '',
  })

  expect(await readdir(cli.folder)).toEqual([])
})

test('machines read list, show, history and check as JSON, without a secret', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  const secret = live(who.network) ?? ''
  const json = async (...args: string[]) => {
    const { stdout, stderr, code } = await who.thredd('vault', ...args, '--json')
    expect([stderr, code, stdout.includes(secret)]).toEqual(['', 0, false])
    return JSON.parse(stdout)
  }
  const keptAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  const fingerprint = expect.stringMatching(/^[\w-]{16}$/)

  expect(await json('list')).toEqual({
    environment: 'uat',
    clients: [{ clientId: CLIENT_ID, keptAt, complete: true }],
    ledger: [
      expect.objectContaining({ clientId: CLIENT_ID, step: 'register', purpose: 'kept', state: 'kept', open: [] }),
    ],
    open: [],
    unreadable: [],
  })
  expect(await json('show', '--reveal')).toMatchObject({
    clientId: CLIENT_ID,
    registrationAccessToken: { fingerprint },
    registrationClientUri: who.network.twin.state.clients.get(CLIENT_ID)?.registrationClientUri,
  })
  expect(await json('history')).toEqual({
    environment: 'uat',
    clientId: CLIENT_ID,
    events: [
      expect.objectContaining({ what: 'registered', status: 201, token: fingerprint }),
      expect.objectContaining({ what: 'worked', token: fingerprint }),
    ],
    open: [],
  })
  expect(await json('check', '--online')).toEqual({
    environment: 'uat',
    lines: expect.any(Number),
    problems: [],
    warnings: [],
    open: [],
    tokens: [{ clientId: CLIENT_ID, token: 'works', words: 'the stored token works' }],
  })
  expect(await who.thredd('vault', 'recover', '--json')).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'error[USAGE]: "thredd vault recover" has no JSON form\n   = expected --json with list, show, history, check\n',
  })
})

test('switches of the real command line are heard: forget, drop-earlier, and no secret without a terminal', async () => {
  await using cli = await Cli.make()
  await cli.run(['run', 'register'])

  expect((await cli.run(['vault', 'show', '--reveal'])).stdout).toContain('(shown on a terminal only)')
  expect((await cli.run(['vault', 'rotate-key'])).stdout).toContain('earlier keys are kept')
  const refused = await cli.run(['vault', 'rotate-key', '--drop-earlier'])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('= expected --confirm mock')])
  const dropped = await cli.run(['vault', 'rotate-key', '--drop-earlier', '--confirm', 'mock'])
  expect([dropped.code, dropped.stdout]).toEqual([0, expect.not.stringContaining('earlier keys are kept')])
  expect(await cli.run(['vault', 'forget', ...CONFIRM])).toMatchObject({ code: 0, stdout: `forgotten: ${CLIENT_ID}\n` })
})

test.skipIf(process.platform === 'win32')('a Node without its file locks is told in a sentence', async () => {
  await using cli = await Cli.make({
    'node.sh': `#!/bin/sh\nexec "${process.execPath}" --no-experimental-sqlite "$@"\n`,
  })
  await chmod(join(cli.folder, 'node.sh'), 0o700)

  expect(await cli.run(['run', 'register'], { node: join(cli.folder, 'node.sh') })).toEqual({
    code: 2,
    stdout: '',
    stderr: [
      'error[VAULT_UNWRITABLE]: the vault cannot be locked: this Node has no "node:sqlite", whose file locks it uses',
      '   = use the Node that "npm ci" brings along, or another one of version 24, without --no-experimental-sqlite',
      '',
    ].join('\n'),
  })
})

/** Starts the launcher through a line of bash. */
async function throughBash(cli: Cli, script: string): Promise<Situation> {
  await cli.write('start.sh', script)
  return { node: '/bin/bash', launcher: join(cli.folder, 'start.sh') }
}

function onTmpfs(options: string, then = ''): string {
  const mounted = `mkdir -p vault && mount -t tmpfs -o mode=700,${options} tmpfs vault && ${then} ${THREDD} "$@"`
  return `exec unshare -rm sh -c '${mounted}' sh "$@"`
}
