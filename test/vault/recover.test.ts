/** Which answers show that a client is deleted: those of the registration endpoint, not those of a firewall or load balancer in front of it. */
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type Probe, recover } from '../../src/vault/index.ts'
import { CHALLENGE, ended, PRESENTED, register, temporaryFolder, token, vaultIn } from '../support/vault.ts'

type Seen = Omit<Extract<Awaited<ReturnType<Probe>>, { kind: 'answered' }>, 'kind' | 'presented'>

const HTML = [['Content-Type', 'text/html; charset=utf-8']] as const
const PLAIN = [['content-type', 'text/plain']] as const
const JSON_TYPE = [['content-type', 'application/json']] as const
const BLOCKED = '<html><body>Request blocked</body></html>'
const ERROR = '{"error":"invalid_token","error_description":"unknown"}'

async function afterOpenDelete(answer: Seen) {
  const vault = vaultIn(await temporaryFolder())
  await register(vault)
  await ended(vault, 'delete')
  const probe: Probe = async () => ({ kind: 'answered', presented: PRESENTED, ...answer })
  const [open] = await vault.unsettled()
  if (open === undefined) throw new TypeError('nothing is open')
  const { settled, words } = await recover(vault, open, { probe, runId: 'r' })
  return { settled, words, isLive: (await token(vault)) !== undefined, open: (await vault.unsettled()).length }
}

test.each<[what: string, Seen]>([
  ['401 with a challenge for a bearer token', { status: 401, headers: CHALLENGE, body: '' }],
  [
    '401 with that challenge after another',
    { status: 401, headers: [['WWW-Authenticate', 'Basic realm="a", Bearer']], body: '' },
  ],
  ['401 with an OAuth error', { status: 401, headers: JSON_TYPE, body: ERROR }],
  ['404 with an OAuth error', { status: 404, headers: JSON_TYPE, body: '{"error":"not_found","status_code":404}' }],
])('%s shows that the client is deleted', async (_, answer) => {
  expect(await afterOpenDelete(answer)).toMatchObject({ settled: true, isLive: false, open: 0 })
})

test.each<[what: string, Seen, said: string]>([
  ["a firewall's 403", { status: 403, headers: HTML, body: BLOCKED }, 'status 403 and a page'],
  ["a load balancer's 404", { status: 404, headers: HTML, body: '' }, 'status 404 and a page'],
  ['a page under another type', { status: 404, headers: PLAIN, body: `\uFEFF\n${BLOCKED}` }, 'status 404 and a page'],
  [
    'a compressed page',
    { status: 401, headers: PLAIN, body: gzipSync(BLOCKED), coding: 'gzip' },
    'status 401 and a page',
  ],
  [
    'a page with a challenge',
    { status: 401, headers: [...HTML, ...CHALLENGE], body: BLOCKED },
    'status 401 and a page',
  ],
  ['a 403 with an OAuth error', { status: 403, headers: JSON_TYPE, body: ERROR }, 'status 403, without an OAuth error'],
  ['an empty 403', { status: 403, headers: [], body: '' }, 'status 403, without an OAuth error'],
  ['an empty 404', { status: 404, headers: [], body: '' }, 'status 404, without an OAuth error'],
  ["an ingress's 404", { status: 404, headers: PLAIN, body: 'default backend - 404' }, 'status 404, without'],
  [
    "a gateway's 404",
    { status: 404, headers: JSON_TYPE, body: '{"message":"no Route matched"}' },
    'status 404, without',
  ],
  [
    "a framework's 404",
    { status: 404, headers: JSON_TYPE, body: '{"error":"Not Found","path":"/"}' },
    'status 404, without',
  ],
  [
    "a proxy's 401",
    { status: 401, headers: [['www-authenticate', 'Basic realm="x"']], body: '' },
    'status 401, without',
  ],
  ["a gateway's 401", { status: 401, headers: JSON_TYPE, body: '{"message":"Unauthorized"}' }, 'status 401, without'],
  ['a page with 200', { status: 200, headers: HTML, body: BLOCKED }, 'status 200 and a page'],
])('%s shows nothing of the client: the call stays open', async (_, answer, said) => {
  const { words, ...rest } = await afterOpenDelete(answer)

  expect(rest).toEqual({ settled: false, isLive: true, open: 1 })
  expect(words).toContain(`the answer to the stored token has ${said}`)
  expect(words).toContain('this does not show whether the client is there; nothing was changed; try again later; if')
  expect(words).toMatch(/ask Thredd whether the client is there, and if it is deleted: thredd vault recover /)
})

test.each([
  ['204', 204, '', true],
  ['204 with a page', 204, BLOCKED, true],
  ['200 without a body', 200, '', true],
  ['200 with JSON', 200, '{"deleted":true}', true],
  ['200 with a page', 200, `<!doctype html>${BLOCKED}`, false],
  ['202', 202, '', false],
  ['a redirect', 302, '', undefined],
])('a DELETE answered by %s', async (_, status, body, deletes) => {
  const vault = vaultIn(await temporaryFolder())
  await register(vault)
  await ended(vault, 'delete', status, body)

  expect([(await token(vault)) === undefined, await vault.unsettled()]).toMatchObject([
    deletes === true,
    deletes === false
      ? [{ effect: 'delete', way: 'read', status, known: expect.stringContaining('does not say') }]
      : [],
  ])
})

test('a page in place of the answer to a DELETE makes no client of one that the vault does not know', async () => {
  const vault = vaultIn(await temporaryFolder())
  await ended(vault, 'delete', 200, BLOCKED)

  expect((await vault.list()).registrations).toEqual([])
})
