/** What Thredd's profile fixes is data: defaults of settings. */
import { expect, test } from 'vitest'
import { VARIABLES } from '../../src/environment/variables.ts'
import { fromServers, PROFILE } from '../../src/record/profile.ts'

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
