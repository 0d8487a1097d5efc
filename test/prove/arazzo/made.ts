/** A server made from an OpenAPI description: each operation answers as its first documented success, from schema alone. */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import type { Answer, Outgoing } from '../../../src/transport/transport.ts'

type Json = Readonly<Record<string, unknown>>

/** Answers for the descriptions; 404 where none has the path. */
export async function madeFrom(files: readonly string[]): Promise<(request: Outgoing) => Answer> {
  const roots = await Promise.all(files.map(async (file) => record(parse(await readFile(file, 'utf8')))))
  const operations = roots.flatMap((root) =>
    Object.entries(record(root.paths)).flatMap(([path, item]) =>
      Object.entries(record(item)).map(([method, operation]) => ({ root, path, method, operation: record(operation) })),
    ),
  )
  return ({ method, url }) => {
    const { pathname } = new URL(url)
    const found = operations.find((one) => one.method === method.toLowerCase() && matcher(one.path).test(pathname))
    if (found === undefined) return { status: 404, headers: [], body: new Uint8Array() }
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
