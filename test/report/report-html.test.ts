/** The report for people: what it says, that it needs nothing else, and that a hostile server cannot speak through it. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { clauseOf } from '../../src/record/clauses.ts'
import type { RunRecord } from '../../src/record/index.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'
import { answerOf } from '../../src/report/answer.ts'
import { curl } from '../../src/report/curl.ts'
import { endsOf } from '../../src/report/ends.ts'
import { COLUMNS } from '../../src/report/gate.ts'
import { factsOf } from '../../src/report/history/facts.ts'
import { runsPage } from '../../src/report/html/runs.ts'
import { SHOWN_IN_FULL } from '../../src/report/html/workflows.ts'
import type { JudgedRequirement } from '../../src/report/proofs.ts'
import {
  CONFIGURATION_URL,
  check,
  everyOutcome,
  exchange,
  HOSTILE,
  hostileRecord,
  html,
  markdown,
  recordOf,
  registration,
  sampleRecord,
  summaryOf,
  whole,
} from '../support/reports.ts'

test('the report is one file under a policy that admits its own style and script and nothing else', () => {
  const page = html(everyOutcome())

  const [policy = ''] = /(?<=http-equiv="Content-Security-Policy" content=")[^"]+/.exec(page) ?? []
  const [style = ''] = /(?<=<style>)[\s\S]*?(?=<\/style>)/.exec(page) ?? []
  const [script = ''] = /(?<=<script>)[\s\S]*?(?=<\/script>)/.exec(page) ?? []
  expect(policy.replaceAll('&#39;', "'")).toBe(
    `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'`,
  )
  expect(tagsOf(page).filter(({ name }) => ['link', 'img', 'iframe', 'base', 'object'].includes(name))).toEqual([])
  expect(page).not.toMatch(/\s(?:src|style|on\w+)=|@import|url\(/)
  expect(
    linksOf(page).filter(
      (href) =>
        !/^#|^https:\/\/(?:www\.rfc-editor\.org|datatracker\.ietf\.org|openid\.net|docs\.thredd\.com)\//.test(href),
    ),
  ).toEqual([])
})

test('of many workflows the page shows the calls of the first, and after them of steps without a pass', () => {
  const [workflow] = everyOutcome().workflows
  const passed = registration()
  const failed = registration({ stepId: 'fails', status: 'failed', checks: [check({ status: 'fail' })] })
  if (workflow === undefined) throw new Error('the sample has a workflow')
  const workflows = Array.from({ length: SHOWN_IN_FULL + 2 }, (_, index) => ({
    ...workflow,
    ...(index > SHOWN_IN_FULL ? { status: 'failed' as const, steps: [passed, failed] } : { steps: [passed] }),
  }))
  const page = html(sampleRecord({ workflows }))
  const shown = page.split('<details class="workflow"').slice(1)
  const calls = shown.map((one) => one.match(/What was on the wire(?= of|<|,)/g)?.length ?? 0)
  expect(calls).toEqual([...Array.from({ length: SHOWN_IN_FULL }, () => 1), 0, 1])
  expect(page).toContain(`of the first ${SHOWN_IN_FULL} workflows`)
  // Nothing else leads to what is not there.
  const ids = new Set(page.match(/(?<=\sid=")[^"]+/g))
  expect(linksOf(page).filter((href) => href.startsWith('#') && !ids.has(href.slice(1)))).toEqual([])
  expect(html(sampleRecord({ workflows: workflows.slice(0, SHOWN_IN_FULL) }))).not.toContain(
    'What was on the wire is shown',
  )
})

test('nothing that a hostile server answers becomes markup', () => {
  const page = html(hostileRecord())

  const allowed = new Set(tagsOf(html(everyOutcome())).map(({ name }) => name))
  expect(tagsOf(page).filter(({ name }) => !allowed.has(name))).toEqual([])
  expect(tagsOf(page).filter(({ name }) => name === 'script' || name === 'style')).toHaveLength(2)
  expect(tagsOf(page).filter(({ text }) => /\son\w+\s*=/.test(withoutValues(text)))).toEqual([])
  expect(linksOf(page).filter((href) => /^(?!#|https:)/.test(href))).toEqual([])
  expect(page).toContain('&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;')
  // What turns the direction of writing is shown by number.
  expect(page).not.toContain('\u202e')
  expect(page).not.toContain('\u0000')
  expect(page).toContain('\\u202e')
})

test('the list of runs escapes what it shows, and says what is wrong with a run', () => {
  const page = whole(
    runsPage(
      [
        {
          folder: '2026 "a"/<b>',
          facts: factsOf('2026 "a"/<b>', sampleRecord({ environment: { name: HOSTILE, class: 'uat', files: [] } })),
        },
        { folder: 'cut', problem: '"record.json" is cut' },
      ],
      [],
    ),
  )

  expect(tagsOf(page).filter(({ name }) => name === 'script' || name === 'img' || name === 'b')).toHaveLength(1)
  expect(page).toContain('href="2026%20%22a%22/%3Cb%3E/report.html"')
  expect(page).toContain('&quot;record.json&quot; is cut')
})

const failing = () => registration({ status: 'failed', checks: [check({ status: 'fail' })] })
const stopped = () =>
  registration({ status: 'errored', checks: [], error: { code: 'INTERRUPTED', message: 'stopped' } })

const mock = { environment: { name: 'mock', class: 'mock' as const, files: [] }, counterparty: 'twin' as const }

const ANSWERS: readonly (readonly [
  title: string,
  record: RunRecord,
  headline: string,
  lede: RegExp,
  reason: RegExp,
])[] = [
  ['a failed check', recordOf([failing()]), 'No', /1 failure, for 1 cause/, /expected the documented schema, got fits/],
  [
    'no verdict',
    recordOf([stopped()]),
    'Not known',
    /^Nothing failed, but \d+ mandatory requirements got no/,
    /stopped/,
  ],
  [
    'the offline twin',
    sampleRecord(mock),
    'Not from this run',
    /says nothing about Thredd\. Everything passed/,
    /never tested/,
  ],
  [
    'a failure on the twin',
    recordOf([failing()], mock),
    'Not from this run',
    /1 failure even there/,
    /documented schema/,
  ],
  [
    'a filtered run',
    sampleRecord({ leftOut: ['lifecycle'] }),
    'Not yet',
    /What ran has passed\. Open: .*not all flows ran/,
    /^PARTIAL: not all flows ran/,
  ],
  [
    'a record that does not say what was left out',
    sampleRecord({ leftOut: undefined }),
    'Not yet',
    /not all flows ran/,
    /^PARTIAL: the record does not say whether all flows ran/,
  ],
  [
    'requirements without a test',
    sampleRecord(),
    'Not yet',
    /\d+ mandatory requirements not tested, 6 confirmations awaited/,
    /that only Thredd or a person can confirm/,
  ],
  [
    'a run that waits for Thredd',
    { ...recordOf([stopped()]), exitCode: 4 },
    'Not yet',
    /Thredd has not set the metadata/,
    /stopped/,
  ],
]

test.for(ANSWERS)('may we go live? %s', ([, record, headline, lede, reason]) => {
  const { answer } = summaryOf(record)

  expect(answer).toMatchObject({ headline, lede: expect.stringMatching(lede) })
  expect(answer.reasons.map(({ text }) => text)).toContainEqual(expect.stringMatching(reason))
  expect(html(record)).toMatch(new RegExp(`<span class="headline \\w+">.*${headline}</span></h1>`))
})

test('yes needs every mandatory requirement, and says which of the accepted ones ends first', () => {
  const { ...head } = sampleRecord()
  const summary = summaryOf(head)
  const proven = summary.requirements.map((one) => ({ ...one, standing: 'pass' as const }))
  const [first, ...others] = proven as [JudgedRequirement, ...JudgedRequirement[]]
  const acceptance = { requirements: [], owner: 'the platform team', reason: 'later', until: '2026-02-01' }
  const accepted = { ...first, standing: 'accepted' as const, acceptance }
  const answer = (requirements: readonly JudgedRequirement[]) => answerOf(head, { ...summary, requirements })

  expect(answer(proven)).toMatchObject({
    headline: 'Yes',
    lede: expect.stringMatching(/^Every mandatory requirement is proven\./),
  })
  expect(answer([accepted, ...others])).toMatchObject({
    headline: 'Yes, with 1 accepted deviation',
    reasons: [
      { text: '1 requirement accepted as they are', detail: 'the first until 2026-02-01, by the platform team' },
    ],
  })
  const expired = endsOf(head, { certificates: [], requirements: [accepted], endedAt: '2026-03-01T00:00:00.000Z' })
  expect(expired[0]).toMatchObject({ kind: 'decision', at: '2026-02-01T23:59:59.999Z', days: -28 })
  expect(answerOf(head, { ...summary, requirements: proven, ends: expired })).toMatchObject({ headline: 'Not yet' })
})

test('each requirement is in one column, the rows add up, and every number leads to its rows', () => {
  for (const record of [sampleRecord(), everyOutcome(), recordOf([stopped()])]) {
    const { gate, requirements } = summaryOf(record)
    const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((all, one) => all + one, 0)
    expect(sum(gate.all.counts)).toBe(requirements.length)
    for (const column of COLUMNS)
      expect(gate.areas.reduce((all, { counts }) => all + counts[column], 0)).toBe(gate.all.counts[column])
    const page = html(record)
    for (const { area, counts } of gate.areas)
      for (const column of COLUMNS.filter((one) => counts[one] > 0)) {
        const [cell] =
          page.match(
            new RegExp(
              `<a href="#(area-[^"]+)" data-k="${column}" data-area="${area}"[^>]*>.*?<u>${counts[column]}</u>`,
            ),
          ) ?? []
        expect(cell).toBeDefined()
        const rows = new RegExp(`<details class="area" id="[^"]+" data-area="${area}".*?</details>`, 's').exec(
          page,
        )?.[0]
        expect([...(rows ?? '').matchAll(new RegExp(`<tr id="[^"]+" data-k="${column}"`, 'g'))]).toHaveLength(
          counts[column],
        )
      }
  }
})

test('findings with the same cause are one', () => {
  const refused = (stepId: string, trace: string) => {
    const one = exchange()
    const text = '{"error":"invalid_client_metadata","error_description":"no such scope"}'
    const response = {
      status: 400,
      headers: [['x-trace-id', trace] as [string, string]],
      body: { text, bytes: text.length },
    }
    const wrong = check({
      id: 'criterion 1',
      status: 'fail',
      title: '$statusCode == 201',
      member: 'status',
      expected: '201',
      actual: '400',
    })
    return registration({ stepId, status: 'failed', exchanges: [{ ...one, response }], checks: [wrong] })
  }
  const { causes, findings } = summaryOf(recordOf([refused('first', 'a'), refused('second', 'b'), failing()]))

  expect(findings).toHaveLength(3)
  expect(causes.map(({ title, count, steps }) => [title, count, steps.map(({ stepId }) => stepId)])).toEqual([
    ['POST /oauth2/register: expected status 201, got 400', 2, ['first', 'second']],
    [expect.any(String), 1, ['register']],
  ])
})

test('a registration without an answer is told in the overview, with the way out among the findings', () => {
  const { response: _, ...lost } = exchange()
  const error = { code: 'PEER_CLOSED', message: '"auth.example" closed the connection' }
  const record = recordOf([
    registration({ status: 'errored', checks: [], error, exchanges: [{ ...lost, sent: 'unknown', error }] }),
  ])

  expect(summaryOf(record).answer).toMatchObject({
    headline: 'Not known',
    reasons: expect.arrayContaining([
      expect.objectContaining({ text: '1 call may have registered or changed a client, and nobody knows' }),
    ]),
  })
  expect(summaryOf(record).findings).toMatchObject([{ next: 'thredd vault list says what is open, and the way out' }])
  expect(html(record)).toMatch(/<path class="lost"/)
  expect(html(sampleRecord())).not.toMatch(/<path class="lost"/)
})

test('a finding says which requirement is not met', () => {
  const title = "$response.body#/token_endpoint_auth_method == 'private_key_jwt'"
  const record = recordOf([
    registration({ status: 'failed', checks: [check({ id: 'criterion 1', status: 'fail', title })] }),
  ])

  expect(html(record)).toMatch(
    /<a href="#requirement-THREDD-DCR-3\.3\.2-07" title="token_endpoint_auth_method private_key_jwt is registered\.">THREDD-DCR-3\.3\.2-07<\/a>/,
  )
  expect(markdown(record)).toContain('  requirements: THREDD-DCR-3.3.2-07')
})

test('a requirement with many proofs names the worst and counts the rest', () => {
  const bad = registration({
    status: 'failed',
    checks: [check({ id: 'status', status: 'fail' }), check({ status: 'fail' })],
  })
  const page = html(recordOf([...Array.from({ length: 20 }, () => registration({ checks: [check()] })), bad]))
  const [row = ''] = /<tr id="requirement-THREDD-DCR-3\.3\.3-07".*?<\/tr>/.exec(page) ?? []

  expect(row).toContain('<a href="#step-1-21">register / register</a>')
  expect([...row.matchAll(/href="#step-/g)]).toHaveLength(1)
  expect(row).toContain('<a class="noprint" href="#by-step" aria-label="and 20 more steps">+20</a>')
})

test('what a person has to do stands in the overview: messages to Thredd, and what nobody checked', () => {
  const page = html(
    sampleRecord({
      given: [{ workflowId: 'read', name: 'registration', means: 'a client is registered', how: 'not checked' }],
      messagesToThredd: [
        {
          clientId: 'client-1',
          asks: 'set-metadata',
          at: '2026-01-02T03:04:05.000Z',
          text: 'Please set <the> metadata.',
        },
      ],
    }),
  )

  expect(page).toMatch(/<p><strong>read<\/strong>, given and not checked: a client is registered<\/p>/)
  expect(page).toMatch(
    /Message to Thredd about <span class="mono wrap">client-1<\/span>.*Please set &lt;the&gt; metadata\./,
  )
})

test('what ends soon is told: our certificates, and those of servers', () => {
  const [identity] = sampleRecord().identities
  const record = sampleRecord({
    identities: identity === undefined ? [] : [{ ...identity, notAfter: '2026-01-12T00:00:00.000Z' }],
  })
  const one = exchange()
  const server = one.tls?.server && { ...one.tls.server, validTo: '2026-01-04T12:00:00.000Z' }
  const short = recordOf([
    registration({ exchanges: [{ ...one, ...(one.tls && server && { tls: { ...one.tls, server } }) }] }),
  ])

  expect(summaryOf(record).answer.reasons).toContainEqual({
    column: 'not tested',
    text: 'certificate "transport" ends in 9 days',
    leads: 'certificates',
  })
  expect(html(record)).toMatch(
    /<tr class="warn"><th scope="row" class="wrap">Certificate &quot;transport&quot;.*9 days<\/td>/,
  )
  expect(summaryOf(short).answer.reasons.map(({ text }) => text)).toContain(
    'certificate of auth.example ends in 2 days',
  )
  expect(summaryOf(short).validUntil).toBe('2026-01-04T12:00:00.000Z')
})

test('a partial run says so in its title, its overview and the list of what was left out', () => {
  const page = html(sampleRecord({ leftOut: ['lifecycle'] }))

  expect(page).toContain('<title>PARTIAL · Not yet · uat')
  expect(page).toContain('<span class="stamp partial">PARTIAL</span>')
  expect(page).not.toContain('COMPLETE</span>')
  expect(page).toMatch(/not part of the run<\/dt><dd>lifecycle</)
})

test('what weakens the evidence is among the reasons, and leaves no yes', () => {
  const { security, tool, ...record } = sampleRecord()
  const weaknesses = [{ flag: 'CA_FILE', means: 'further authorities' }]
  const weak = { ...record, tool: { ...tool, dirty: true }, security: security && { ...security, weaknesses } }

  expect(html(weak)).toMatch(
    /<a href="#made">weakened evidence: changed files, CA_FILE<\/a><span class="more">the tool was run from files that differ from its commit; further authorities<\/span>/,
  )
  expect(html(weak)).toMatch(/<dt>weakened evidence<\/dt><dd><div><span class="mark fail">changed files</)
  expect(summaryOf(weak).answer).toMatchObject({
    headline: 'Not yet',
    lede: expect.stringMatching(/the evidence is weakened/),
  })
  expect(html(sampleRecord())).toMatch(/<dt>weakened evidence<\/dt><dd>by nothing/)
  expect(html({ ...record, tool })).toMatch(/<dt>weakened evidence<\/dt><dd>the record does not say/)
})

test('who holds each private key is said', () => {
  const { environment } = sampleRecord()
  const settings = [
    { name: 'TRANSPORT_KEY_FILE', value: 'transport.key', from: '.env.uat:3' },
    { name: 'SIGNING_COMMAND', value: 'sign-with-hsm', from: '.env.uat:4' },
    { name: 'IDENTITY_RENEWED_KEY', value: '[hidden]', from: 'THREDD_IDENTITY_RENEWED_KEY' },
  ]
  const page = html(sampleRecord({ environment: { ...environment, settings } }))

  expect(page).toContain('<strong>transport</strong>: read from the file <span class="mono">transport.key</span>')
  expect(page).toContain('<strong>signing</strong>: held by another program, which signs; this tool never had it')
  expect(page).toContain('<strong>renewed</strong>: given to the run as text')
})

test('a clock that is off weakens the evidence', () => {
  const late = exchange()
  const response = late.response && {
    ...late.response,
    headers: [['date', 'Fri, 02 Jan 2026 03:04:45 GMT'] as [string, string]],
  }

  expect(summaryOf(recordOf([registration({ exchanges: [{ ...late, response }] })])).weaknesses).toEqual([
    { flag: 'clock', means: 'the clock of this machine is off: 40 s to that of auth.example' },
  ])
  expect(summaryOf(sampleRecord()).weaknesses).toEqual([])
})

test('each endpoint says where it came from: a setting, an answer, or the flow', () => {
  const metadata = {
    token_endpoint: 'https://auth.example/oauth2/register',
    aliases: { other: 'https://elsewhere.example/x' },
  }
  const answering = (url: string, body: unknown) => {
    const one = exchange()
    const text = JSON.stringify(body)
    return {
      ...one,
      request: { ...one.request, url },
      response: { status: 200, headers: [], body: { text, bytes: text.length } },
    }
  }
  const { endpoints } = summaryOf(
    recordOf([
      registration({ stepId: 'discovery', exchanges: [answering('https://auth.example/.well-known', metadata)] }),
      registration(),
      registration({ stepId: 'elsewhere', exchanges: [answering('https://elsewhere.example/x', {})] }),
      registration({ stepId: 'typed', exchanges: [answering('https://typed.example/', {})] }),
    ]),
  )

  const configured = { source: 'authorization', from: '.env.uat:12' }
  expect(
    endpoints.map(({ named, ...rest }) => ({ ...rest, named: named && [named.member, named.step.stepId] })),
  ).toEqual([
    { method: 'POST', url: 'https://auth.example/.well-known', configured, named: undefined },
    {
      method: 'POST',
      url: 'https://auth.example/oauth2/register',
      configured,
      named: ['token_endpoint', 'discovery'],
    },
    {
      method: 'POST',
      url: 'https://elsewhere.example/x',
      configured: undefined,
      named: ['aliases.other', 'discovery'],
    },
    { method: 'POST', url: 'https://typed.example/', configured: undefined, named: undefined },
  ])
})

test('the inventory has every certificate and key with its type, size and days left', () => {
  const [identity] = sampleRecord().identities
  const [key] = sampleRecord().signingKeys ?? []
  const page = html(
    sampleRecord({ signingKeys: key && [{ ...key, certificate: identity && { ...identity, daysLeft: 12 } }] }),
  )

  expect(page).toMatch(/<dt>key<\/dt><dd>RSA 2048<\/dd>/)
  expect(page).toMatch(
    /<h3>Our signing key signing-1<\/h3>.*RSA 3072.*PS256, RS256.*NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs/,
  )
  expect(page).toContain('<span class="badge warn">12 days left</span>')
  expect(page).toMatch(
    /Server certificate<\/h3>.*shown by.*auth\.example.*EC P-256.*1 issuer up to the trusted root.*CN=Public CA/s,
  )
  expect(page).toContain('<div>192.0.2.7:443</div>')
  expect(page).toContain('<div>TLSv1.3, TLS_AES_256_GCM_SHA384, http/1.1</div>')
  expect(html(sampleRecord())).toContain('not known: SIGNING_CERT_FILE names it')
})

test('a step names what the other side can find it by', () => {
  const one = exchange()
  const response = one.response && {
    ...one.response,
    headers: [...one.response.headers, ['x-request-id', 'r-1'] as [string, string]],
  }

  expect(html(recordOf([registration({ exchanges: [{ ...one, response }] })]))).toContain(
    'To ask the other side about this call: <span class="mono">date: Fri, 02 Jan 2026 03:04:07 GMT</span>, <span class="mono">x-request-id: r-1</span>',
  )
})

test('findings come worst first, each with what it means and where it is', () => {
  const { findings } = summaryOf(everyOutcome())

  expect(
    findings.map(({ standing, title, means, next, turn, step }) => [standing, step?.stepId, title, means, next, turn]),
  ).toEqual([
    [
      'fail',
      'fails',
      'POST /oauth2/register: expected status 201, got 200',
      'a condition of the flow does not hold',
      'compare the answer in report.html with the line of the flow',
      'yours',
    ],
    [
      'inconclusive',
      'errs',
      '"auth.example" did not answer within 300 ms',
      'the answer did not come in time',
      expect.stringMatching(/^thredd vault list .*says what is open/),
      'yours',
    ],
    [
      'warn',
      'warns',
      'scopes: expected 2 scopes, got not granted: pin.read',
      'the server left out scopes that no role of the application covers',
      expect.stringMatching(/^set the role in Thredd CA/),
      'yours',
    ],
  ])
})

test('a step shows requested and granted scopes, expected beside found, and links to its clauses', () => {
  const page = html(everyOutcome())

  expect(page).toContain('<li class="fail">✗ not granted: pin.read</li>')
  expect(page).toContain('<li class="warn">! not requested: internal.read</li>')
  expect(page).toContain('<span>expected</span>201</div><div class="differs fail"><span>got</span>200</div>')
  expect(page).toContain('href="https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"')
  expect(page).toContain('client to authorization server, POST, status 201, fail.')
})

test('a JWT is shown once, decoded, and without its signature or that of a JWT within it', () => {
  const page = html(recordOf([registration(), registration({ stepId: 'again' })]))

  expect(page.match(/id="token-\d+"/g)).toEqual(['id="token-1"'])
  expect(page).toContain('<span class="title">software_statement (1)</span>')
  expect(page).toContain('iat 2026-11-23 14:10:26 UTC')
  expect(page).toContain('eyJhbGciOiJub25lIn0.eyJhIjoxfQ.[signature]')
  expect(page).not.toContain('c2lnbmF0dXJlLW9mLW5lc3RlZA')
})

test('the clients names each client and how it was left', () => {
  const manage = (stepId: 'read' | 'update' | 'delete', method: string, status: number) =>
    registration({
      stepId,
      operation: { source: 'authorization', operationId: stepId, method, path: '/' },
      effect: { planned: stepId, sent: stepId },
      exchanges: [
        exchange({
          request: { method, url: CONFIGURATION_URL, headers: [], body: { bytes: 0 } },
          response: { status, headers: [], body: { bytes: 0 } },
        }),
      ],
    })
  const outcomes = (...steps: Parameters<typeof recordOf>[0]) =>
    summaryOf(recordOf(steps)).clients.map(({ outcome, events }) => [outcome, events.map(({ what }) => what)])

  expect(outcomes(registration())).toEqual([['left registered', ['registered']]])
  expect(outcomes(registration(), manage('update', 'PUT', 200), manage('delete', 'DELETE', 204))).toEqual([
    ['deleted', ['registered', 'updated', 'deleted']],
  ])
  expect(outcomes(registration(), manage('delete', 'DELETE', 204), manage('read', 'GET', 401))).toEqual([
    ['deleted and found dead', ['registered', 'deleted', 'found dead (401)']],
  ])
  expect(outcomes(manage('delete', 'DELETE', 204))).toEqual([['deleted', ['deleted']]])
  const { response: _, ...lost } = exchange()
  expect(outcomes(registration({ status: 'errored', exchanges: [{ ...lost, sent: 'unknown' }] }))).toEqual([
    ['unknown', ['asked for, no answer']],
  ])
  // A refusal that was expected, as of a call with another's certificate.
  expect(outcomes(registration({ exchanges: [{ ...lost, sent: 'unknown' }] }))).toEqual([])
  expect(outcomes(registration({ exchanges: [{ ...lost, sent: 'no' }] }))).toEqual([])
})

test('the clock of a server is compared with ours', () => {
  const [host] = summaryOf(sampleRecord()).hosts

  // Date 03:04:07 is on average half a second old; the answer came at 03:04:05.200.
  expect(host).toMatchObject({ host: 'auth.example', calls: 1, clockOffsetSeconds: 2.3 })
})

test('a report may be quoted for three months, or until a certificate expires', () => {
  const [identity] = sampleRecord().identities
  const soon = identity === undefined ? [] : [{ ...identity, notAfter: '2026-02-01T00:00:00.000Z' }]

  expect(summaryOf(sampleRecord()).validUntil).toBe('2026-04-02T03:04:06.000Z')
  expect(summaryOf(sampleRecord({ identities: soon })).validUntil).toBe('2026-02-01T00:00:00.000Z')
  // It had expired before the run, which presented it to be refused.
  const past = identity === undefined ? [] : [{ ...identity, name: 'expired', notAfter: '2025-12-01T00:00:00.000Z' }]
  expect(summaryOf(sampleRecord({ identities: past })).validUntil).toBe('2026-04-02T03:04:06.000Z')
})

/** How a requirement stands in a report of one run. */
function requirementOf(record: RunRecord, id: string) {
  return summaryOf(record).requirements.find(({ requirement }) => requirement.id === id)
}

test('a requirement has the verdict of its worst check, and without one that ran it is not tested', () => {
  const standing = (record: RunRecord, id: string) => requirementOf(record, id)?.standing
  const with_ = (status: 'pass' | 'warn' | 'fail') =>
    recordOf([
      registration({
        status: status === 'fail' ? 'failed' : 'passed',
        checks: [check({ title: '$statusCode == 201', status })],
      }),
    ])

  expect(standing(with_('pass'), 'THREDD-DCR-3.3.2-05')).toBe('pass')
  expect(standing(with_('warn'), 'THREDD-DCR-3.3.2-05')).toBe('warn')
  expect(standing(with_('fail'), 'THREDD-DCR-3.3.2-05')).toBe('fail')
  expect(standing(recordOf([stopped()]), 'THREDD-DCR-3.3.2-05')).toBe('inconclusive')
  expect(standing(recordOf([]), 'THREDD-DCR-3.3.2-05')).toBe('not tested')
  expect(standing(with_('pass'), 'THREDD-DCR-3.3.2-03')).toBe('not tested')
  expect(standing(with_('pass'), 'THREDD-DCR-3.3.2-15')).toBe('review')
  expect(standing(with_('pass'), 'THREDD-DCR-3.3.3-02')).toBe('by design')
})

test('only a proof that was made decides: not another step, not another flow, not a check that merely names the row', () => {
  const standing = (step: ReturnType<typeof registration>, id = 'THREDD-DCR-3.3.2-05') =>
    requirementOf(recordOf([step]), id)?.standing

  expect(standing(registration())).toBe('pass')
  expect(standing(registration({ stepId: 'register/bad' }))).toBe('not tested')
  expect(standing(registration({ stepId: 'register-again' }))).toBe('not tested')
  expect(standing(registration({ checks: [check({ clauses: ['THREDD-DCR-3.3.2-05'] })] }))).toBe('not tested')
})

test('a skipped step proves nothing, and the report says why it was skipped', () => {
  const skipped = registration({
    status: 'skipped',
    because: 'step "software-statement" failed',
    exchanges: [],
    checks: [],
  })

  expect(requirementOf(recordOf([skipped]), 'THREDD-DCR-3.3.2-05')).toMatchObject({
    standing: 'not tested',
    because: '"register" was skipped: step "software-statement" failed',
  })
})

test('a refusal proves no success: a schema that the error fits is not the schema of the registration', () => {
  const { response, ...rest } = exchange()
  const refused = { ...rest, response: { ...(response ?? { headers: [], body: { bytes: 0 } }), status: 400 } }
  const checks = [check({ title: '$statusCode == 201', id: 'criterion 1', status: 'fail' }), check()]
  const record = recordOf([registration({ status: 'failed', exchanges: [refused], checks })])

  expect(requirementOf(record, 'REG-01')?.standing).toBe('fail')
  expect(requirementOf(record, 'THREDD-DCR-3.3.2-11')).toMatchObject({
    standing: 'not tested',
    because: '"register" was answered with 400, not 2xx',
  })
})

test('a member that does not fit the schema fails each requirement that the schema proves', () => {
  const checks = [check({ id: 'schema /client_id', title: '/client_id fits its schema', status: 'fail' })]

  expect(requirementOf(recordOf([registration({ status: 'failed', checks })]), 'THREDD-DCR-3.3.3-07')?.standing).toBe(
    'fail',
  )
})

test('each requirement is in the report, with the steps that decide it and the other way round', () => {
  const page = html(sampleRecord())

  for (const { id } of REQUIREMENTS) expect(page).toContain(`id="requirement-${id}"`)
  expect(page).toMatch(
    /id="requirement-THREDD-DCR-3\.3\.2-05" data-k="proven" data-level="must"><td class="verdict"><span class="badge pass">.*?<a href="#step-1-1">register \/ register<\/a>/,
  )
  expect(page).toMatch(
    /id="requirement-THREDD-DCR-3\.3\.2-03" data-k="not tested" data-level="must"><td class="verdict"><span class="badge warn">/,
  )
  expect(page).toMatch(
    /<th scope="row"><a href="#step-1-1">register \/ register<\/a><\/th><td>[^<]*THREDD-DCR-3\.3\.2-05/,
  )
})

test('a clause that is not in the table still leads somewhere', () => {
  expect(clauseOf('RFC9701-2.2.1')).toMatchObject({
    title: 'RFC 9701, section 2.2.1',
    href: 'https://www.rfc-editor.org/rfc/rfc9701.html#section-2.2.1',
  })
  expect(clauseOf('RFC7592-B').href).toBe('https://www.rfc-editor.org/rfc/rfc7592.html#appendix-B')
  expect(clauseOf('HOUSE-1')).toEqual({ id: 'HOUSE-1', title: 'HOUSE-1' })
})

const VARIABLES = {
  DCR_SOFTWARE_STATEMENT: 'the statement',
  DCR_ACCESS_TOKEN: 'the "token"',
  DCR_CLIENT_ASSERTION: 'the assertion',
  DCR_TRANSPORT_CERT_FILE: 'cert.pem',
  DCR_TRANSPORT_KEY_FILE: 'key.pem',
  DCR_IDENTITY_ROGUE_CERT_FILE: 'rogue.pem',
  DCR_IDENTITY_ROGUE_KEY_FILE: 'rogue.key',
  DCR_CA_FILE: 'ca.pem',
}

test('a copied curl command says the same to a shell, with secrets as variables', () => {
  const command = curl(exchange(), { identity: 'transport', ownAuthorities: true })

  expect(argumentsOf(command)).toEqual([
    '--request',
    'POST',
    'https://auth.example/oauth2/register?probe=1',
    '--cert',
    'cert.pem',
    '--key',
    'key.pem',
    '--cacert',
    'ca.pem',
    '--header',
    'accept: application/json',
    '--header',
    'content-type: application/json',
    '--header',
    'authorization: Bearer the "token"',
    '--data-raw',
    '{"scopes":["cards.read"],"software_statement":"the statement"}',
  ])
})

test('a form is a form again, another identity has its own variables, and a quote ends nothing', () => {
  const { tls: _, ...rest } = exchange()
  const text = JSON.stringify({
    client_assertion: 'eyJhbGciOiJFUzI1NiJ9.e30.[signature#00000000]',
    note: "it's $HOME `id` $(id)",
    scope: ['a', 'b'],
  })
  const command = curl(
    {
      ...rest,
      request: {
        method: 'POST',
        url: "https://auth.example/'$(id)",
        headers: [['content-type', 'application/x-www-form-urlencoded']],
        body: { text, bytes: 100_000, sha256: '33'.repeat(32), truncated: true },
      },
    },
    { identity: 'rogue', ownAuthorities: false },
  )

  expect(command.split('\n')[0]).toBe(`# the body is cut; it had 100000 bytes, sha256 ${'33'.repeat(32)}`)
  expect(argumentsOf(command)).toEqual([
    '--request',
    'POST',
    "https://auth.example/'$(id)",
    '--cert',
    'rogue.pem',
    '--key',
    'rogue.key',
    '--header',
    'content-type: application/x-www-form-urlencoded',
    '--data-urlencode',
    'client_assertion=the assertion',
    '--data-urlencode',
    "note=it's $HOME `id` $(id)",
    '--data-urlencode',
    'scope=a',
    '--data-urlencode',
    'scope=b',
  ])
})

test('no variable of the shell of the reader gets into a command', () => {
  const { request, ...rest } = exchange()
  const body = { text: '{"path":"[path#00000000]","home":"[home#00000000]"}', bytes: 10 }
  const command = curl({ ...rest, request: { ...request, body } }, { identity: 'none', ownAuthorities: false })

  expect(argumentsOf(command).at(-1)).toBe('{"path":"","home":""}')
})

/** What a real shell makes of the command. */
function argumentsOf(command: string): string[] {
  const shown = execFileSync('bash', ['-c', `curl() { printf '%s\\0' "$@"; }\n${command}`], {
    env: { ...VARIABLES, PATH: process.env.PATH, HOME: process.env.HOME },
  })
  return shown.toString().split('\0').slice(0, -1)
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

/** Start tags as a browser reads them; attribute values may hold ">". */
function tagsOf(page: string): { name: string; text: string }[] {
  const body = page.replace(/(<style>)[\s\S]*?(<\/style>)/, '$1$2').replace(/(<script>)[\s\S]*?(<\/script>)/, '$1$2')
  return [...body.matchAll(/<([a-z][\w-]*)(?:[^"'>]|"[^"]*"|'[^']*')*>/gi)].map(([text, name = '']) => ({
    name: name.toLowerCase(),
    text,
  }))
}

function withoutValues(tag: string): string {
  return tag.replace(/"[^"]*"|'[^']*'/g, '""')
}

function linksOf(page: string): string[] {
  return [...page.matchAll(/\s(?:href|action|src|xlink:href)="([^"]*)"/g)].map(([, href = '']) => href)
}
