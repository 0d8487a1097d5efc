/** Records to make reports of: one with every outcome, one whose servers are hostile, one that is long. */
import { parseArgs } from 'node:util'
import type { Invocation } from '../../src/front/cli/command.ts'
import {
  type CheckRecord,
  type Exchange,
  RECORD_VERSION,
  type RunRecord,
  type StepRecord,
} from '../../src/record/index.ts'
import { githubAnnotations, gitlabCodeQuality } from '../../src/report/annotations.ts'
import { FORMATS } from '../../src/report/index.ts'
import { type ReportedRun, reportedRun, type Summary } from '../../src/report/summary.ts'

export const SIGNED = {
  header: { alg: 'PS256', kid: 'signer' },
  claims: {
    iss: 'thredd sandbox SSA issuer',
    iat: 1_795_443_026,
    nested: 'eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJlLW9mLW5lc3RlZA',
  },
}
/** As the redactor leaves a JWT: without its signature. */
export const TOKEN = `${encoded(SIGNED.header)}.${encoded(SIGNED.claims)}.[software_statement#0123abcd]`

/** What a hostile server may answer, wherever it may put text. */
export const HOSTILE =
  '</script><script>alert(1)</script>"\'><img src=x onerror=alert(2)><svg/onload=alert(3)>--><!--]]>{{7*7}}`x` \u202ertl\u0000|<b>&amp;</b> @everyone [x](javascript:alert(4))'

export function sampleRecord(overrides: Partial<RunRecord> = {}): RunRecord {
  return {
    recordVersion: RECORD_VERSION,
    runId: '019a0000-0000-7000-8000-000000000001',
    tool: { name: 'thredd-dcr', version: '1.2.3', node: '24.0.0', openssl: '3.5.0', platform: 'linux-x64' },
    environment: {
      name: 'uat',
      class: 'uat',
      files: ['.env.uat'],
      servers: [{ source: 'authorization', url: 'https://auth.example', from: '.env.uat:12' }],
      settings: [{ name: 'SIGNING_ALG', value: 'PS256', from: 'default' }],
      settingsSha256: '56'.repeat(32),
    },
    leftOut: [],
    counterparty: 'network',
    startedAt: '2026-01-02T03:04:05.000Z',
    durationMs: 1000,
    identities: [
      {
        name: 'transport',
        subject: 'CN=b9f04639',
        issuer: 'CN=Issuing CA',
        serial: '01',
        sha256: 'ab'.repeat(32),
        notBefore: '2025-06-01T00:00:00.000Z',
        notAfter: '2026-12-01T00:00:00.000Z',
        daysLeft: 333,
        key: { kind: 'RSA 2048', spkiSha256: '12'.repeat(32) },
      },
    ],
    signingKeys: [
      {
        kid: 'signing-1',
        algorithms: ['PS256', 'RS256'],
        key: { kind: 'RSA 3072', spkiSha256: '34'.repeat(32) },
        thumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
      },
    ],
    security: { minTlsVersion: 'TLSv1.2', ownAuthorities: false, proxy: false, authorities: [], weaknesses: [] },
    warnings: [],
    workflows: [
      {
        workflowId: 'register',
        summary: 'Register an application',
        flow: { file: 'flows/register.arazzo.yaml', sha256: 'cd'.repeat(32), title: 'Register' },
        effect: 'register',
        safety: 'B',
        clauses: ['THREDD-DCR-3.3.2', 'RFC7591-3.1'],
        notice: 'Contact Thredd now.',
        status: 'passed',
        inputs: [{ name: 'client_id', source: '.env.uat', value: 'https://rp.example/1' }],
        steps: [registration()],
        outputs: {},
        startedAt: '2026-01-02T03:04:05.000Z',
        durationMs: 900,
      },
    ],
    redaction: { rules: 'v1', secretsKnown: 4 },
    verdict: 'conformant',
    exitCode: 0,
    ...overrides,
  }
}

/** The sample with other steps, which is where most reports differ. */
export function recordOf(steps: readonly StepRecord[], overrides: Partial<RunRecord> = {}): RunRecord {
  const record = sampleRecord(overrides)
  const [workflow] = record.workflows
  if (workflow === undefined) throw new Error('the sample has a workflow')
  const failed = steps.some(({ status }) => status === 'failed')
  const errored = steps.some(({ status }) => status === 'errored')
  const status = failed ? 'failed' : errored ? 'errored' : 'passed'
  return {
    ...record,
    workflows: [{ ...workflow, status, steps: [...steps] }],
    verdict: failed ? 'non-conformant' : errored ? 'inconclusive' : 'conformant',
    exitCode: failed ? 1 : errored ? 3 : 0,
    ...overrides,
  }
}

export function registration(overrides: Partial<StepRecord> = {}): StepRecord {
  return {
    stepId: 'register',
    description: '2.3 Dynamic Client Registration',
    at: { file: 'flows/register.arazzo.yaml', line: 170, column: 9 },
    status: 'passed',
    operation: { source: 'authorization', operationId: 'registerClient', method: 'POST', path: '/oauth2/register' },
    effect: { planned: 'register', sent: 'register' },
    identity: 'transport',
    startedAt: '2026-01-02T03:04:05.100Z',
    durationMs: 250,
    exchanges: [exchange()],
    checks: [
      check({ id: 'status', title: 'the status is a documented one', expected: 'one of 201, 400', actual: '201' }),
      check({ id: 'criterion 1', title: '$statusCode == 201', clauses: ['RFC7591-3.2.1'] }),
    ],
    outputs: {},
    ...overrides,
  }
}

export function check(overrides: Partial<CheckRecord> = {}): CheckRecord {
  return {
    id: 'schema',
    status: 'pass',
    level: 'must',
    clauses: [],
    title: 'the body fits its schema',
    expected: 'the documented schema',
    actual: 'fits',
    ...overrides,
  }
}

export const CONFIGURATION_URL = 'https://auth.example/oauth2/register/https://rp.example/1'

export function exchange(overrides: Partial<Exchange> = {}): Exchange {
  const request = JSON.stringify({ scopes: ['cards.read'], software_statement: TOKEN }, null, 2)
  const response = JSON.stringify(
    {
      client_id: 'https://rp.example/1',
      registration_access_token: '[registration_access_token#89abcdef]',
      registration_client_uri: CONFIGURATION_URL,
    },
    null,
    2,
  )
  return {
    request: {
      method: 'POST',
      url: 'https://auth.example/oauth2/register?probe=1',
      headers: [
        ['accept', 'application/json'],
        ['content-type', 'application/json'],
        ['authorization', 'Bearer [access_token#0a0b0c0d]'],
      ],
      body: { text: request, bytes: request.length, sha256: '11'.repeat(32) },
    },
    response: {
      status: 201,
      headers: [
        ['content-type', 'application/json'],
        ['date', 'Fri, 02 Jan 2026 03:04:07 GMT'],
      ],
      body: { text: response, bytes: response.length, sha256: '22'.repeat(32) },
    },
    sent: 'yes',
    tls: {
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      alpn: 'http/1.1',
      address: '192.0.2.7',
      port: 443,
      server: {
        subject: 'CN=auth.example',
        issuer: 'CN=Public CA',
        sha256: 'ef'.repeat(32),
        validTo: '2026-06-01T00:00:00.000Z',
        key: { kind: 'EC P-256', spkiSha256: '78'.repeat(32) },
      },
      chain: [
        {
          subject: 'CN=Public CA',
          issuer: 'CN=Public CA',
          sha256: '9a'.repeat(32),
          validTo: '2030-06-01T00:00:00.000Z',
        },
      ],
      configured: { identity: 'transport', sha256: 'ab'.repeat(32) },
    },
    timing: { startedAt: '2026-01-02T03:04:05.100Z', connectMs: 40, firstByteMs: 60, totalMs: 120 },
    ...overrides,
  }
}

/** Every outcome of a step once. */
export function everyOutcome(): RunRecord {
  const { error: _, response: __, ...lost } = exchange()
  return recordOf([
    registration({ stepId: 'passes' }),
    registration({
      stepId: 'warns',
      checks: [
        check({
          id: 'scopes',
          status: 'warn',
          level: 'policy',
          title: 'the granted scopes are the requested ones',
          member: 'scopes',
          expected: '2 scopes',
          actual: 'not granted: pin.read',
        }),
      ],
      scopes: {
        requested: ['cards.read', 'pin.read'],
        granted: ['cards.read', 'internal.read'],
        missing: ['pin.read'],
        unrequested: ['internal.read'],
      },
    }),
    registration({
      stepId: 'fails',
      status: 'failed',
      checks: [
        check(),
        check({
          id: 'criterion 1',
          status: 'fail',
          title: '$statusCode == 201',
          member: 'status',
          expected: '201',
          actual: '200',
          clauses: ['RFC7591-3.2.1'],
        }),
      ],
    }),
    registration({
      stepId: 'errs',
      status: 'errored',
      checks: [],
      error: { code: 'TIMEOUT', message: '"auth.example" did not answer within 300 ms', hint: 'raise TIMEOUT_MS' },
      exchanges: [{ ...lost, sent: 'unknown', error: { code: 'TIMEOUT', message: 'no answer' } }],
    }),
    registration({
      stepId: 'waits',
      status: 'skipped',
      because: 'step "errs" had no verdict',
      checks: [],
      exchanges: [],
      durationMs: 0,
    }),
  ])
}

/** Every text that a server or a file had a say in is hostile. */
export function hostileRecord(text = HOSTILE): RunRecord {
  return spoilt(everyOutcome(), text) as RunRecord
}

const KEPT =
  /^(recordVersion|runId|number|status|level|standing|verdict|class|counterparty|sent|effect|startedAt|notBefore|notAfter|validTo|sha256|code)$/

/** The value with the hostile text in each of its texts that servers and files may choose. */
export function spoilt(value: unknown, hostile: string, name = ''): unknown {
  if (typeof value === 'string')
    return KEPT.test(name) ? value : name === 'url' ? `https://auth.example/?${hostile}` : `${hostile}${value}`
  if (Array.isArray(value)) return value.map((item) => spoilt(item, hostile, name))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, spoilt(member, hostile, key)]))
}

export function longRecord(steps: number): RunRecord {
  return recordOf(Array.from({ length: steps }, (_, index) => registration({ stepId: `step-${index + 1}` })))
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const OPTIONS = {
  format: { type: 'string', multiple: true },
  reports: { type: 'string' },
  out: { type: 'string' },
  compare: { type: 'string' },
  index: { type: 'boolean' },
  pack: { type: 'string' },
  key: { type: 'string' },
  signer: { type: 'string' },
} as const

/** What the command line makes of these arguments. */
export function asked(...args: string[]): Invocation {
  const { values, positionals: words } = parseArgs({ args, options: OPTIONS, allowPositionals: true })
  const texts = (flag: string) =>
    [values[flag as keyof typeof values] ?? []].flat().filter((one) => typeof one === 'string')
  return {
    words,
    has: (flag) => values[flag as keyof typeof values] === true,
    texts,
    text: (flag) => texts(flag).at(-1),
    pairs: () => new Map(),
  }
}

/** Reports as a reader has them: whole. */
export const [html, markdown, junit, ctrf, har] = (['html', 'md', 'junit', 'ctrf', 'har'] as const).map(
  (name) => (record: RunRecord) => whole(FORMATS[name].convert(reported(record))),
) as [Whole, Whole, Whole, Whole, Whole]

type Whole = (record: RunRecord) => string

export function github({ workflows, ...head }: RunRecord): string[] {
  return githubAnnotations(head, workflows)
}

export const gitlab: Whole = ({ workflows, ...head }) => whole(gitlabCodeQuality(head, workflows))

export function reported({ workflows, ...head }: RunRecord): ReportedRun {
  return reportedRun(head, workflows)
}

export function summaryOf(record: RunRecord): Summary {
  return reported(record).summary
}

export function whole(pieces: Iterable<string>): string {
  return [...pieces].join('')
}
