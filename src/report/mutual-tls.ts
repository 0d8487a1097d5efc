/**
 * Where a run has proven mutual TLS. That a client certificate was configured proves nothing: a server need not ask for it.
 * Proof is a control, the same host having refused a call because it came without the certificate, or a token that the host
 * issued and that is bound to the certificate (RFC 8705 section 3.1).
 */
import { decode } from '../identity/jwt.ts'
import type { Exchange, StepRecord, WorkflowRecord } from '../record/index.ts'

/** What is proven is said in these words, by the step that proves it. */
type Proof =
  | `step "${string}" was refused without the certificate`
  | `the token of step "${string}" is bound to it (cnf)`

interface Seen {
  /** an answer came over a connection with a certificate, for which the server had asked */
  answered: boolean
  refused?: Proof
  token?: Proof
}

/** Of each host for which it is proven, by what. Order: as the hosts were first called. */
export class MutualTls {
  readonly #hosts = new Map<string, Seen>()

  add({ steps }: WorkflowRecord): void {
    for (const step of steps) {
      for (const exchange of step.exchanges) this.#addExchange(exchange, step)
      const { host } = URL.parse(step.exchanges.at(-1)?.request.url ?? '') ?? {}
      if (host !== undefined && isRefusedByRule(step, steps)) this.#seen(host).refused ??= refusedIn(step)
    }
  }

  get proven(): ReadonlyMap<string, Proof> {
    const proofs = [...this.#hosts].map(
      ([host, { answered, refused, token }]) => [host, token ?? (answered ? refused : undefined)] as const,
    )
    return new Map(proofs.flatMap(([host, proof]) => (proof === undefined ? [] : [[host, proof] as const])))
  }

  #addExchange(exchange: Exchange, step: StepRecord): void {
    const { request, response, tls, error } = exchange
    const { host } = URL.parse(request.url) ?? {}
    if (host === undefined) return
    const seen = this.#seen(host)
    const configured = step.identity === 'none' ? undefined : tls?.configured
    if (configured !== undefined && response !== undefined) {
      if (tls?.certificateRequested === true) seen.answered = true
      if (isBound(response, configured)) seen.token ??= `the token of step "${step.stepId}" is bound to it (cnf)`
    }
    if (step.identity === 'none' && error?.code === 'TLS_CLIENT_REFUSED') seen.refused ??= refusedIn(step)
  }

  #seen(host: string): Seen {
    const known = this.#hosts.get(host) ?? { answered: false }
    this.#hosts.set(host, known)
    return known
  }
}

/** One sentence for each host, as console and report print it. */
export function provenInWords({ proven }: MutualTls): readonly string[] {
  return [...proven].map(([host, proof]) => `over mutual TLS with ${host} (proven by: ${proof})`)
}

function refusedIn({ stepId }: StepRecord): Proof {
  return `step "${stepId}" was refused without the certificate`
}

/** A 4xx may have any cause: it counts as one of a table of cases whose unaltered request passed with a certificate. */
function isRefusedByRule(step: StepRecord, all: readonly StepRecord[]): boolean {
  const { identity, alterations = [], checks } = step
  const table = step.case?.of
  if (identity !== 'none' || table === undefined || alterations.length > 0) return false
  if (!checks.some(({ id, status }) => id === 'refused' && status === 'pass')) return false
  const status = step.exchanges.at(-1)?.response?.status
  const hostOf = (one: StepRecord) => URL.parse(one.exchanges.at(-1)?.request.url ?? '')?.host
  const isControl = (one: StepRecord) =>
    one.case?.of === table && one.case.control && one.status === 'passed' && one.identity !== 'none'
  return status !== undefined && all.some((one) => isControl(one) && hostOf(one) === hostOf(step))
}

type Answer = NonNullable<Exchange['response']>
type Configured = NonNullable<NonNullable<Exchange['tls']>['configured']>

/** Whether the answer is a token that is bound to this certificate. */
function isBound({ status, body }: Answer, { sha256 }: Configured): boolean {
  if (status >= 300) return false
  const token = accessToken(body.text)
  const cnf = token === undefined ? undefined : decode(token)?.payload.cnf
  if (typeof cnf !== 'object' || cnf === null || !('x5t#S256' in cnf)) return false
  return cnf['x5t#S256'] === Buffer.from(sha256, 'hex').toString('base64url')
}

function accessToken(text = ''): string | undefined {
  try {
    const { access_token: token } = JSON.parse(text) as { readonly access_token?: unknown }
    return typeof token === 'string' ? token : undefined
  } catch {
    return undefined
  }
}
