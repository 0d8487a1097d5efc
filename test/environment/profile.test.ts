/** What Thredd's profile fixes is data: defaults of settings, and levels of criteria. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { VARIABLES } from '../../src/environment/variables.ts'
import { readFlow } from '../../src/flow/index.ts'
import { fromServers, LEVELS, PROFILE } from '../../src/record/profile.ts'
import { ROOT, setStage } from '../support/run.ts'

test.each(Object.entries(PROFILE))('%s of the profile is the default of a setting', (name, value) => {
  const variable = VARIABLES[name.toUpperCase() as keyof typeof VARIABLES] as { readonly default?: string }

  expect(variable).toBeDefined()
  expect(variable.default).toBe(value.includes('{server_') ? undefined : value)
})

test('an audience follows from the address of its server, whatever that address is', () => {
  const servers = new Map([['authorization', 'https://auth.example/$&']])

  expect(fromServers('assertion_audience_authorization', servers)).toBe('https://auth.example/$&/oauth2/token')
  expect(fromServers('assertion_audience_directory', servers)).toBeUndefined()
  expect(fromServers('signing_alg', servers)).toBeUndefined()
  expect(fromServers('constructor', servers)).toBeUndefined()
})

test('each level of the profile is that of a criterion, and a criterion takes it', async () => {
  const files = globSync('flows/**/*.arazzo.yaml', { cwd: ROOT })
  const used = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/levelOf: ([\w-]+)/g)].flatMap(([, name]) => name ?? []),
  )
  const { workflows } = await readFlow(join(ROOT, 'flows/conformance/client-configuration.arazzo.yaml'))
  const criteria = workflows.flatMap(({ steps }) =>
    steps.flatMap((step) => (step.kind === 'call' ? step.criteria : [])),
  )

  expect([...new Set(used)].sort()).toEqual(Object.keys(LEVELS).sort())
  expect(criteria.find(({ text }) => text === '$statusCode == 405')?.level).toBe(LEVELS['other-method-is-405'])
})

test('a rotation that Thredd has not announced is a warning where the setting says so', async () => {
  const warned = async (rotation: string) => {
    const settings = { REGISTRATION_TOKEN_ROTATION: rotation }
    const { steps } = await (await setStage('conformance/client-configuration', { settings })).play()
    const read = steps.find(({ stepId }) => stepId === 'read-after-update')
    return read?.checks.filter(({ status }) => status === 'warn').length
  }

  expect([await warned('any'), await warned('every-update'), await warned('never')]).toEqual([0, 0, 1])
})
