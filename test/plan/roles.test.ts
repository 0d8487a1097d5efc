/** Which requested scopes no role covers is said before any call, in the record too, and never refuses a run. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import documented from '../../fixtures/roles/roles.json' with { type: 'json' }
import samples from '../../fixtures/thredd/role-scopes.json' with { type: 'json' }
import { type Role, readRoles, scopesOf, scopeWarnings } from '../../src/plan/roles.ts'
import { ToolError } from '../../src/record/errors.ts'
import { ROOT, runOnTwin } from '../support/run.ts'

const ofRoles = (warnings: readonly string[]) => warnings.filter((warning) => /ROLES|role "/.test(warning))

test('requested scopes that no role of ROLES covers are named with the role that has them, on screen and in the record', async () => {
  await using ran = await runOnTwin({ inputs: { scopes: 'cards.read eds.read issuer.write' } })

  const warning =
    '"register" asks for scopes that no role of ROLES covers: eds.read issuer.write; they belong to eds (documented), issuer (inferred). Expect the server to refuse the registration or to leave them out'
  expect(ofRoles(ran.record.warnings)).toEqual([warning])
  expect(ran.screen.indexOf(`warning ${warning}`)).toBeLessThan(ran.screen.indexOf('✓ authorization-discovery'))
  expect(ran.record.exitCode).toBe(0)
})

test.for([
  ['register', []],
  // The role that the flow is given counts on the twin, where it is made so.
  ['register-with-role', []],
  ['add-role-then-put', []],
  [
    'scope-beyond-role',
    [
      '"scope-beyond-role" asks for scopes that no role of ROLES covers: cards.write; they belong to programme-manager (inferred). Expect the server to refuse the registration or to leave them out',
    ],
  ],
] as const)('flow %s warns of the scopes that its roles do not cover, and of no other', async ([flow, warnings]) => {
  await using ran = await runOnTwin({ flows: [flow] })

  expect(ofRoles(ran.record.warnings)).toEqual(warnings)
})

test('elsewhere the role has to stand in ROLES: that a flow needs it does not make it so', async () => {
  await using ran = await runOnTwin({ flows: ['register-with-role'], unaided: true })

  expect(ofRoles(ran.record.warnings)).toEqual([
    expect.stringContaining('eds.read eds.write; they belong to eds (documented)'),
  ])
  expect(ran.screen).toContain(
    'before this run register-with-role: the application has the role eds in Thredd CA; if not: ',
  )
})

test('of very many workflows a warning names the first', () => {
  const requests = Array.from({ length: 200 }, (_, index) => ({
    workflowId: `w${index}`,
    scopes: [],
    roles: undefined,
  }))

  expect(scopeWarnings(requests, documented.roles as never)).toEqual([
    expect.stringMatching(/^ROLES is not set: the scopes of "w0", .*, "w19" and 180 more were not compared/),
  ])
})

test('without ROLES, and with one that nobody knows, the run says that it cannot compare', () => {
  const request = { workflowId: 'register', scopes: ['cards.read'] }

  expect(scopeWarnings([{ ...request, roles: undefined }], documented.roles as never)).toEqual([
    'ROLES is not set: the scopes of "register" were not compared with the roles of the application',
  ])
  expect(scopeWarnings([{ ...request, roles: ['programme-manager', 'bulk'] }], documented.roles as never)).toEqual([
    'role "bulk" of ROLES is not in fixtures/roles/roles.json, so nothing is known of its scopes',
  ])
  expect(scopeWarnings([{ ...request, roles: ['Programme_Manager'] }], documented.roles as never)[0]).toMatch(
    /so nothing is known of its scopes; did you mean "programme-manager"\?$/,
  )
  expect(scopeWarnings([{ ...request, scopes: ['nobody.knows'], roles: ['eds'] }], documented.roles as never)).toEqual([
    '"register" asks for scopes that no role of ROLES covers: nobody.knows. Expect the server to refuse the registration or to leave them out',
  ])
})

test('a catalogue of the current folder wins, and one that cannot be read says what is wrong', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-roles-'))
  try {
    await mkdir(join(folder, 'fixtures/roles'), { recursive: true })
    const file = join(folder, 'fixtures/roles/roles.json')
    const role = { name: 'all', mark: 'documented', origin: 'Thredd told us', scopes: ['cards.read'] }
    await writeFile(file, JSON.stringify({ about: 'ours', roles: [role] }))
    expect(await readRoles([folder, ROOT])).toEqual([role])
    expect(await readRoles([ROOT])).toEqual(documented.roles)

    await writeFile(file, JSON.stringify({ about: 'ours', roles: [{ ...role, mark: 'guessed' }] }))
    const error: unknown = await readRoles([folder]).catch((caught: unknown) => caught)
    expect((error as ToolError).problems).toMatchObject([
      {
        code: 'ENV_INVALID',
        message: `the role catalogue "${file}" cannot be used`,
        expected: expect.stringMatching(/^roles\.0\.mark: /),
      },
    ])
    await writeFile(file, 'roles:')
    await expect(readRoles([folder])).rejects.toThrow(ToolError)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('the catalogue holds what the pages print, and marks the rest as inferred', () => {
  const named = samples.roles_named_in_docs.filter(({ scopes }) => scopes !== null)
  const sure = documented.roles.filter(({ mark }) => mark === 'documented')

  expect(sure.map(({ name, scopes }) => [name.replace('-', ' '), scopes])).toEqual(
    named.map(({ role, scopes }) => [role, scopes]),
  )
  const known = new Set(samples.scopes.map(({ scope }) => scope))
  expect(documented.roles.flatMap(({ scopes }) => scopes).filter((scope) => !known.has(scope))).toEqual([])
})

test('the scopes of roles are those that the catalogue has of them, each once', () => {
  expect(scopesOf(['bulk-cards', 'eds', 'nobody'], documented.roles as readonly Role[])).toEqual([
    'bulkcard.read',
    'bulkcard.write',
    'eds.read',
    'eds.write',
  ])
  expect(scopesOf(['nobody'], documented.roles as readonly Role[])).toBeUndefined()
})
