/** Mistakes in the files of an environment, one a set-up: doctor names each in its own words, with a remedy. */
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadX509, toPem } from '../../mocks/authority.ts'
import type { Pki } from '../../mocks/index.ts'
import { loadEnvironment } from '../../src/environment/index.ts'
import { ToolError } from '../../src/record/errors.ts'
import { examine } from '../../src/run/examine.ts'
import { type Examined, rowsOfRefusal } from '../../src/run/examined.ts'
import { makePfx } from '../support/pfx.ts'
import { ROOT } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

type Settings = Readonly<Record<string, string | undefined>>

interface Mistake {
  /** in place of those of a set-up that is whole; undefined: not set */
  readonly settings?: (pki: Pki, whole: Settings) => Settings
  /** makes files in the person's folder */
  readonly make?: (folder: string, pki: Pki) => Promise<unknown>
  readonly what: string
  readonly state?: Examined['state']
  readonly says: RegExp
  readonly remedy: RegExp
}

const VAULT_KEY = randomBytes(32).toString('base64url')
const SOFTWARE_ID = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
const keyOf = (pki: Pki) => readFile(pki.identities.signing.keyFile, 'utf8')

const whole = (pki: Pki): Settings => ({
  ENV_CLASS: 'uat',
  SERVER_DIRECTORY: 'https://auth.directory.sandbox.threddid.com',
  SERVER_DIRECTORY_MTLS: 'https://matls-auth.directory.sandbox.threddid.com',
  SERVER_DIRECTORY_API: 'https://matls-api.directory.sandbox.threddid.com',
  SERVER_KEYSTORE: 'https://keystore.directory.sandbox.threddid.com',
  SERVER_AUTHORIZATION: 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients',
  SERVER_CARDS: 'https://api.uat.threddpay.com',
  SERVER_API_HUB: 'https://api-uat.thredd.com',
  CLIENT_ID: `https://rp.directory.sandbox.threddid.com/openid_relying_party/${SOFTWARE_ID}`,
  ORG_ID: '99b2b599-8cc2-499e-b805-e3d84233ae8e',
  SOFTWARE_ID,
  ROLES: 'ws',
  TRANSPORT_CERT_FILE: pki.identities.transport.certificateFile,
  TRANSPORT_KEY_FILE: pki.identities.transport.keyFile,
  SIGNING_KEY_FILE: pki.identities.signing.keyFile,
  SIGNING_CERT_FILE: pki.identities.signing.certificateFile,
  SIGNING_KID: pki.signingKid,
  CA_FILE: pki.caFile,
  VAULT_KEY,
})

const file = { what: 'files' } as const

const OUTDATED = `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,0011223344556677\n\n${'A'.repeat(64)}\n-----END RSA PRIVATE KEY-----\n`

const PASSPHRASE = 'right'
const inPfx = (name: string): Settings => ({
  TRANSPORT_CERT_FILE: undefined,
  TRANSPORT_KEY_FILE: undefined,
  TRANSPORT_PFX_FILE: name,
  TRANSPORT_PASSPHRASE: PASSPHRASE,
})

async function pfxOf(
  { identities }: Pki,
  name: string,
  folder: string,
  options: Partial<Parameters<typeof makePfx>[0]>,
): Promise<void> {
  const { certificate, keyFile } = identities.transport
  const key = await readFile(keyFile, 'utf8')
  const made = makePfx({ certificate, key, passphrase: PASSPHRASE, cipher: 'aes', ...options })
  await writeFile(join(folder, name), made, { mode: 0o600 })
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a quote that is not closed': {
    ...file,
    settings: () => ({ NOTE: "'tis" }),
    says: /NOTE .* closed nowhere/,
    remedy: /quotes of another kind/,
  },
  'a variable of a shell': {
    ...file,
    settings: () => ({ ORG_ID: `$${'{ORG}'}` }),
    says: /ORG_ID holds a placeholder of a shell/,
    remedy: /write the value itself/,
  },
  'a variable of Postman': {
    ...file,
    settings: () => ({ ORG_ID: '{{org}}' }),
    says: /ORG_ID holds a placeholder of Postman/,
    remedy: /write the value itself/,
  },
  'typographic quotes': {
    ...file,
    settings: () => ({ ORG_ID: '“x”' }),
    says: /typographic quotation mark/,
    remedy: /plain quotes/,
  },
  'a character that cannot be seen': {
    ...file,
    settings: () => ({ ORG_ID: 'x\u200B' }),
    says: /invisible character/,
    remedy: /type it again/,
  },
  'a path that only a shell reads': {
    ...file,
    settings: () => ({ SIGNING_KEY_FILE: '~/s.key' }),
    says: /without ~/,
    remedy: /correct it in .*\.env\.uat/,
  },
  'a key where the name of its file belongs': {
    ...file,
    settings: () => ({ SIGNING_KEY_FILE: `MIIE${'vQIBADANBgkqhkiG9w0BAQEFAASC'.repeat(2)}AbCd` }),
    says: /SIGNING_KEY_FILE cannot be used; expected the path of a file, not its content/,
    remedy: /correct it in/,
  },
  'a name that is nearly that of a setting': {
    settings: () => ({ SIGNIN_KID: 'x', SIGNING_KID: undefined }),
    what: 'files',
    state: 'remark',
    says: /SIGNIN_KID is not a setting; did you mean SIGNING_KID\?/,
    remedy: /^$/,
  },
  'a role that nobody knows': {
    settings: () => ({ ROLES: 'ws program-manager' }),
    what: 'ROLES',
    state: 'remark',
    says: /"program-manager" of ROLES .* did you mean "programme-manager"\?/,
    remedy: /copy the roles from Thredd CA/,
  },
  'two servers that are exchanged': {
    settings: (_, { SERVER_DIRECTORY, SERVER_AUTHORIZATION }) => ({
      SERVER_DIRECTORY: SERVER_AUTHORIZATION,
      SERVER_AUTHORIZATION: SERVER_DIRECTORY,
    }),
    what: 'SERVER_DIRECTORY',
    says: /is the authorization server, and not the directory/,
    remedy: /^exchange the values of SERVER_DIRECTORY and SERVER_AUTHORIZATION in .*\.env\.uat$/,
  },
  'a server with the address of another': {
    settings: (_, { SERVER_KEYSTORE }) => ({ SERVER_CARDS: SERVER_KEYSTORE }),
    what: 'SERVER_CARDS',
    says: /is the keystore, and not the Cards API/,
    remedy: /write the address of the Cards API as SERVER_CARDS/,
  },
  'an address of production': {
    settings: () => ({ SERVER_CARDS: 'https://coreapi.threddpay.com' }),
    what: 'SERVER_CARDS',
    says: /is an address of production, and this environment is of class uat/,
    remedy: /write the address of UAT/,
  },
  'a key file that others can read': {
    make: async (folder, pki) => {
      await writeFile(join(folder, 'open.key'), await keyOf(pki))
      await chmod(join(folder, 'open.key'), 0o644)
    },
    settings: () => ({ SIGNING_KEY_FILE: 'open.key' }),
    what: 'file modes',
    state: 'remark',
    says: /can open open\.key \(mode 644\)/,
    remedy: /^chmod 600 .*open\.key$/,
  },
  'an environment file that others can read': {
    make: async (folder) => await writeFile(join(folder, '.env.uat.local'), 'X=1\n', { mode: 0o664 }),
    what: 'file modes',
    state: 'remark',
    says: /can open \.env\.uat\.local/,
    remedy: /^chmod 600 .*\.env\.uat\.local$/,
  },
  'a vault key in hexadecimal digits': {
    settings: () => ({ VAULT_KEY: 'a1b2c3d4e5f60718'.repeat(4) }),
    what: 'log and key',
    says: /found 64 hexadecimal digits/,
    remedy: /turn them into base64url/,
  },
  'a vault key in ordinary base64': {
    settings: () => ({ VAULT_KEY: 'q+W2e3R4t5Y6/7I8o9P0/aZsXdCfVgBhNjMkL1q2W3E=' }),
    what: 'log and key',
    says: /found base64 with the signs \+ or \//,
    remedy: /- for \+ and _ for \//,
  },
  'a vault key that is cut': {
    settings: () => ({ VAULT_KEY: VAULT_KEY.slice(0, 40) }),
    what: 'log and key',
    says: /found 30 bytes/,
    remedy: /copy the key again, .* a new key opens no vault/,
  },
  'a pass phrase as vault key': {
    settings: () => ({ VAULT_KEY: 'correct horse battery staple' }),
    what: 'log and key',
    says: /found a text with blanks/,
    remedy: /a pass phrase is no key/,
  },
  'a certificate that its own key signed': {
    make: async (folder) => {
      const algorithm = {
        ...{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 },
        publicExponent: new Uint8Array([1, 0, 1]),
      }
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      const { X509CertificateGenerator } = await loadX509()
      const certificate = await X509CertificateGenerator.createSelfSigned({
        name: 'CN=x',
        keys,
        signingAlgorithm: algorithm,
      })
      await writeFile(join(folder, 'own.crt'), certificate.toString('pem'))
      await writeFile(join(folder, 'own.key'), await toPem(keys.privateKey), { mode: 0o600 })
    },
    settings: () => ({ TRANSPORT_CERT_FILE: 'own.crt', TRANSPORT_KEY_FILE: 'own.key' }),
    what: 'transport',
    says: /signed by its own key/,
    remedy: /thredd csr transport --env uat/,
  },
  'an issuer that is not at hand': {
    settings: () => ({ CA_FILE: undefined }),
    what: 'transport',
    state: 'remark',
    says: /issued by .*, whose certificate is neither in its file nor in CA_FILE/,
    remedy: /append the certificate of that issuer/,
  },
  'a signing request where the certificate belongs': {
    make: async (folder) => {
      const pem = '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n'
      await writeFile(join(folder, 'a.pem'), pem)
    },
    settings: () => ({ TRANSPORT_CERT_FILE: 'a.pem' }),
    what: 'transport',
    says: /found a certificate signing request/,
    remedy: /downloaded where the request was uploaded/,
  },
  'a certificate that is nowhere': {
    settings: () => ({ TRANSPORT_CERT_FILE: 'no.pem' }),
    what: 'transport',
    says: /"no\.pem|no\.pem".*does not exist/,
    remedy: /correct TRANSPORT_CERT_FILE/,
  },
  'the transport key for signing': {
    settings: (pki) => ({
      SIGNING_KEY_FILE: pki.identities.transport.keyFile,
      SIGNING_CERT_FILE: undefined,
    }),
    what: 'key',
    says: /SIGNING_KEY_FILE holds the key of the transport certificate/,
    remedy: /rtssigning/,
  },
  'the signing certificate for mutual TLS': {
    settings: (pki) => ({
      TRANSPORT_CERT_FILE: pki.identities.signing.certificateFile,
      TRANSPORT_KEY_FILE: pki.identities.signing.keyFile,
    }),
    what: 'transport',
    state: 'remark',
    says: /like a signing certificate \(rtssigning\)/,
    remedy: /^$/,
  },
  'an encrypted key without its passphrase': {
    make: async (folder, pki) => {
      const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'right' } as const
      await writeFile(join(folder, 'locked.key'), createPrivateKey(await keyOf(pki)).export(options), { mode: 0o600 })
    },
    settings: () => ({ SIGNING_KEY_FILE: 'locked.key' }),
    what: 'PS256',
    says: /is encrypted and no passphrase is set/,
    remedy: /set SIGNING_PASSPHRASE/,
  },
  'two keys in one file': {
    make: async (folder, pki) => {
      const other = await readFile(pki.identities['renewed-signing'].keyFile, 'utf8')
      await writeFile(join(folder, 'two.key'), `${await keyOf(pki)}${other}`, { mode: 0o600 })
    },
    settings: () => ({ SIGNING_KEY_FILE: 'two.key' }),
    what: 'PS256',
    says: /holds 2 private keys/,
    remedy: /the key of the signing certificate alone/,
  },
  'a PKCS#12 file with another passphrase': {
    make: (folder, pki) => pfxOf(pki, 't.p12', folder, {}),
    settings: () => ({ ...inPfx('t.p12'), TRANSPORT_PASSPHRASE: 'wrong' }),
    what: 'transport',
    says: /cannot be opened with the passphrase/,
    remedy: /correct TRANSPORT_PASSPHRASE/,
  },
  'a key locked by an outdated cipher': {
    make: (folder) => writeFile(join(folder, 'old.key'), OUTDATED, { mode: 0o600 }),
    settings: () => ({ SIGNING_KEY_FILE: 'old.key' }),
    what: 'PS256',
    says: /is encrypted with an outdated cipher, DES/,
    remedy: /openssl/,
  },
  'a PKCS#12 file locked by an outdated cipher': {
    make: (folder, pki) => pfxOf(pki, 'old.p12', folder, { cipher: 'rc2' }),
    settings: () => inPfx('old.p12'),
    what: 'transport',
    says: /is encrypted with an outdated cipher/,
    remedy: /openssl/,
  },
  'a PKCS#12 file with two keys for the same use': {
    make: async (folder, pki) => {
      const { certificate, keyFile } = pki.identities.renewed
      const more = [{ certificate, key: await readFile(keyFile, 'utf8') }]
      await pfxOf(pki, 'two.p12', folder, { more })
    },
    settings: () => inPfx('two.p12'),
    what: 'transport',
    says: /none of them alone is for client authentication/,
    remedy: /TRANSPORT_PFX_ALIAS/,
  },
}

const textOf = (settings: Settings) =>
  Object.entries(settings)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}\n`]))
    .join('')

async function folderWith(text: string | Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-setup-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, '.env.uat'), text)
  return folder
}

/** All but what the servers say. */
async function rowsIn(folder: string): Promise<readonly Examined[]> {
  const loaded = await loadEnvironment({ env: 'uat', folder, here: folder, variables: {} }).catch((error) => {
    if (error instanceof ToolError) return error
    throw error
  })
  if (loaded instanceof ToolError) return rowsOfRefusal(loaded)
  const selection = { flows: ['register'], folders: [ROOT] }
  return await examine({ environment: loaded, inputs: new Map(), selection, minDays: undefined })
}

test.each(Object.entries(MISTAKES))('%s', async (_, { settings, make, what, state = 'wrong', says, remedy }) => {
  const pki = await sharedPki()
  const all = whole(pki)
  const folder = await folderWith(textOf({ ...all, ...settings?.(pki, all) }))
  await make?.(folder, pki)

  const rows = await rowsIn(folder)

  const named = rows.filter((row) => row.what === what && says.test(row.sentence))
  expect(named, JSON.stringify(rows, undefined, 1)).toHaveLength(1)
  expect(named[0]?.state).toBe(state)
  expect(named[0]?.remedy ?? '').toMatch(remedy)
})

test('files in UTF-16, keys as text, in one line or as JWK, and a slash at the end are no mistakes', async () => {
  const pki = await sharedPki()
  const pem = await keyOf(pki)
  const all = Object.fromEntries(
    Object.entries(whole(pki)).map(([name, value]) => [name, name.startsWith('SERVER_') ? `${value}/` : value]),
  )
  const forms = [
    `"${pem}"`,
    `'${pem.replaceAll('\n', '\\n')}'`,
    `'${JSON.stringify(createPrivateKey(pem).export({ format: 'jwk' }))}'`,
  ]

  for (const key of forms) {
    const text = textOf({ ...all, SIGNING_KEY_FILE: undefined, SIGNING_KEY: key })
    const rows = await rowsIn(await folderWith(Buffer.from(`\uFEFF${text}`, 'utf16le')))

    expect(rows.filter(({ state }) => state === 'wrong' || state === 'unknown')).toEqual([])
  }
})
