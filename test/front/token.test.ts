/** Postman's daily "Get Access Token": one command, kept in the vault while it is valid, and printed only on request. */
import { expect, test } from 'vitest'
import { printToken, type TokenIo } from '../../src/front/cli/token.ts'
import { temporaryFolder, vaultIn } from '../support/vault.ts'

const THUMBPRINT = 'A'.repeat(43)
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (claims: object) => `${part({ alg: 'ES256' })}.${part(claims)}.${'s'.repeat(86)}`

/** `thredd token` at a vault of its own and a server that numbers its tokens. */
async function prompt(answer: (number: number) => object | undefined = bound) {
  const vault = await vaultIn(await temporaryFolder())
  let asked = 0
  let time = Date.parse('2026-01-02T03:04:05.000Z')
  const type = async (line = '', more: Partial<TokenIo> = {}) => {
    const parts = line.split(' ').filter((word) => word !== '')
    let [out, err] = ['', '']
    const code = await printToken(
      {
        has: (flag) => parts.includes(`--${flag}`),
        texts: (flag) => parts.flatMap((one) => (one.startsWith(`--${flag}=`) ? [one.slice(flag.length + 3)] : [])),
      },
      {
        write: (text) => (out += text),
        warn: (text) => (err += text),
        now: () => new Date(time),
        clientId: 'ours',
        server: 'https://auth.example',
        thumbprint: THUMBPRINT,
        openVault: async () => vault,
        request: async (scope) => {
          asked += 1
          const body = answer(asked)
          return { body: body && Buffer.from(JSON.stringify({ ...body, ...(scope && { scope }) })), exitCode: 1 }
        },
        ...more,
      },
    )
    return { code, out, err }
  }
  return { type, asked: () => asked, pass: (seconds: number) => (time += seconds * 1000) }
}

function bound(number: number) {
  const access_token = jwt({ jti: number, scp: ['cards.read'], cnf: { 'x5t#S256': THUMBPRINT } })
  return { access_token, token_type: 'bearer', expires_in: 600 }
}

test('it prints facts about the token, and the token itself only with --reveal', async () => {
  const { type } = await prompt()

  expect(await type()).toEqual({
    code: 0,
    err: '',
    out: expect.stringMatching(
      new RegExp(
        [
          '^client   ours',
          'expires  2026-01-02T03:14:05.000Z, in 600 s',
          'scopes   cards.read',
          `bound to certificate ${THUMBPRINT}`,
          'token    #[\\w-]{16}, new \\(hidden; --reveal prints it\\)\\n$',
        ].join('\n'),
      ),
    ),
  })
  const shown = await type('--reveal')
  expect(shown.out).toBe(`${bound(1).access_token}\n`)
  expect(shown.err).toContain('token    #')
  expect(shown.err).toContain('kept from before\n')
  const json = JSON.parse((await type('--json')).out)
  expect(json).toEqual({
    clientId: 'ours',
    expiresAt: '2026-01-02T03:14:05.000Z',
    expiresIn: 600,
    scopes: ['cards.read'],
    cnf: { 'x5t#S256': THUMBPRINT },
    fingerprint: expect.stringMatching(/^[\w-]{16}$/),
    new: false,
  })
  expect(JSON.parse((await type('--json --reveal')).out).accessToken).toBe(bound(1).access_token)
})

test('a token is used again until a tenth of its life is left, for the same scope and certificate only', async () => {
  const { type, asked, pass } = await prompt()
  await type()
  pass(539)
  await type()
  expect(asked()).toBe(1)
  pass(2)
  await type()
  expect(asked()).toBe(2)
  await type('--scope=cards.read')
  await type('--scope=pin.read,cards.read')
  await type('--scope=cards.read --scope=pin.read')
  expect(asked()).toBe(4)
  await type('', { thumbprint: 'B'.repeat(43) })
  await type('', { clientId: 'theirs' })
  expect(asked()).toBe(6)
  await type('--fresh')
  expect(asked()).toBe(7)
  // The clock has been put back.
  pass(-3600)
  await type()
  expect(asked()).toBe(8)
})

test('a token without expires_in is not kept', async () => {
  const { type, asked } = await prompt((number) => ({ access_token: `opaque-${number}` }))

  expect((await type()).out).toContain('expires  the server did not say\nscopes   none that can be read\n')
  await type()
  expect(asked()).toBe(2)
})

test.each([
  ['1e300', '2035-12-31T03:04:05.000Z, in 315360000 s'],
  ['1e999', '2035-12-31T03:04:05.000Z, in 315360000 s'],
  ['8640000000001', '2035-12-31T03:04:05.000Z, in 315360000 s'],
  ['0.5', '2026-01-02T03:04:05.500Z, in 1 s'],
  ['-1e300', 'the server did not say'],
  ['"soon"', 'the server did not say'],
  ['{}', 'the server did not say'],
])('with expires_in %s the token is printed, and expires: %s', async (seconds, expires) => {
  const { type } = await prompt()
  const body = Buffer.from(`{"access_token":"opaque","expires_in":${seconds}}`)

  const { code, out } = await type('', { request: async () => ({ body, exitCode: 0 }) })
  expect([code, out]).toEqual([0, expect.stringContaining(`expires  ${expires}\n`)])
})

test('a token that is bound to another certificate gives a warning', async () => {
  const { type } = await prompt(() => ({ ...bound(1), access_token: jwt({ cnf: { 'x5t#S256': 'C'.repeat(43) } }) }))

  expect((await type()).err).toBe(
    'warning the token is bound to another certificate than the one of this environment\n',
  )
})

test('where no token comes the exit code is that of the run, and never 0', async () => {
  const { type } = await prompt(() => undefined)

  expect(await type()).toEqual({ code: 1, out: '', err: '' })
  expect((await type('', { request: async () => ({ body: Buffer.from('<html>'), exitCode: 0 }) })).code).toBe(3)
  await expect(type('', { clientId: undefined })).rejects.toThrow('CLIENT_ID is not set')
})
