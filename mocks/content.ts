/**
 * Responses with a body of known length. Making a stream of each body and reading it again takes longer than everything else in
 * a request, so the body is kept beside the response, and put into it only where other code reads the response.
 */

export type Headings = Readonly<Record<string, string>>

export interface Content {
  readonly headings: Headings
  readonly body: Buffer<ArrayBuffer>
}

const contents = new WeakMap<Response, Content>()

export function json(body: unknown, status = 200, headers: Headings = {}): Response {
  return text(JSON.stringify(body), status, { 'content-type': 'application/json', ...headers })
}

/** A body with the content type that `headers` name. */
export function text(content: string, status: number, headers: Headings): Response {
  const body = Buffer.from(content)
  const headings = { ...headers, 'content-length': String(body.length) }
  const response = new Response(null, { status, headers: headings })
  contents.set(response, { headings, body })
  return response
}

/** The same response with one more header. */
export function withHeading(response: Response, name: string, value: string): Response {
  const content = contents.get(response)
  const headers = new Headers(response.headers)
  headers.set(name, value)
  const { status } = response
  const answer = new Response(content === undefined ? response.body : null, { status, headers })
  if (content !== undefined) contents.set(answer, { ...content, headings: { ...content.headings, [name]: value } })
  return answer
}

export function empty(status: number, headers: Headings = {}): Response {
  return new Response(null, { status, headers })
}

/** The body and headers kept beside a response; undefined where the response has its own body, or none. */
export function contentOf(response: Response): Content | undefined {
  return contents.get(response)
}

/** The response with its body in it, as any other code expects it; to HEAD without one (RFC 9110 9.3.2). */
export function whole(response: Response, method = 'GET'): Response {
  const content = contents.get(response)
  const { status, headers } = response
  if (method === 'HEAD' && response.type !== 'error') return new Response(null, { status, headers })
  return content === undefined ? response : new Response(content.body, { status, headers })
}
