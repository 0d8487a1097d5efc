/**
 * Asks the servers of an environment what they show without a change: whether each host can be reached, then what the flows
 * "discover" and "read-registration" find, and whether what is registered is what the configuration asks for.
 */
import type { Environment } from '../environment/index.ts'
import { keyId } from '../plan/index.ts'
import { readRoles, rolesIn, scopesOf } from '../plan/roles.ts'
import { enumerated, type Problem, ToolError } from '../record/errors.ts'
import { commandsFor } from '../record/hints.ts'
import type { Exchange, WorkflowRecord } from '../record/index.ts'
import { clockOffsetOf, MOST_OFFSET_SECONDS } from '../report/clock.ts'
import { headlineOf, type PlacedFinding } from '../report/findings.ts'
import { type Summary, summarise } from '../report/summary.ts'
import { count } from '../report/words.ts'
import type { Reached } from '../transport/transport.ts'
import type { Caller } from './caller.ts'
import { connect, proxyOf, usesTwin } from './connect.ts'
import { Credentials } from './credentials.ts'
import { type Examined, problemRow } from './examined.ts'
import { type RunRequest, run } from './index.ts'
import { askKeystore, userAgentOf } from './keystore.ts'

/** A server's certificate that ends within this many days is remarked on. */
const SERVER_NOTICE_DAYS = 14

/** One row a host, in the order of the settings; the hosts are asked at the same time. */
export async function examineHosts(
  environment: Environment,
  { proxy, signal = new AbortController().signal }: Pick<Caller, 'proxy' | 'signal'>,
): Promise<readonly Examined[]> {
  const sources = Map.groupBy([...environment.servers], ([, url]) => new URL(url).host)
  if (usesTwin(environment))
    return [
      { area: 'hosts', what: 'all', state: 'unknown', sentence: 'the embedded twin stands for them; none was asked' },
    ]
  const credentials = new Credentials(environment)
  const { value: loaded } = await credentials.identity('transport', true)
  const { value: authorities = [] } = await credentials.authorities()
  await using transport = connect(environment, {
    identities: new Map(loaded === undefined ? [] : [['transport', loaded.identity]]),
    authorities,
    proxy: proxyOf(proxy),
    counterparty: undefined,
  })
  const options = { timeoutMs: environment.timeoutMs, signal }
  return await Promise.all(
    [...sources].map(async ([host, named]): Promise<Examined> => {
      const identity = loaded === undefined ? 'none' : 'transport'
      try {
        const reached = await transport.reach?.(named[0]?.[1] ?? '', { identity, ...options })
        return {
          area: 'hosts',
          what: host,
          ...shown(
            reached,
            named.map(([source]) => source),
          ),
        }
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        return problemRow('hosts', host, error.problems[0])
      }
    }),
  )
}

function shown(
  reached: Reached | undefined,
  sources: readonly string[],
): Pick<Examined, 'state' | 'sentence' | 'remedy'> {
  const named = `for ${sources.join(', ')}`
  if (reached === undefined) return { state: 'unknown', sentence: named }
  if (reached.kind === 'failed') {
    const { state, sentence, remedy } = problemRow('hosts', '', reached.problem)
    return { state: isOfNetwork(reached.problem) ? 'unknown' : state, sentence: `${sentence}; ${named}`, remedy }
  }
  const { protocol, server, certificateRequested } = reached.tls
  const days = server && Math.floor((Date.parse(server.validTo) - Date.now()) / 86_400_000)
  const sentence = [
    `${protocol}`,
    server && `certificate until ${server.validTo.slice(0, 10)}, issued by ${server.issuer}`,
    certificateRequested ? 'asks for a client certificate' : 'asks for no client certificate',
    named,
  ].join('; ')
  return days !== undefined && days <= SERVER_NOTICE_DAYS
    ? { state: 'remark', sentence, remedy: `its certificate ends in ${count(days, 'day')}: tell Thredd` }
    : { state: 'good', sentence }
}

/** Whether the keystore lists the signing key: its kid and, unlike the flow "discover", the key itself. */
export async function examineKeystore(
  environment: Environment,
  { proxy, version, signal = new AbortController().signal }: Pick<Caller, 'proxy' | 'version' | 'signal'>,
): Promise<readonly Examined[]> {
  if (usesTwin(environment)) return []
  const credentials = new Credentials(environment)
  const alg = String(environment.setting('signing_alg')?.value)
  const { value: key } = await credentials.signingKey({ key: 'current', alg })
  const { value: authorities = [] } = await credentials.authorities()
  const softwareId = environment.setting('software_id')?.value
  if (key === undefined || typeof softwareId !== 'string') return []
  await using transport = connect(environment, {
    ...{ identities: new Map(), authorities, proxy: proxyOf(proxy), counterparty: undefined },
  })
  const listing = await askKeystore({
    ...{ environment, softwareId, which: 'current', transport, signal },
    survey: { signing: { keys: new Map([[keyId({ key: 'current', alg }), key]]) }, identities: new Map() },
    userAgent: userAgentOf(version),
  })
  if (listing === undefined) return []
  const row = { area: 'servers', what: 'keystore' } as const
  if (listing.is === 'listed')
    return [{ ...row, state: 'good', sentence: `lists the signing key, under kid ${key.kid}` }]
  return [
    {
      ...row,
      state: listing.is === 'missing' ? 'wrong' : 'unknown',
      sentence: listing.because,
      remedy:
        listing.is === 'missing'
          ? `set SIGNING_KID and SIGNING_KEY_FILE in ${environment.localFile} to those of one certificate in Thredd CA > App Certificates`
          : / answered /.test(listing.because)
            ? `is SERVER_KEYSTORE the keystore? What answers there: ${answersOf('discover', environment)}`
            : undefined,
    },
  ]
}

/** Prints each answer of a flow that changes nothing. */
function answersOf(flow: string, { flags }: Pick<Environment, 'flags'>): string {
  return `${commandsFor(flags)('runNamed', { flow })} -v`
}

/** What a later attempt may find otherwise: it says nothing about the configuration. */
function isOfNetwork({ code }: Problem): boolean {
  return !['TLS_SERVER_UNTRUSTED', 'HOST_NOT_ALLOWED', 'IDENTITY_MISSING'].includes(code)
}

/** What a flow found: one row a cause, and one that the rest is as configured. */
export async function examineByFlow(
  request: RunRequest,
  caller: Caller,
  { area, environment }: { readonly area: 'servers' | 'registration'; readonly environment: Environment },
): Promise<{ readonly rows: readonly Examined[]; readonly exchanges: readonly Exchange[] }> {
  let summary: Summary | undefined
  let workflows: readonly WorkflowRecord[] = []
  const { file } = await run(request, {
    ...caller,
    onFinished: (head, finished) => {
      workflows = [...finished]
      summary = summarise(head, workflows)
    },
  })
  const { causes = [], steps = [] } = summary ?? {}
  const flow = request.selection[0]?.workflow.workflowId ?? ''
  const good = steps.filter(({ standing }) => standing === 'pass' || standing === 'warn').length
  const urlOf = ([workflow, step]: readonly [number, number] = [-1, -1]) =>
    workflows[workflow]?.steps[step]?.exchanges[0]?.request.url
  const rows = causes.map(
    (finding): Examined => ({
      area,
      what: finding.step?.stepId ?? flow,
      state: ({ fail: 'wrong', warn: 'remark', inconclusive: 'unknown' } as const)[finding.standing],
      sentence: headlineOf(finding),
      remedy: remedyIn(environment, finding, urlOf(finding.step?.position) ?? '', flow),
    }),
  )
  const sentence = `${good} of ${count(steps.length, 'step')} as configured; ${file}`
  return {
    rows: [...(good === 0 ? [] : [{ area, what: flow, state: 'good', sentence } as const]), ...rows],
    exchanges: workflows.flatMap(({ steps: all }) => all.flatMap((step) => step.exchanges)),
  }
}

/** In place of a report, which a person at the console has not open: the setting that names the server, and its answer. */
function remedyIn(environment: Environment, { next }: PlacedFinding, url: string, flow: string): string {
  if (!next.includes('report.html')) return next
  const fitting = [...environment.servers].filter(([, base]) => url.startsWith(base))
  const longest = Math.max(...fitting.map(([, base]) => base.length))
  const [first, ...others] = fitting.filter(([, base]) => base.length === longest)
  const names = [first, ...others].map((one) => `SERVER_${one?.[0].toUpperCase()}`)
  const subject =
    first === undefined
      ? ''
      : `${others.length === 0 ? 'is' : 'are'} ${enumerated(names)} (${first[1]}) the right address? `
  return `${subject}The whole answer: ${answersOf(flow, environment)}`
}

/** The clock of this machine against the Date of each answer; a difference makes assertions expired or of the future. */
export function clockRow(exchanges: readonly Exchange[]): Examined {
  const offsets = exchanges.flatMap((exchange) => clockOffsetOf(exchange) ?? [])
  const [worst] = offsets.toSorted((one, other) => Math.abs(other) - Math.abs(one))
  if (worst === undefined)
    return { area: 'clock', what: 'this machine', state: 'unknown', sentence: 'no server gave its time' }
  const seconds = Math.round(Math.abs(worst))
  return Math.abs(worst) <= MOST_OFFSET_SECONDS
    ? { area: 'clock', what: 'this machine', state: 'good', sentence: `agrees with ${count(offsets.length, 'answer')}` }
    : {
        area: 'clock',
        what: 'this machine',
        state: 'wrong',
        sentence: `${count(seconds, 'second')} ${worst < 0 ? 'ahead of' : 'behind'} a server`,
        remedy: 'set it by a time server: assertions are refused that seem expired or of the future',
      }
}

/** What the server holds of the client, member by member against what a registration from here would ask for. */
export async function driftRows(
  client: Readonly<Record<string, unknown>>,
  environment: Environment,
  folders: readonly string[],
): Promise<readonly Examined[]> {
  const command = commandsFor(environment.flags)
  const row = (what: string, wrong: string | undefined, good: string, remedy: string): Examined =>
    wrong === undefined
      ? { area: 'registration', what, state: 'good', sentence: good }
      : { area: 'registration', what, state: 'wrong', sentence: wrong, remedy }
  const registered = wordsOf(client.scopes ?? client.scope)
  const wanted = await scopesWanted(environment, folders)
  const rows: Examined[] = []
  if (wanted === undefined)
    rows.push({
      area: 'registration',
      what: 'scopes',
      state: 'unknown',
      sentence: `${count(registered.length, 'scope')} registered: ${enumerated(registered)}; neither ROLES nor SCOPES says what there should be`,
      remedy: `write ROLES=… into ${environment.localFile}`,
    })
  else {
    const lacking = wanted.filter((scope) => !registered.includes(scope))
    const more = registered.filter((scope) => !wanted.includes(scope))
    rows.push(
      row(
        'scopes',
        lacking.length === 0 ? undefined : `not registered: ${enumerated(lacking)}`,
        `all ${wanted.length} that are wanted are registered`,
        command('update'),
      ),
    )
    if (more.length > 0)
      rows.push({
        area: 'registration',
        what: 'scopes',
        state: 'remark',
        sentence: `registered beyond ROLES or SCOPES: ${enumerated(more)}`,
        remedy: command('update'),
      })
  }
  const method = client.token_endpoint_auth_method
  rows.push(
    row(
      'authentication',
      method === 'private_key_jwt'
        ? undefined
        : `token_endpoint_auth_method is ${JSON.stringify(method)}; the flows sign`,
      'token_endpoint_auth_method is private_key_jwt, as the flows sign',
      command('recreate'),
    ),
  )
  const algorithm = client.token_endpoint_auth_signing_alg
  const signs = environment.setting('signing_alg')?.value
  if (typeof algorithm === 'string' && algorithm !== '')
    rows.push(
      row(
        'algorithm',
        algorithm === signs ? undefined : `registered for ${algorithm}, and SIGNING_ALG is ${String(signs)}`,
        `registered for ${algorithm}, which is SIGNING_ALG`,
        `set SIGNING_ALG=${algorithm} in ${environment.localFile}`,
      ),
    )
  return rows
}

function wordsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.filter((one) => typeof one === 'string')
  return typeof value === 'string' ? value.split(/\s+/).filter((one) => one !== '') : []
}

async function scopesWanted(environment: Environment, folders: readonly string[]) {
  const scopes = environment.setting('scopes')?.value
  if (typeof scopes === 'string') return scopes.split(/[\s,]+/).filter((one) => one !== '')
  const roles = rolesIn(environment.setting('roles')?.value)
  return roles === undefined ? undefined : scopesOf(roles, await readRoles(folders))
}
