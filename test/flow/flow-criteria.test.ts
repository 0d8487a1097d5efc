/**
 * Every criterion of every flow of the repository that judges an answer is real: a fault of the twin, for the calls of its step
 * alone, turns it red.
 */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { changeField, changeHeader, changeStatus, type Fault } from '../../mocks/index.ts'
import { nestedSteps } from '../../src/flow/arazzo/needs.ts'
import { readFlow } from '../../src/flow/index.ts'
import { ROOT, type StageOptions, setStage } from '../support/run.ts'

const FLOWS = globSync('flows/*.arazzo.yaml', { cwd: ROOT })
  .map((file) => basename(file, '.arazzo.yaml'))
  .sort()

/** Steps that only another setting or another server leads to, by flow and step. */
const PATHS: Readonly<Record<string, StageOptions>> = {
  'update-rfc': { settings: { UPDATE_BODY: 'rfc' } },
  'refused-for-that-scope': { switches: { scopeMode: 'strict' } },
}

const field = (pointer: string, value: unknown) => (operation: string) => changeField(operation, pointer, value)
const status = (code: number) => (operation: string) => changeStatus(operation, code)
const header = (name: string, value: string) => (operation: string) => changeHeader(operation, name, value)
const ELSEWHERE = 'https://elsewhere.example'

/** What turns a condition red, whatever operation answers; the first row that matches counts. */
const RED: readonly (readonly [condition: RegExp, fault: (operation: string) => Fault])[] = [
  [/^\$statusCode == 200$/, status(203)],
  [/^\$statusCode == (?:201|204)$/, status(200)],
  [/^\$statusCode == 401$/, status(403)],
  [/^\$statusCode != 403$/, status(403)],
  [/^\$statusCode == \d+ \|\| \$statusCode == 400$/, status(403)],
  [/#\/issuer ==/, field('/issuer', ELSEWHERE)],
  [/\$\.registration_endpoint ==/, field('/registration_endpoint', ELSEWHERE)],
  [/^\$response\.body: \$\[\?\$\.token_endpoint ==/, field('/token_endpoint', ELSEWHERE)],
  [/\$\.jwks_uri ==/, field('/jwks_uri', ELSEWHERE)],
  [/\$\.mtls_endpoint_aliases\.token_endpoint ==/, field('/mtls_endpoint_aliases/token_endpoint', ELSEWHERE)],
  [
    /\$\.token_endpoint_auth_methods_supported/,
    field('/token_endpoint_auth_methods_supported', ['client_secret_basic']),
  ],
  [/\$\.grant_types_supported/, field('/grant_types_supported', ['implicit'])],
  [/\$\.scopes_supported/, field('/scopes_supported', ['openid'])],
  [/#\/tls_client_certificate_bound_access_tokens/, field('/tls_client_certificate_bound_access_tokens', false)],
  [/kty == 'EC'/, field('/keys/0/kty', 'RSA')],
  [/kid == .*renewed/, field('/keys/1/kid', 'another')],
  [/kid == /, field('/keys/0/kid', 'another')],
  [/keys\[\?@\['x5t#S256'\]/, field('/keys/1/x5t#S256', 'A'.repeat(43))],
  [/\.scopes\[\?@ == 'cards\.write'\]\)\]$/, field('/scopes', ['bulkcard.read', 'bulkcard.write', 'cards.write'])],
  [/\$\.scopes\[\?@/, field('/scopes', ['digitalchannel'])],
  [/#\/scope == /, field('/scope', 'digitalchannel')],
  [/#\/client_id == /, field('/client_id', 'another-client')],
  [/#\/software_id == /, field('/software_id', 'another-application')],
  [/#\/software_statement == /, field('/software_statement', 'eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJlIn0.c2lnbmF0dXJl')],
  [/#\/registration_client_uri == /, field('/registration_client_uri', `${ELSEWHERE}/client`)],
  [/\$\.grant_types\[/, field('/grant_types', ['authorization_code'])],
  [/#\/token_endpoint_auth_method == /, field('/token_endpoint_auth_method', 'client_secret_basic')],
  [/#\/active == true/, field('/active', false)],
  [/#\/iss == /, field('/iss', ELSEWHERE)],
  [/x5t#S256/, field('/cnf', { 'x5t#S256': 'another' })],
  [/: \$\.pmid$/, field('/pmid', undefined)],
  [/token_type == 'Bearer'/, field('/token_type', 'DPoP')],
  [/expires_in > 0/, field('/expires_in', 0)],
  [/error == 'invalid_client'/, field('/error', 'invalid_grant')],
  [/: no-store$/, header('cache-control', 'max-age=60')],
]

/** Judges our own request, which no answer changes: faults of the client turn it red (npm run prove:detection). */
const OF_THE_REQUEST = /^\$(?:url|method|request\.)/

test.for(FLOWS)('every criterion of flow %s has a fault of the twin that turns it red', async (name) => {
  const flow = await readFlow(join(ROOT, 'flows', `${name}.arazzo.yaml`))
  const stages = new Map([['{}', setStage(name)]])
  const untouched = await (await stages.get('{}'))?.play()
  expect(untouched?.workflows.map(({ status }) => status)).toEqual(['passed'])
  const misses: unknown[] = []
  for (const { id: stepId, step } of flow.workflows.flatMap((workflow) => nestedSteps(flow, workflow))) {
    // What a part returns is judged by the criteria of its own steps.
    if (step.kind !== 'call') {
      misses.push(...step.criteria.map(({ text }) => ({ stepId, text })))
      continue
    }
    const { criteria, operation } = step
    const path = PATHS[stepId] ?? {}
    const key = JSON.stringify(path)
    if (!stages.has(key)) stages.set(key, setStage(name, path))
    const stage = await stages.get(key)
    for (const [index, { text, level, waitsFor }] of criteria.entries()) {
      if (OF_THE_REQUEST.test(text)) continue
      const make = RED.find(([condition]) => condition.test(text))?.[1]
      const found = make && (await stage?.playAt(stepId, make(operation.operationId)))?.steps.at(-1)
      if (waitsFor !== undefined && found?.error?.code === 'WAITING_FOR_THREDD') continue
      const check = found?.checks.find(({ id }) => id === `criterion ${index + 1}`)
      const red = level === 'must' ? 'fail' : 'warn'
      if (found?.stepId !== stepId || check?.status !== red || check.title !== text)
        misses.push({ stepId, text, check: check?.status ?? 'not reached', error: found?.error })
    }
  }
  expect(misses).toEqual([])
})

test('a condition that no fault turns red would be found', () => {
  expect(RED.find(([condition]) => condition.test("$response.body#/client_name == 'Test'"))).toBeUndefined()
})
