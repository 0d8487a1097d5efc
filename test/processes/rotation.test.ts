/** The rotation flows on named hosts: they begin only with another key than before, and say no more than what they tried. */
import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { performHook } from '../../mocks/index.ts'
import { type Person, person } from '../support/person.ts'

const OPENSSL = 'openssl'

const SIGNING = 'rotate-signing-key'
const TRANSPORT = 'rotate-transport-certificate'

/** Variables that name the renewed key and certificate, each changed by `more`. */
function renewedBy({ network: { pki, variables } }: Person, more: Readonly<Record<string, string>> = {}) {
  return {
    ...variables,
    THREDD_RENEWED_SIGNING_KEY_FILE: pki.identities['renewed-signing'].keyFile,
    THREDD_RENEWED_SIGNING_KID: pki.renewedSigningKid,
    THREDD_IDENTITY_RENEWED_CERT_FILE: pki.identities.renewed.certificateFile,
    THREDD_IDENTITY_RENEWED_KEY_FILE: pki.identities.renewed.keyFile,
    ...more,
  }
}

/** As Thredd CA does when it issues them. */
function list({ network: { twin, pki } }: Person): void {
  const { renewed, 'renewed-signing': signing } = pki.identities
  const key = { use: 'sig', certificate: signing.certificate, kid: pki.renewedSigningKid }
  performHook(twin.state, 'list-certificate', key)
  performHook(twin.state, 'list-certificate', { use: 'tls', certificate: renewed.certificate })
}

/** Another certificate of the current transport key; nothing is sent, so it may be self-signed. */
async function certifiedAgain({ cli, network: { pki } }: Person): Promise<string> {
  const { keyFile } = pki.identities.transport
  const { stdout } = await promisify(execFile)(OPENSSL, [
    ...['req', '-x509', '-key', keyFile, '-subj', '/CN=renewed', '-days', '30'],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
  ])
  await cli.write('certified-again.crt', stdout)
  return join(cli.folder, 'certified-again.crt')
}

/** What is set for the run, and why nothing was rotated. */
const NOTHING: readonly (readonly [
  title: string,
  flow: string,
  set: (who: Person) => Readonly<Record<string, string>>,
  because: string,
])[] = [
  [
    'the kid of the current signing key',
    SIGNING,
    ({ network }) => ({ THREDD_RENEWED_SIGNING_KID: network.pki.signingKid }),
    'RENEWED_SIGNING_KID is SIGNING_KID, "offline-twin-signing"',
  ],
  [
    'the current signing key under another kid',
    SIGNING,
    ({ network }) => ({ THREDD_RENEWED_SIGNING_KEY_FILE: network.pki.identities.signing.keyFile }),
    'the key of RENEWED_SIGNING_KID "offline-twin-renewed-signing" is that of SIGNING_KID "offline-twin-signing"',
  ],
  [
    'the current transport certificate',
    TRANSPORT,
    ({ network: { pki } }) => ({
      THREDD_IDENTITY_RENEWED_CERT_FILE: pki.identities.transport.certificateFile,
      THREDD_IDENTITY_RENEWED_KEY_FILE: pki.identities.transport.keyFile,
    }),
    'the certificate of IDENTITY_RENEWED_CERT_FILE is the current one, that of TRANSPORT_CERT_FILE',
  ],
]

test.each(NOTHING)('with %s nothing was rotated, nothing is sent, and exit 3', async (_, flow, set, because) => {
  const who = await person()
  await who.thredd('run', 'register')
  await expectNothing(who, { flow, set: set(who), because })
})

const withoutOpenssl = spawnSync(OPENSSL, ['version']).status !== 0

test.skipIf(withoutOpenssl)('nor with another certificate of the current transport key', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  await expectNothing(who, {
    flow: TRANSPORT,
    set: {
      THREDD_IDENTITY_RENEWED_CERT_FILE: await certifiedAgain(who),
      THREDD_IDENTITY_RENEWED_KEY_FILE: who.network.pki.identities.transport.keyFile,
    },
    because: 'the certificate of IDENTITY_RENEWED_CERT_FILE has the key of the current one',
  })
})

interface Nothing {
  readonly flow: string
  readonly set: Readonly<Record<string, string>>
  readonly because: string
}

async function expectNothing(who: Person, { flow, set, because }: Nothing): Promise<void> {
  list(who)
  const before = who.network.twin.log.length

  const ran = await who.cli.run(['run', flow, '--env', 'uat'], { variables: renewedBy(who, set) })

  expect(ran.code).toBe(3)
  expect(ran.stderr).toContain(
    `workflow "${flow}" is waiting for another key than before: ${because}; nothing was rotated, and nothing was sent`,
  )
  expect(who.network.twin.log.length).toBe(before)
}

test('without the settings of a renewed key the flow waits, and is in the way of no other', async () => {
  const who = await person()
  const environment = who.network.environment.replaceAll(/^(?:IDENTITY_)?RENEWED_.*\n/gm, '')
  await who.cli.write('.env.uat', environment)
  await who.thredd('run', 'register')

  const signing = await who.thredd('run', SIGNING)
  const transport = await who.thredd('run', TRANSPORT)
  const together = await who.thredd('run', SIGNING, 'discover')

  expect([signing.code, transport.code, together.code]).toEqual([3, 3, 3])
  expect(signing.stderr).toContain('RENEWED_SIGNING_KEY_FILE and RENEWED_SIGNING_KID are not set')
  expect(transport.stderr).toContain('IDENTITY_RENEWED_CERT_FILE is not set')
  expect((await who.cli.record()).workflows.map(({ workflowId, status }) => `${workflowId} ${status}`)).toEqual([
    `${SIGNING} skipped`,
    'discover passed',
  ])
})

test('a renewed key that cannot be read is named by its own setting', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  const variables = renewedBy(who, { THREDD_RENEWED_SIGNING_KEY_FILE: 'gone.key' })

  const { code, stderr } = await who.cli.run(['run', SIGNING, '--env', 'uat'], { variables })

  expect(code).toBe(2)
  expect(stderr).toContain('correct RENEWED_SIGNING_KEY_FILE')
})

test('another key and kid, listed in the keystore, give a token; both flows then run without being named', async () => {
  const who = await person()
  await who.thredd('run', 'register')
  const variables = renewedBy(who)

  const unlisted = await who.cli.run(['run', SIGNING, '--env', 'uat'], { variables })
  const unlistedCertificate = await who.cli.run(['run', TRANSPORT, '--env', 'uat'], { variables })
  list(who)
  const all = await who.cli.run(['run', '--env', 'uat'], { variables })
  const record = await who.cli.record()

  expect(unlisted.code).toBe(3)
  expect(unlisted.stdout).toContain(
    'waiting for the renewed signing key in the keystore: it lists "offline-twin-signing", and not RENEWED_SIGNING_KID "offline-twin-renewed-signing"; nothing was rotated;',
  )
  expect(unlisted.stdout).not.toContain('gave a token for it')
  expect(unlistedCertificate.code).toBe(3)
  expect(unlistedCertificate.stdout).toContain(
    'waiting for the renewed transport certificate in the keystore: it lists 1 certificate, and not that of IDENTITY_RENEWED_CERT_FILE; nothing was rotated;',
  )
  expect(all.code).toBe(0)
  expect(record.workflows.map(({ workflowId }) => workflowId)).toEqual(expect.arrayContaining([SIGNING, TRANSPORT]))
  expect(record.signingKeys?.map(({ kid }) => kid)).toEqual(
    expect.arrayContaining(['offline-twin-signing', 'offline-twin-renewed-signing']),
  )
  expect(all.stdout).toContain(
    'The keystore lists the renewed signing key, and the authorization server gave a token for it.',
  )
})

test('a run without names leaves out the flows whose renewed key or certificate the keystore does not list, and passes', async () => {
  const who = await person()
  await who.thredd('run', 'register')

  const { code, stdout } = await who.cli.run(['run', '--env', 'uat'], { variables: renewedBy(who) })
  const record = await who.cli.record()

  expect(code).toBe(0)
  expect(stdout).toContain(
    'waiting rotate-signing-key: workflow "rotate-signing-key" is waiting for the renewed signing key in the keystore: it lists "offline-twin-signing", and not RENEWED_SIGNING_KID "offline-twin-renewed-signing"; nothing was rotated;',
  )
  const ran = record.workflows.map(({ workflowId, status }) => `${workflowId} ${status}`)
  expect(stdout).toContain(
    `waiting ${TRANSPORT}: workflow "${TRANSPORT}" is waiting for the renewed transport certificate in the keystore`,
  )
  expect(ran).toContain('discover passed')
  expect(ran.filter((one) => one.startsWith('rotate-'))).toEqual([])
  expect(record.waiting?.map(({ workflowId }) => workflowId)).toEqual(expect.arrayContaining([SIGNING, TRANSPORT]))
  expect(record.leftOut).toEqual(expect.arrayContaining([SIGNING, TRANSPORT]))
})
