/**
 * Responses with a body of known length. Making a stream of each body and reading it again takes longer than everything else in
 * a request, and so does a copy of the headers, so both are kept beside the response, and put into it only where other code
 * reads the response (`whole`).
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
  return kept(status, { headings, body })
}

function kept(status: number, content: Content): Response {
  const response = new Response(null, { status })
  contents.set(response, content)
  return response
}

/** The same response with one more header. */
export function withHeading(response: Response, name: string, value: string): Response {
  const { status } = response
  const content = contents.get(response)
  if (content !== undefined) return kept(status, { ...content, headings: { ...content.headings, [name]: value } })
  const headers = new Headers(response.headers)
  headers.set(name, value)
  return new Response(response.body, { status, headers })
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
  const { status } = response
  const headers = content?.headings ?? response.headers
  if (method === 'HEAD' && response.type !== 'error') return new Response(null, { status, headers })
  return content === undefined ? response : new Response(content.body, { status, headers })
}
