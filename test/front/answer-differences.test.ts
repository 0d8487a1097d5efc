/** What `thredd mock compare` sees of two answers: each difference with its place. */
import { expect, test } from 'vitest'
import { compareAnswers } from '../../src/front/cli/answer-differences.ts'
import type { Exchange } from '../../src/record/index.ts'
import { runOnTwin, stepOf } from '../support/run.ts'

type Answer = { -readonly [name in 'status' | 'headers' | 'body']: NonNullable<Exchange['response']>[name] }

test('an answer that differs in ten ways, its status among them, is told all of them with their places', async () => {
  await using ran = await runOnTwin()
  const changed = structuredClone(ran.record)
  const answer = stepOf(changed, 'register').exchanges.at(-1)?.response as Answer | undefined
  if (answer === undefined) throw new Error('no answer')
  const { client_name: _, grant_types, ...members } = JSON.parse(answer.body.text ?? '') as Record<string, unknown>
  const body = {
    registered_at: '30.11.2026',
    ...members,
    Grant_Types: grant_types,
    client_id_issued_at: '2026-11-30T10:00:00Z',
    application_types: 'service',
    scopes: null,
  }
  const [first, ...others] = Object.entries(body).slice(1)
  answer.body = {
    ...answer.body,
    text: JSON.stringify(Object.fromEntries([...others, first ?? [], ['registered_at', '']])),
  }
  answer.status = 200
  answer.headers = [
    ...answer.headers.filter(([name]) => !/^cache-control$|^content-type$/i.test(name)),
    ['content-type', 'text/json'],
    ['x-new', 'a'],
  ]

  const { differences } = compareAnswers(changed.workflows, ran.record.workflows)

  const seen = differences.map(({ step, what, of, recorded, twin }) => [step, what, of, recorded, twin])
  expect(new Set(seen.map(([step]) => step))).toEqual(new Set(['register / register']))
  expect(seen.map(([, ...rest]) => rest)).toEqual(
    expect.arrayContaining([
      ['status', '', '200', '201'],
      ['header', 'cache-control', 'absent', 'no-store'],
      ['header', 'content-type', 'text/json', 'application/json'],
      ['header', 'x-new', 'present', 'absent'],
      ['member', '/client_name', 'absent', 'a text'],
      ['member', '/registered_at', 'a text', 'absent'],
      ['member', '/Grant_Types', 'a list', 'absent'],
      ['member', '/grant_types', 'absent', 'a list'],
      ['type', '/client_id_issued_at', 'a time', 'a whole number'],
      ['type', '/application_types', 'a text', 'a list'],
      ['type', '/scopes', 'null', 'a list'],
    ]),
  )
  expect(seen.filter(([, what]) => what === 'order')).toHaveLength(1)
})

test('what follows from a status of another class is no difference of its own', async () => {
  await using ran = await runOnTwin()
  const changed = structuredClone(ran.record)
  const answer = stepOf(changed, 'register').exchanges.at(-1)?.response as Answer | undefined
  if (answer === undefined) throw new Error('no answer')
  answer.status = 400
  answer.body = { ...answer.body, text: '{"error":"invalid_request"}' }

  const { differences } = compareAnswers(changed.workflows, ran.record.workflows)

  expect(differences).toEqual([{ step: 'register / register', what: 'status', of: '', recorded: '400', twin: '201' }])
})
