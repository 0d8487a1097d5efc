/** The joined runs of an environment, from runs on the twin read as if Thredd's own servers had answered. */
import { beforeAll, expect, test } from 'vitest'
import { changeField, changeStatus } from '../../mocks/index.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { proofsIn, REQUIREMENTS } from '../../src/record/requirements.ts'
import { contradictionIn, factsOf } from '../../src/report/history/facts.ts'
import { type History, historyOf, type Joining } from '../../src/report/history/index.ts'
import { historyPage } from '../../src/report/html/history.ts'
import { type RunOnTwinOptions, runOnTwin } from '../support/run.ts'

const DAY = 24 * 60 * 60 * 1000
const NOW = Date.parse('2026-06-01T12:00:00.000Z')

const FLOWS = {
  discover: { flows: ['discover'], kind: 'tls' },
  metadata: { flows: ['metadata'] },
  register: { flows: ['register'], kind: 'tls' },
  boundTokens: { flows: ['bound-tokens'] },
  silent: { flows: ['discover'], faults: [changeStatus('authorizationDiscovery', 503)] },
  spoiltLifecycle: {
    flows: ['lifecycle'],
    faults: [changeField('registerClient', '/client_id', 'https://other.example/client')],
  },
} satisfies Record<string, RunOnTwinOptions>

const WEAKENED: Partial<RunRecord> = {
  security: {
    minTlsVersion: 'TLSv1.3',
    ownAuthorities: true,
    proxy: false,
    weaknesses: [{ flag: 'CA_FILE', means: 'further authorities were trusted' }],
  },
}

const records = new Map<string, RunRecord>()
beforeAll(async () => {
  for (const [name, options] of Object.entries(FLOWS)) {
    await using ran = await runOnTwin(options)
    records.set(name, ran.record)
  }
})

/** A run that began so many days ago, on UAT, with nothing that weakens it. */
function run(name: keyof typeof FLOWS, daysAgo: number, changes: Partial<RunRecord> = {}): RunRecord {
  const record = records.get(name)
  if (record === undefined) throw new Error(`no run "${name}"`)
  const { security, environment, tool } = record
  return {
    ...record,
    runId: crypto.randomUUID(),
    startedAt: new Date(NOW - daysAgo * DAY).toISOString(),
    counterparty: 'network',
    environment: { ...environment, name: 'uat', class: 'uat' },
    tool: { ...tool, dirty: false },
    ...(security && { security: { ...security, weaknesses: [] } }),
    identities: [],
    signingKeys: [],
    ...changes,
  }
}

function joined(runs: readonly RunRecord[], more: Partial<Joining> = {}): History {
  const stored = runs.map((one, index) => ({ folder: `run-${index}`, facts: factsOf(`run-${index}`, one) }))
  const history = historyOf(stored, {
    environment: { name: 'uat', class: 'uat' },
    now: new Date(NOW).toISOString(),
    decisions: undefined,
    ...more,
  })
  if (history === undefined) throw new Error('nothing was joined')
  return history
}

function standing({ requirements }: History, id: string) {
  return requirements.find(({ requirement }) => requirement.id === id)?.standing
}

/** Accepts all that is not tested, and confirms what only people can. */
function decidingAllOf({ requirements }: History): NonNullable<RunRecord['decisions']> {
  const open = requirements.filter((one) => one.standing === 'not tested').map(({ requirement }) => requirement.id)
  return {
    ...{ file: 'decisions.uat.yaml', sha256: '00'.repeat(32), rows: [] },
    accepted: [{ requirements: open, reason: 'not ours', owner: 'the platform team', until: '2026-12-31' }],
    confirmations: REQUIREMENTS.filter(({ by }) => by === 'thredd' || by === 'person').map(({ id }) => ({
      ...{ requirement: id, who: 'Thredd', date: '2026-05-01', note: 'agreed', reference: 'ticket 1' },
    })),
  }
}

test('what is proven, accepted and confirmed over several days is a Yes, which names the number of deviations', () => {
  const runs = [run('discover', 3), run('metadata', 2), run('register', 1)]
  const open = joined(runs)
  expect([open.answer.headline, open.exitCode]).toEqual(['Not yet', 3])

  const decisions = decidingAllOf(open)
  const { answer, exitCode, gate, validUntil } = joined(runs, { decisions })

  const number = decisions.accepted[0]?.requirements.length
  expect([answer.headline, exitCode]).toEqual([`Yes, with ${number} accepted deviations`, 0])
  expect(answer.lede).toContain('proven or confirmed by Thredd or a person or accepted')
  expect(gate.all).toMatchObject({ counts: { failed: 0, 'not tested': 0, 'by Thredd': 8 }, awaited: 0 })
  // What the first run decided the last one has decided again, so that the second is the oldest.
  expect(validUntil).toBe(new Date(NOW + 88 * DAY).toISOString())
})

test('a verdict counts for 90 days', () => {
  expect(standing(joined([run('discover', 89), run('metadata', 1)]), 'DISC-02')).toBe('pass')

  const { requirements } = joined([run('discover', 91), run('metadata', 1)])
  expect(requirements.find(({ requirement }) => requirement.id === 'DISC-02')).toMatchObject({
    standing: 'not tested',
    because: 'its verdict is older than 90 days',
  })
})

test('a failure counts until the same check has passed, also by another flow', () => {
  const failed = run('spoiltLifecycle', 2)
  const before = joined([failed, run('discover', 1)])
  expect([standing(before, 'THREDD-DCR-3.3.3-05'), before.answer.headline, before.exitCode]).toEqual(['fail', 'No', 1])
  expect(before.causes.map(({ title }) => title)).toContainEqual(expect.stringContaining('client_id'))

  const mended = joined([failed, run('register', 1)])
  expect([standing(mended, 'THREDD-DCR-3.3.3-05'), mended.answer.headline]).toEqual(['pass', 'Not yet'])
  expect(mended.answer.lede).toMatch(/^No failure counts\. Open: /)
  expect(standing(joined([failed, run('register', 3)]), 'THREDD-DCR-3.3.3-05')).toBe('fail')
})

test('a call without a verdict leaves a requirement without one where no run has judged it, and takes none away', () => {
  const alone = joined([run('silent', 1)])
  expect([standing(alone, 'DISC-01'), alone.answer.headline, alone.exitCode]).toEqual(['inconclusive', 'Not known', 3])
  expect(alone.causes.map(({ title }) => title)).toContainEqual(expect.stringContaining('503'))

  const { requirements, gate } = joined([run('discover', 2), run('silent', 1)])
  const row = requirements.find(({ requirement }) => requirement.id === 'DISC-01')
  expect(row).toMatchObject({ standing: 'pass', unansweredIn: { folder: 'run-1' } })
  expect(new Set(row?.decidedIn.map(({ run }) => run.folder))).toEqual(new Set(['run-0']))
  expect(gate.all.earlier).toBeGreaterThan(0)
})

test('a refusal counts only with the good call that was sent beside it in the same run', () => {
  const good = run('boundTokens', 2)
  const withoutControl = good.workflows.map((workflow) => ({
    ...workflow,
    steps: workflow.steps.map((step) =>
      step.case?.control === true ? { ...step, status: 'errored' as const, checks: [] } : step,
    ),
  }))

  const { requirements } = joined([good, run('boundTokens', 1, { workflows: withoutControl })])

  const refusals = requirements.filter(
    ({ requirement: { proof }, standing }) =>
      standing === 'pass' && proofsIn(proof).some(({ control }) => control === true),
  )
  expect(refusals.length).toBeGreaterThan(0)
  for (const { decidedIn } of refusals)
    expect(new Set(decidedIn.map(({ run }) => run.folder))).toEqual(new Set(['run-0']))
})

test('a certificate that servers have shown in several runs ends once', () => {
  const runs = [run('discover', 2), run('register', 1)]
  const shown = runs.flatMap((one) => factsOf('run', one).certificates.map(({ certificate }) => certificate.sha256))

  expect(shown.length).toBeGreaterThan(new Set(shown).size)
  expect(joined(runs).ends.filter(({ kind }) => kind === 'server')).toHaveLength(new Set(shown).size)
})

test('two runs of one time are in the order of their ids, whatever the order of their folders', () => {
  const [one, other] = [run('spoiltLifecycle', 1, { runId: 'a' }), run('register', 1, { runId: 'b' })]

  for (const runs of [
    [one, other],
    [other, one],
  ])
    expect(standing(joined(runs), 'THREDD-DCR-3.3.3-05')).toBe('pass')
})

test('an acceptance that has expired since the run counts no longer', () => {
  const runs = [run('discover', 3), run('metadata', 2), run('register', 1)]
  const decisions = decidingAllOf(joined(runs))
  const [accepted] = decisions.accepted
  if (accepted === undefined) throw new Error('nothing was accepted')
  const expired = { ...decisions, accepted: [{ ...accepted, until: '2026-05-31' }] }

  const { answer, gate } = joined(runs, { decisions: expired })
  expect([answer.headline, gate.all.counts.accepted]).toEqual(['Not yet', 0])
})

test('a flow that was changed, other servers, another catalogue and an early signature are said', () => {
  const old = run('discover', 3, {
    catalogue: { version: '0', requirements: 1, sha256: '11'.repeat(32) },
    workflows: run('discover', 3).workflows.map((one) => ({ ...one, flow: { ...one.flow, sha256: '22'.repeat(32) } })),
  })
  old.environment = {
    ...old.environment,
    servers: (old.environment.servers ?? []).map((one) => ({ ...one, url: 'https://elsewhere.example' })),
  }
  // The newest run of the flow came to no verdict on what the old one decides.
  const [workflow] = run('discover', 1).workflows
  const fresh = run('discover', 1, {
    workflows: workflow === undefined ? [] : [{ ...workflow, status: 'errored', steps: [] }],
  })
  const decisions = {
    ...decidingAllOf(joined([old])),
    signOff: [{ name: '(name)', role: 'release manager', date: '2026-05-30' }],
  }

  const { notes } = joined([old, fresh], { decisions })

  expect(notes).toEqual([
    expect.stringMatching(/^flows\/discover\.arazzo\.yaml has changed since the run of 2026-05-29/),
    expect.stringMatching(/^the run of 2026-05-29 .* met other servers: /),
    expect.stringContaining('the catalogue has changed since the run of 2026-05-29'),
    '(name) signed on 2026-05-30, and 1 run came after that day',
  ])

  const accepted = [{ requirements: ['DISC-01'], reason: 'r', owner: 'o', until: '2026-05-30' }]
  expect(joined([old], { decisions: { ...decisions, accepted } }).notes).toContain(
    'DISC-01 was accepted until 2026-05-30, and is not any more (o)',
  )
})

test('a record whose verdicts do not follow from its checks is told', () => {
  const record = run('spoiltLifecycle', 1)
  const mended = record.workflows.map((workflow) => ({
    ...workflow,
    steps: workflow.steps.map((step) => ({
      ...step,
      checks: step.checks.map((check) => ({ ...check, status: 'pass' as const })),
    })),
  }))

  expect(contradictionIn(record)).toBeUndefined()
  expect(contradictionIn({ ...record, workflows: mended })).toBe(
    'its record says that "register" of "lifecycle" failed, and its checks say otherwise: was it edited?',
  )
  expect(contradictionIn({ ...record, verdict: 'conformant', exitCode: 0 })).toContain(
    'its steps make it non-conformant',
  )
})

test('every link within the page leads somewhere, and those to runs lead to their reports', () => {
  const page = [...historyPage(joined([run('spoiltLifecycle', 2), run('discover', 1, WEAKENED)]))].join('')
  const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
  const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, href = '']) => href)

  expect(links.filter((href) => href.startsWith('#') && !ids.has(href.slice(1)))).toEqual([])
  expect(links).toContainEqual(expect.stringMatching(/^run-0\/report\.html#step-1-\d+$/))
})

test('a baseline that is not among the runs is said, and nothing is compared', () => {
  const { notes, baseline } = joined([run('discover', 1)], { baseline: '019a0000-0000-7000-8000-000000000001' })

  expect(baseline).toBeUndefined()
  expect(notes).toContain(
    'the baseline 019a0000-0000-7000-8000-000000000001 is not among the joined runs, so nothing is compared with it',
  )
})
