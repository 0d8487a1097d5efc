/** Faults of the client: what it sends is changed on its way, as if it had sent that. The servers keep all their rules. */
import { atOperation, type Fault, replaced } from './changes.ts'

/** `header <name>`, `url`, or the JSON Pointer of a member of the body; a form has its parameters as members. */
type Part = string

/** The client sends another value there. */
export function sendOther(operation: string, part: Part, value: unknown): Fault {
  if (part === 'url' && !URL.canParse(String(value)))
    throw new Error(`fault "sends" needs a whole URL for url; found ${JSON.stringify(value)}`)
  const what = `the client sends ${part} as ${JSON.stringify(value)} to ${operation}`
  return alterRequest(`${operation} sent ${part} ${JSON.stringify(value)}`, what, operation, async (request) =>
    withPart(request, part, value),
  )
}

/** The client leaves it out. */
export function leaveOut(operation: string, part: Part): Fault {
  if (part === 'url')
    throw new Error('fault "omits" needs a header or a member of the body: no request is without its url')
  const what = `the client leaves ${part} out of what it sends to ${operation}`
  return alterRequest(`${operation} sent without ${part}`, what, operation, async (request) =>
    withPart(request, part, undefined),
  )
}

/** The client goes on with what it sent there the first time. */
export function repeatFirst(operation: string, part: Part): Fault {
  let first: unknown
  const what = `the client sends ${operation} the ${part} of its first call again and again`
  return alterRequest(`${operation} sent ${part} again`, what, operation, async (request) => {
    const now = await partOf(request, part)
    if (now === undefined) return request
    first ??= now
    return await withPart(request, part, first)
  })
}

function alterRequest(
  name: string,
  what: string,
  operation: string,
  change: (request: Request) => Promise<Request>,
): Fault {
  return atOperation(name, what, operation, async (request, twin) => await twin.pass(request, await change(request)))
}

async function partOf(request: Request, part: Part): Promise<unknown> {
  const header = headerIn(part)
  if (header !== undefined) return request.headers.get(header) ?? undefined
  if (part === 'url') return request.url
  const body = await bodyOf(request)
  return isForm(request) ? (new URLSearchParams(body).get(part.slice(1)) ?? undefined) : at(JSON.parse(body), part)
}

async function withPart(request: Request, part: Part, value: unknown): Promise<Request> {
  const header = headerIn(part)
  const { method } = request
  const headers = new Headers(request.headers)
  if (part === 'url') return new Request(String(value), { method, headers, body: await bodyOrNone(request) })
  if (header !== undefined) {
    if (value === undefined) headers.delete(header)
    else headers.set(header, String(value))
    return new Request(request.url, { method, headers, body: await bodyOrNone(request) })
  }
  headers.delete('content-length')
  return new Request(request.url, { method, headers, body: await changedBody(request, part, value) })
}

async function changedBody(request: Request, part: Part, value: unknown): Promise<string> {
  const body = await bodyOf(request)
  if (!isForm(request)) {
    const json: unknown = JSON.parse(body)
    // What a client leaves out anyway stays left out.
    return value === undefined && at(json, part) === undefined ? body : JSON.stringify(replaced(json, part, value))
  }
  const form = new URLSearchParams(body)
  if (value === undefined) form.delete(part.slice(1))
  else form.set(part.slice(1), String(value))
  return form.toString()
}

function headerIn(part: Part): string | undefined {
  return /^header (.+)$/.exec(part)?.[1]
}

function isForm(request: Request): boolean {
  return request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true
}

async function bodyOf(request: Request): Promise<string> {
  return await request.clone().text()
}

async function bodyOrNone(request: Request): Promise<string | null> {
  return request.body === null ? null : await bodyOf(request)
}

/** The value of a member of an object at any depth; undefined where there is none. */
function at(json: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], json)
}
