/** docs/twin.md is printed from the current tables, and the programs in it run. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { readSeed, readSwitches, SWITCHES, switchesOf, twinReference } from '../../mocks/index.ts'
import { expectFile } from '../support/golden.ts'
import { sharedPki } from '../support/twin.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Each program by its title, with what it prints. */
const EXAMPLES = {
  "threddHandlers() in anyone's msw set-up": [
    'test/examples/handlers.ts',
    '200 access_token expires_in token_type scope\ndirectory token for https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4, bound to the certificate\n',
  ],
  "startTwin() in anyone's tests": ['test/examples/server.ts', 'attempt 1: 503\nattempt 2: 200\n'],
} as const

test('docs/twin.md is current', () => {
  // Readers have the package, where these programs have its sources.
  const programs = Object.entries(EXAMPLES).map(([title, [file]]) => [
    title,
    readFileSync(`${ROOT}${file}`, 'utf8').replace('../../mocks/index.ts', 'thredd-dcr/mocks'),
  ])

  expectFile(twinReference(Object.fromEntries(programs)), 'docs/twin.md')
})

test('the seed in docs/twin.md can be read', () => {
  const [, text = ''] = /```json\n(.*?)```/s.exec(readFileSync(`${ROOT}docs/twin.md`, 'utf8')) ?? []

  const { applications, roles } = readSeed(text)

  expect(applications).toMatchObject([{ name: 'payments', roles: ['ws', 'eds'] }])
  expect(Object.keys(roles)).toEqual(['eds'])
})

test.for(Object.values(EXAMPLES))('the program %s does what docs/twin.md shows', async ([file, printed]) => {
  await sharedPki()

  const { stdout } = await promisify(execFile)(process.execPath, [`${ROOT}${file}`], { cwd: ROOT })

  expect(stdout).toBe(printed)
})

test('switches are read from words, lines and JSON alike', () => {
  const expected = { scopeMode: 'strict', rotateOnRead: true, ssaMaxAgeSeconds: 60, unrequestedScopes: 'a b' }

  expect(switchesOf(['scopeMode=strict', 'rotateOnRead=true', 'ssaMaxAgeSeconds=60', 'unrequestedScopes=a b'])).toEqual(
    expected,
  )
  const lines = '# ours\n\nscopeMode = strict\r\nrotateOnRead=true\nssaMaxAgeSeconds=60\nunrequestedScopes=a b\n'
  expect(readSwitches(lines)).toEqual(expected)
  expect(readSwitches(JSON.stringify(expected))).toEqual(expected)
  const defaults = Object.entries(SWITCHES).map(([name, row]) => `${name}=${row.default}`)
  expect(Object.keys(readSwitches(defaults.join('\n')))).toEqual(Object.keys(SWITCHES))
})

test('an error names a wrong switch, whether it comes from a flag, lines or JSON', () => {
  expect(() => switchesOf(['scopeMode'])).toThrow('switch "scopeMode" has no value; write name=value')
  expect(() => switchesOf(['scopeMode=soft'])).toThrow(
    'switch "scopeMode" cannot be "soft"; expected "filter" or "strict"',
  )
  expect(() => switchesOf(['rotateOnRead=yes'])).toThrow(
    'switch "rotateOnRead" cannot be "yes"; expected true or false',
  )
  expect(() => switchesOf(['ssaMaxAgeSeconds=1.5'])).toThrow('expected a whole number of seconds')
  expect(() => readSwitches('colour=red')).toThrow('unknown switch "colour"')
  expect(() => readSwitches('{"__proto__x": 1}')).toThrow('unknown switch "__proto__x"')
  expect(() => readSwitches('{')).toThrow(SyntaxError)
})
