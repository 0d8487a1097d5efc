/** What HTTPS_PROXY may be, and that nothing of its password shows where it may not be so. */
import { expect, test } from 'vitest'
import { proxyOf, proxySecrets } from '../../src/run/connect.ts'

const settings = (httpsProxy: string) => ({ httpsProxy, noProxy: undefined })

test.each([
  'http://svc:Winter@2026secret#x@127.0.0.1:17460',
  'http://svc:Winter#2026secret@127.0.0.1:17460',
  'http://svc:Winter/2026secret@127.0.0.1:17460',
  'http://svc:Winter?2026secret@127.0.0.1:17460',
  'http://svc:Winter%2026secret%zz@127.0.0.1:17460',
  'http://svc:2026secret%ff@127.0.0.1:17460',
  'http://Winter\\2026secret:pass@127.0.0.1:17460',
  'svc:Winter@2026secret@127.0.0.1:17460',
  'http://svc:2026secret@',
])('a proxy of which it is uncertain what is the host is refused, and no part of it is shown: %s', (setting) => {
  const attempt = () => proxyOf(settings(setting))

  expect(attempt).toThrow('HTTPS_PROXY cannot be used')
  try {
    attempt()
  } catch (error) {
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/Winter|2026secret|svc|17460|socks5/)
  }
})

test.each([
  ['http://127.0.0.1:17460', []],
  ['proxy.example:8080', []],
  ['https://[::1]:17460/', []],
  ['HTTP://DOMAIN%5Cuser:p%40ss%23w@proxy.example', ['p@ss#w', Buffer.from('DOMAIN\\user:p@ss#w').toString('base64')]],
] as const)('a proxy with its password percent-encoded, or none, is used: %s', (setting, secrets) => {
  expect(proxySecrets(proxyOf(settings(setting))).map(({ value }) => value)).toEqual(secrets)
})

test.each(['socks5', 'SOCKS5H', 'socks4', 'socks'])('of a %s proxy it is the scheme that is named', (scheme) => {
  const attempt = () => proxyOf(settings(`${scheme}://svc:2026secret@127.0.0.1:17460`))

  expect(attempt).toThrow(`HTTPS_PROXY names a proxy of scheme ${scheme.toLowerCase()}://, which cannot be used`)
  expect(attempt).not.toThrow(/svc|2026secret|17460/)
})

test('no proxy is no error', () => {
  expect(proxyOf(settings(''))?.httpsProxy).toBeUndefined()
  expect(proxyOf(undefined)).toBeUndefined()
})
