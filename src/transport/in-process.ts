/**
 * A transport without sockets: a function in this process answers, and is given the client certificate as a TLS server would see
 * it. Allowed hosts, limits and failures are the same as over the network.
 */
import type { X509Certificate } from 'node:crypto'
import { failureOf, GaveUp, type Situation } from './failure.ts'
import { type Gate, type Target, targetOf } from './target.ts'
import type { Answer, Delivery, Outgoing, SendOptions, Transport } from './transport.ts'

interface InProcessOptions extends Gate {
  /** A response of `type` "error", or a body that fails, is treated as a connection that ends. */
  answer(request: Request, certificate: X509Certificate | undefined): Promise<Response>
  readonly maxBodyBytes: number
}

/** One difference to the network: `Request` resolves "." and ".." in a path, which otherwise is sent byte for byte. */
export function inProcess(options: InProcessOptions): Transport {
  return {
    async send(request, sendOptions) {
      const target = targetOf(request, sendOptions.identity, options)
      const startedAt = new Date()
      const start = performance.now()
      const outcome = await deliver(options, request, target, sendOptions)
      return { ...outcome, timing: { startedAt: startedAt.toISOString(), totalMs: performance.now() - start } }
    },
    async [Symbol.asyncDispose]() {},
  }
}

type Outcome = Delivery extends infer D ? (D extends unknown ? Omit<D, 'timing' | 'tls'> : never) : never

async function deliver(
  { answer, maxBodyBytes }: InProcessOptions,
  request: Outgoing,
  { host, identity }: Target,
  { signal, cut, timeoutMs }: SendOptions,
): Promise<Outcome> {
  const failed = (error: unknown, stage: Situation['stage']): Outcome => {
    const situation = { host, identity, stage, reused: false, now: new Date(), timeoutMs, maxBodyBytes }
    return { kind: 'failed', ...failureOf(error, situation) }
  }
  let message: Request
  try {
    message = new Request(request.url, {
      method: request.method,
      headers: request.headers.map(([name, value]) => [name, value] as [string, string]),
      redirect: 'manual',
      ...(request.body === undefined ? {} : { body: request.body }),
    })
  } catch {
    const problem = { code: 'INPUT_INVALID', message: `the request to "${host}" cannot be put into HTTP` } as const
    return { kind: 'failed', sent: 'no', problem }
  }
  if (signal.aborted) return failed(new GaveUp('interrupted'), 'connecting')

  // Here a request has been sent as soon as it is begun.
  const stop = cut ?? signal
  const bounded = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)])
  const ended = Promise.withResolvers<GaveUp>()
  const end = () => ended.resolve(new GaveUp(stop.aborted ? 'interrupted' : 'timeout'))
  bounded.addEventListener('abort', end, { once: true })
  try {
    const answered = answer(message, identity?.certificate)
    const response = await Promise.race([answered, ended.promise])
    if (response instanceof GaveUp) {
      answered.catch(() => {})
      return failed(response, 'sent')
    }
    if (response.type === 'error') return failed(new Error('no answer'), 'sent')
    const received = receive(response, maxBodyBytes).catch((error: Error) => error)
    const result = await Promise.race([received, ended.promise])
    return result instanceof Error ? failed(result, 'answering') : { kind: 'answered', answer: result }
  } finally {
    bounded.removeEventListener('abort', end)
  }
}

/** Rejects with GaveUp for a body that is too large, and with its own error for one that fails. */
async function receive({ status, headers, body }: Response, maxBodyBytes: number): Promise<Answer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    // Leaving the loop cancels the rest.
    if (size > maxBodyBytes) throw new GaveUp('too-large')
    chunks.push(chunk)
  }
  return { status, headers: [...headers], body: Buffer.concat(chunks) }
}
