/** What a run says where nothing could be judged, and what to do next. */
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceBody } from '../../mocks/index.ts'
import { locateRun } from '../../src/record/stored.ts'
import { ctrf, html, junit, markdown } from '../support/reports.ts'
import { runOnTwin, stepOf, workflowOf } from '../support/run.ts'

test('a body that cannot be read is one failed check, and no member of it is judged', async () => {
  await using ran = await runOnTwin({ faults: [replaceBody('registerClient', '{"client_id": ')] })
  const { checks, notJudged = [] } = stepOf(ran.record, 'register')

  expect(checks.filter(({ status }) => status !== 'pass').map(({ id }) => id)).toEqual(['schema'])
  expect(notJudged.length).toBeGreaterThan(5)
  expect(ran.screen).toContain(`not judged: ${notJudged.length} further checks, since the body cannot be read`)
  expect(html(ran.record)).toContain(`${notJudged.length} further checks not judged, since the body cannot be read`)
})

test('a token of another issuer names the setting that says which one is expected', async () => {
  await using ran = await runOnTwin({
    flows: ['access-token'],
    settings: { EXPECTED_TOKEN_ISSUER: 'https://issuer.example' },
  })

  expect(ran.screen).toMatch(/iss: expected https:\/\/issuer\.example, got /)
  expect(ran.screen).toContain('set EXPECTED_TOKEN_ISSUER in the environment file')
})

test('a workflow of which no step ran is not tested, and the run is not conformant', async () => {
  await using ran = await runOnTwin({ flows: ['transport-security'] })
  const { status, steps } = workflowOf(ran.record)
  const because = 'not tested: it looks at connections, and in this run the twin answers in the same process'

  expect(new Set(steps.map((step) => step.status))).toEqual(new Set(['skipped']))
  expect({ status, verdict: ran.record.verdict, exitCode: ran.record.exitCode }).toEqual({
    status: 'skipped',
    verdict: 'inconclusive',
    exitCode: 3,
  })
  expect(ran.screen).not.toMatch(/^conformant/m)
  for (const said of [ran.screen, html(ran.record), markdown(ran.record), junit(ran.record), ctrf(ran.record)])
    expect(said).toContain(because)
})

test('"latest" names a run before its first call, and a run without a record is never taken for an older one', async () => {
  let during: Promise<string> | undefined
  await using ran = await runOnTwin({
    flows: ['discover'],
    onEvent: ({ type }, reports) => {
      if (type === 'workflow-started') during ??= readlink(join(reports, 'latest'))
    },
  })
  const [name = ''] = (await readdir(ran.reports)).filter((one) => one !== 'latest')
  expect(await during).toBe(name)
  expect(await locateRun(undefined, ran.reports)).toBe(join(ran.reports, 'latest', 'record.json'))

  await mkdir(join(ran.reports, 'killed'))
  await rm(join(ran.reports, 'latest'))
  await symlink('killed', join(ran.reports, 'latest'), 'dir')
  await expect(locateRun(undefined, ran.reports)).rejects.toMatchObject({
    code: 'RECORD_UNREADABLE',
    message: expect.stringContaining('was killed before its record was written'),
    problems: [{ hint: expect.stringContaining(name) }],
  })
})
