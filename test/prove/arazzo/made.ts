/**
 * A server made from OpenAPI descriptions: each operation answers as its first documented success, from schema alone, and
 * says what of a request the description does not have.
 */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import type { Answer, Outgoing } from '../../../src/transport/transport.ts'

type Json = Readonly<Record<string, unknown>>

/** Answers for the descriptions; 404 where none has the path. */
export async function madeFrom(
  files: readonly string[],
  refused: (reason: string) => void,
): Promise<(request: Outgoing) => Answer> {
  const roots = await Promise.all(files.map(async (file) => record(parse(await readFile(file, 'utf8')))))
  const operations = roots.flatMap((root) =>
    Object.entries(record(root.paths)).flatMap(([path, item]) =>
      Object.entries(record(item)).map(([method, operation]) => ({
        ...{ root, path, method, operation: record(operation) },
        parameters: [...list(record(item).parameters), ...list(record(operation).parameters)],
      })),
    ),
  )
  return (request) => {
    const { method, url } = request
    const { pathname } = new URL(url)
    const found = operations.find((one) => one.method === method.toLowerCase() && matcher(one.path).test(pathname))
    if (found === undefined) {
      refused(`no description has ${method} ${pathname}`)
      return { status: 404, headers: [], body: new Uint8Array() }
    }
    for (const reason of lacking(found, request)) refused(`${method} ${found.path} ${reason}`)
    const responses = Object.entries(record(found.operation.responses))
    const [status = '200', response] = responses.find(([code]) => /^[23]/.test(code)) ?? []
    const answer = resolved(found.root, response)
    const [type, media] = Object.entries(record(answer.content))[0] ?? []
    const headers = Object.entries(record(answer.headers)).map(([name, header]): [string, string] => {
      const { schema } = resolved(found.root, header)
      return [name.toLowerCase(), String(made(found.root, schema, 0))]
    })
    if (type === undefined) return { status: Number(status), headers, body: new Uint8Array() }
    const { schema, example, examples } = record(media)
    const [first] = Object.values(record(examples))
    const value = example ?? resolved(found.root, first).value ?? made(found.root, schema, 0)
    const text = typeof value === 'string' && !/json/.test(type) ? value : JSON.stringify(value)
    return { status: Number(status), headers: [['content-type', type], ...headers], body: Buffer.from(text) }
  }
}

interface Described {
  readonly root: Json
  readonly operation: Json
  readonly parameters: readonly unknown[]
}

/** What the description requires and the request does not have. */
function lacking({ root, operation, parameters }: Described, { url, headers, body }: Outgoing): string[] {
  const { searchParams } = new URL(url)
  const sent = new Headers(headers.map(([name, value]): [string, string] => [name, value]))
  const missing = parameters
    .map((one) => resolved(root, one))
    .filter(({ required, in: place, name }) => {
      const has = place === 'query' ? searchParams.has(String(name)) : place !== 'header' || sent.has(String(name))
      return required === true && !has
    })
    .map(({ name }) => `lacks ${String(name)}`)
  if (operation.requestBody === undefined) return body === undefined ? missing : [...missing, 'has a body']
  const { required, content } = resolved(root, operation.requestBody)
  if (body === undefined) return required === true ? [...missing, 'lacks its body'] : missing
  const type = (sent.get('content-type') ?? '').split(';')[0] ?? ''
  const media = record(content)[type]
  if (media === undefined) return [...missing, `is of type "${type}"`]
  const members = membersOf(body, sent.get('content-type') ?? '')
  const absent = list(resolved(root, record(media).schema).required).filter((name) => !members.includes(String(name)))
  return [...missing, ...absent.map((name) => `lacks "${String(name)}" in its body`)]
}

/** Of a body as others would read it. */
function membersOf(body: string, type: string): readonly string[] {
  if (type.includes('json')) return Object.keys(record(JSON.parse(body)))
  if (type.startsWith('multipart/')) {
    return [...body.matchAll(/^Content-Disposition: form-data; name="([^"]*)"/gm)].map(([, name = '']) => name)
  }
  return [...new URLSearchParams(body).keys()]
}

function matcher(path: string): RegExp {
  const parts = path.split(/\{[^}]+\}/).map((part) => part.replace(/[.*+?^$()|[\]\\]/g, '\\$&'))
  return new RegExp(`${parts.join('[^/]+')}$`)
}

const TEXTS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  uri: 'https://api.example/made',
  uuid: '9b2f4c1e-3d7a-4f60-8e5b-2a1c0d9e8f70',
  email: 'someone@example.org',
}

/** The smallest value that says everything the schema knows. */
export function made(root: Json, written: unknown, depth: number): unknown {
  const schema = resolved(root, written)
  const given = schema.const ?? schema.example ?? schema.default ?? list(schema.enum)[0] ?? list(schema.examples)[0]
  if (given !== undefined) return given
  if (depth > 8) return null
  const alternatives = [...list(schema.oneOf), ...list(schema.anyOf)]
  if (alternatives.length > 0) return made(root, alternatives[0], depth + 1)
  const parts = list(schema.allOf).map((part) => made(root, part, depth + 1))
  const type = [schema.type].flat()[0]
  if (type === 'array') return [made(root, schema.items ?? {}, depth + 1)]
  if (type === 'integer' || type === 'number') return Number(schema.minimum ?? 1)
  if (type === 'boolean') return true
  if (type === 'string') return TEXTS[String(schema.format)] ?? 'made'.padEnd(Number(schema.minLength ?? 0), 'x')
  const own = Object.entries(record(schema.properties)).map(([name, one]) => [name, made(root, one, depth + 1)])
  return Object.assign({}, ...parts, Object.fromEntries(own))
}

function resolved(root: Json, value: unknown): Json {
  const { $ref } = record(value)
  if (typeof $ref !== 'string') return record(value)
  const tokens = $ref.slice(2).split('/')
  return resolved(
    root,
    tokens.reduce<unknown>((node, token) => record(node)[token.replaceAll('~1', '/')], root),
  )
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
