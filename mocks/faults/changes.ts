/**
 * Faults: each names what it makes wrong and has the handlers for `twin.use` that do it. Those of this file change the answer of
 * an operation after the servers have carried it out.
 */
import { HttpResponse, http, type RequestHandler } from 'msw'
import type { Twin } from '../twin.ts'

export interface Fault {
  /** stable and unique: operation and change */
  readonly name: string
  /** the fault in words */
  readonly what: string
  handlers(twin: Twin): readonly RequestHandler[]
}

/**
 * Changes one member of an operation's JSON answer; `undefined` removes it. `pointer` is a JSON Pointer (RFC 6901). With a value
 * its last part need not exist; any other pointer to nothing makes the twin answer 500.
 */
export function changeField(operation: string, pointer: string, value: unknown): Fault {
  const change = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`
  return alter(
    `${operation} ${pointer} ${change}`,
    `member ${pointer} of the answer of ${operation} ${change}`,
    operation,
    async (response) => {
      const body: unknown = await response.json()
      return HttpResponse.json(replaced(body, pointer, value) as Record<string, unknown>, {
        status: response.status,
        headers: withoutLength(response),
      })
    },
  )
}

export function changeStatus(operation: string, status: number): Fault {
  return alter(
    `${operation} status ${status}`,
    `${operation} answers with status ${status}`,
    operation,
    async (response) => {
      const body = [204, 205, 304].includes(status) ? null : await response.arrayBuffer()
      return new HttpResponse(body, { status, headers: withoutLength(response) })
    },
  )
}

/** `undefined` removes the header. */
export function changeHeader(operation: string, name: string, value: string | undefined): Fault {
  const change = value === undefined ? 'is missing' : `is "${value}"`
  return alter(
    `${operation} ${name} ${change}`,
    `header ${name} of ${operation} ${change}`,
    operation,
    async (response) => {
      const headers = withoutLength(response)
      if (value === undefined) headers.delete(name)
      else headers.set(name, value)
      const body = response.body === null ? null : await response.arrayBuffer()
      return new HttpResponse(body, { status: response.status, headers })
    },
  )
}

export function changeContentType(operation: string, type: string): Fault {
  return changeHeader(operation, 'content-type', type)
}

/** The body is replaced with `text`; the content type stays. */
export function replaceBody(operation: string, text: string): Fault {
  return alter(`${operation} body`, `the body of ${operation} is another text`, operation, async (response) => {
    await response.body?.cancel()
    return new HttpResponse(text, { status: response.status, headers: withoutLength(response) })
  })
}

/** The server carries out the operation, then the connection ends without an answer. */
export function loseAnswer(operation: string): Fault {
  return alter(
    `${operation} answer lost`,
    `the answer of ${operation} is lost after it took effect`,
    operation,
    async (response) => {
      await response.body?.cancel()
      return HttpResponse.error()
    },
  )
}

/** A fault that changes the answer of an operation. */
export function alter(
  name: string,
  what: string,
  operation: string,
  change: (response: Response) => Promise<Response>,
): Fault {
  return atOperation(name, what, operation, async (request, twin) => await change(await twin.pass(request)))
}

/** A fault that answers an operation by itself; `twin.pass` lets the servers answer. */
export function atOperation(
  name: string,
  what: string,
  operation: string,
  answer: (request: Request, twin: Twin) => Promise<Response>,
): Fault {
  return {
    name,
    what,
    handlers: (twin) => [
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        async ({ request }) => await answer(request, twin),
      ),
    ],
  }
}

/** The response's headers where the body's length is about to change. */
export function withoutLength(response: Response): Headers {
  const headers = new Headers(response.headers)
  headers.delete('content-length')
  return headers
}

/** @see [RFC 6901 4](https://www.rfc-editor.org/rfc/rfc6901.html#section-4) */
export function replaced(document: unknown, pointer: string, value: unknown): unknown {
  if (pointer === '') return value
  if (!pointer.startsWith('/')) throw new Error(`"${pointer}" is not a JSON Pointer`)
  const names = pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = names.pop() ?? ''
  const copy = structuredClone(document)
  let parent: unknown = copy
  for (const name of names) parent = isContainer(parent) ? parent[name] : undefined
  if (!isContainer(parent)) throw new Error(`the answer has no member for "${pointer}"`)
  if (value !== undefined) parent[last] = value
  else if (!(last in parent)) throw new Error(`the answer has no member "${pointer}"`)
  else if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else delete parent[last]
  return copy
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
