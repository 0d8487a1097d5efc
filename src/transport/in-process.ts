/**
 * A transport without sockets: the request is answered by a function in this process, with the client certificate beside
 * it as a TLS server would see it. The same gate as over the network; refuses to know who answers.
 */
import type { X509Certificate } from 'node:crypto'
import type { Problem } from '../errors.ts'
import { type Gate, targetOf } from './target.ts'
import type { Delivery, Outgoing, SendOptions, Transport } from './transport.ts'

interface InProcessOptions extends Gate {
  answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
}

/** Differs from the network in one point: `Request` folds "." and ".." in a path, where TLS sends it byte for byte. */
export function inProcess(options: InProcessOptions): Transport {
  return {
    async send(request, sendOptions) {
      const { host, identity } = targetOf(request, sendOptions.identity, options)
      const startedAt = new Date()
      const start = performance.now()
      const outcome = await deliver(options, request, identity?.certificate, host, sendOptions)
      return { ...outcome, timing: { startedAt: startedAt.toISOString(), totalMs: performance.now() - start } }
    },
    async [Symbol.asyncDispose]() {},
  }
}

type Outcome = Delivery extends infer D
  ? D extends unknown
    ? Omit<D, 'timing' | 'tls' | 'sentHeaders'>
    : never
  : never

async function deliver(
  { answer }: InProcessOptions,
  request: Outgoing,
  certificate: X509Certificate | undefined,
  host: string,
  { signal, timeoutMs }: SendOptions,
): Promise<Outcome> {
  let message: Request
  try {
    message = new Request(request.url, {
      method: request.method,
      headers: request.headers.map(([name, value]) => [name, value] as [string, string]),
      redirect: 'manual',
      ...(request.body === undefined ? {} : { body: request.body }),
    })
  } catch {
    return failed('no', { code: 'INPUT_INVALID', message: `the request to "${host}" cannot be put into HTTP` })
  }
  if (signal.aborted) return failed('no', stopped(host))

  const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const ended = Promise.withResolvers<'ended'>()
  const end = () => ended.resolve('ended')
  bounded.addEventListener('abort', end, { once: true })
  try {
    const answered = answer(message, certificate).then(async (response) => ({
      response,
      body: response.type === 'error' ? new Uint8Array() : await response.bytes(),
    }))
    const outcome = await Promise.race([answered, ended.promise])
    if (outcome === 'ended') {
      answered.catch(() => {})
      return failed('unknown', signal.aborted ? stopped(host) : late(host, timeoutMs))
    }
    const { response, body } = outcome
    if (response.type === 'error') {
      return failed('unknown', {
        code: 'PEER_CLOSED',
        message: `"${host}" closed the connection without an answer`,
      })
    }
    return { kind: 'answered', answer: { status: response.status, headers: [...response.headers], body } }
  } finally {
    bounded.removeEventListener('abort', end)
  }
}

function failed(sent: 'no' | 'unknown', problem: Problem): Outcome {
  return { kind: 'failed', sent, problem }
}

function stopped(host: string): Problem {
  return { code: 'INTERRUPTED', message: `the request to "${host}" was stopped` }
}

function late(host: string, timeoutMs: number): Problem {
  return { code: 'TIMEOUT', message: `"${host}" did not answer within ${timeoutMs} ms` }
}
