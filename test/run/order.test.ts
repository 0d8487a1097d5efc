/** The flows of one run go out by their effect, and none finds what another has left. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readFlow } from '../../src/flow/index.ts'
import type { Selected } from '../../src/guard/confirmation.ts'
import { byEffect, sharesOf } from '../../src/run/order.ts'
import { ROOT, runOnTwin } from '../support/run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thredd-order-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

async function shipped(...names: readonly string[]): Promise<readonly Selected[]> {
  const flows = await Promise.all(names.map((name) => readFlow(join(ROOT, 'flows', `${name}.arazzo.yaml`))))
  return flows.flatMap((flow) => flow.workflows.map((workflow) => ({ flow, workflow })))
}

const ids = (all: readonly Selected[]) => all.map(({ workflow }) => workflow.workflowId)

test('what reads goes first, then what registers, updates and deletes; flows of one effect stay as they were named', async () => {
  const named = await shipped(
    'lifecycle',
    'delete-registration',
    'add-scope-with-put',
    'register-with-role',
    'register',
    'read-registration',
    'discover',
  )

  const read = ['read-registration', 'discover']
  const changes = ['delete-registration', 'register-with-role', 'register', 'add-scope-with-put', 'lifecycle']
  expect(ids(byEffect(named, { registered: true }))).toEqual([...read, ...changes])
})

test.each([true, false])('a deletion is of the client that was there before the run (%s)', async (registered) => {
  const named = await shipped('register', 'add-scope-with-put', 'delete-registration')
  const without = await shipped('delete-registration', 'add-scope-with-put')

  expect(ids(byEffect(named, { registered }))).toEqual(['delete-registration', 'register', 'add-scope-with-put'])
  expect(ids(byEffect(without, { registered }))).toEqual(['add-scope-with-put', 'delete-registration'])
})

test('a flow that is given a registration which nobody has made yet comes after those that register', async () => {
  const named = await shipped('access-token', 'discover', 'register')

  expect(ids(byEffect(named, { registered: false }))).toEqual(['discover', 'register', 'access-token'])
  expect(ids(byEffect(named, { registered: true }))).toEqual(['access-token', 'discover', 'register'])
})

async function written(name: string, effect: string, needs?: string): Promise<Selected[]> {
  const needed = needs === undefined ? '' : `  - { name: needed, url: ./${needs}.arazzo.yaml, type: arazzo }\n`
  const dependsOn = needs === undefined ? '' : `    dependsOn: [$sourceDescriptions.needed.${needs}]\n`
  const file = join(folder, `${name}.arazzo.yaml`)
  await writeFile(
    file,
    `arazzo: 1.0.1
info: { title: ${name}, version: 1.0.0 }
sourceDescriptions:
  - { name: authorization, url: ${join(ROOT, 'flows/apis/authorization.openapi.yaml')}, type: openapi }
${needed}workflows:
  - workflowId: ${name}
    x-dcr: { effect: ${effect} }
${dependsOn}    steps:
      - stepId: look
        operationId: $sourceDescriptions.authorization.authorizationDiscovery
        successCriteria: [{ condition: $statusCode == 200 }]
`,
  )
  const flow = await readFlow(file)
  return flow.workflows.map((workflow) => ({ flow, workflow }))
}

test('a flow that depends on another comes after it, whatever both do, and meets the same twin', async () => {
  const remove = await written('remove', 'delete')
  const look = await written('look', 'read', 'remove')
  const change = await written('change', 'update')

  const order = byEffect([...look, ...change, ...remove], { registered: true })

  expect(ids(order)).toEqual(['remove', 'look', 'change'])
  expect(sharesOf(order, { isNamed: false }).map(ids)).toEqual([['remove', 'look'], ['change']])
})

test('flows that are named in another order run in this one on the twin, and one line says so', async () => {
  await using ran = await runOnTwin({ flows: ['register', 'delete-registration', 'read-registration'] })

  expect(ran.record.workflows.map(({ workflowId, status }) => `${workflowId} ${status}`)).toEqual([
    'delete-registration passed',
    'register passed',
    'read-registration passed',
  ])
  expect(ran.screen.split('\n').filter((line) => line.startsWith('order'))).toEqual([
    'order       delete-registration, register, read-registration: what reads goes first, and a client is deleted before another is registered',
  ])
})

test('of flows that are named together none that registers finds the client of another', async () => {
  await using ran = await runOnTwin({ flows: ['discover', 'register', 'register-with-role', 'lifecycle'], kind: 'tls' })

  expect(ran.record.verdict).toBe('conformant')
  expect(ran.screen).not.toMatch(/^order/m)
})
