/**
 * Answers with a body of known length. A Response is made of one only where other code reads it: making its stream and its
 * headers, and reading both again, takes longer than everything else in a request.
 */

export type Headings = Readonly<Record<string, string>>

/** An answer of a documented server. */
export class Answer {
  readonly status: number
  readonly headings: Headings
  /** null where the status allows none, or the server sends none */
  readonly body: Buffer<ArrayBuffer> | null

  constructor(status: number, headings: Headings, body: Buffer<ArrayBuffer> | null) {
    this.status = status
    this.headings = headings
    this.body = body
  }
}

export function json(body: unknown, status = 200, headers: Headings = {}): Answer {
  return text(JSON.stringify(body), status, { 'content-type': 'application/json', ...headers })
}

/** A body with the content type that `headers` name. */
export function text(content: string, status: number, headers: Headings): Answer {
  const body = Buffer.from(content)
  return new Answer(status, { ...headers, 'content-length': String(body.length) }, body)
}

export function empty(status: number, headers: Headings = {}): Answer {
  // RFC 9110 8.6: to a request that has no content for a reason of its own, no length is sent.
  const length = status === 204 || status === 304 ? {} : { 'content-length': '0' }
  return new Answer(status, { ...headers, ...length }, null)
}

/** The same answer with one more header. */
export function withHeading({ status, headings, body }: Answer, name: string, value: string): Answer {
  return new Answer(status, { ...headings, [name]: value }, body)
}

/** The answer as any other code expects it; to HEAD without its body (RFC 9110 9.3.2). */
export function whole(answer: Answer | Response, method = 'GET'): Response {
  const isHead = method === 'HEAD'
  if (answer instanceof Answer) {
    const { status, headings: headers, body } = answer
    return new Response(isHead ? null : body, { status, headers })
  }
  if (!isHead || answer.type === 'error') return answer
  return new Response(null, { status: answer.status, headers: answer.headers })
}
