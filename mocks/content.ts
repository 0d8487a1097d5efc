/**
 * Answers whose body is known as a whole. To make a stream of each body and to read it again costs more than all else a
 * request needs, so the body lies beside its response until somebody wants to read it. Knows no answer itself.
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

export function empty(status: number, headers: Headings = {}): Response {
  return new Response(null, { status, headers })
}

/** Body and headers that lie beside the response; undefined where it holds its own body, or none. */
export function contentOf(response: Response): Content | undefined {
  return contents.get(response)
}

/** The response as everyone knows it: with its body in it. */
export function whole(response: Response): Response {
  const content = contents.get(response)
  return content === undefined
    ? response
    : new Response(content.body, { status: response.status, headers: response.headers })
}
