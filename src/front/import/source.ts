/** Reads a file that is to be imported, and names what it is where it is no collection, environment or globals of Postman. */
import { fail } from '../../record/errors.ts'
import { Account, DEEPEST, leavesOf, MOST_VALUES } from './leaves.ts'

export type Fields = Readonly<Record<string, unknown>>

/** A file of Postman. */
export interface Source {
  readonly name: string
  readonly kind: 'collection' | 'environment' | 'globals'
  /** what stands in it: of what Postman's API wraps once more, the inner object */
  readonly data: Fields
  /** the pointer of `data` in the file */
  readonly at: string
  readonly leaves: readonly string[]
  readonly account: Account
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

interface OtherKind {
  readonly is: string
  readonly hint: string
}

interface OtherJson extends OtherKind {
  readonly holds: (data: Fields) => boolean
}

interface OtherText extends OtherKind {
  readonly begins: RegExp
}

const EXPORT = 'in Postman choose Export > Collection v2.1 and import that file'

const OTHER_JSON: readonly OtherJson[] = [
  {
    is: 'a Postman collection of version 1',
    holds: ({ requests, order, info }) => Array.isArray(requests) && (Array.isArray(order) || info === undefined),
    hint: EXPORT,
  },
  {
    is: 'a backup of a whole Postman account',
    holds: ({ collections, environments }) => Array.isArray(collections) || Array.isArray(environments),
    hint: 'export the collection and its environment by themselves, and import those two files',
  },
  {
    is: 'an Insomnia export',
    holds: ({ _type, __export_format, type }) =>
      _type === 'export' || __export_format !== undefined || /insomnia/.test(String(type)),
    hint: 'the documented calls are flows already (thredd list); a call of your own is a step of a flow, see docs/flow-format.md',
  },
  {
    is: 'a Bruno collection',
    holds: ({ version, items, type }) => type === 'collection' || (typeof version === 'string' && Array.isArray(items)),
    hint: 'in Bruno choose Export > Postman Collection and import that file',
  },
  {
    is: 'a HAR archive',
    holds: ({ log }) => isObject(log) && Array.isArray(log.entries),
    hint: 'it holds answers and no settings: write its calls as steps of a flow, see docs/flow-format.md',
  },
  {
    is: 'an OpenAPI description',
    holds: (data) => 'openapi' in data || 'swagger' in data,
    hint: 'name it under sourceDescriptions of a flow, whose steps call its operations, see docs/flow-format.md',
  },
  {
    is: 'an Arazzo document',
    holds: (data) => 'arazzo' in data,
    hint: 'it is a flow already: thredd run <file>',
  },
  {
    is: 'an answer of a registration',
    holds: (data) => 'registration_access_token' in data || 'registration_client_uri' in data,
    hint: 'thredd vault import keeps it',
  },
]

const OTHER_TEXT: readonly OtherText[] = [
  {
    is: 'a Bruno file',
    begins: /^\s*(?:meta|vars|auth|get|post|put|delete|docs|headers)(?::[\w-]+)? \{/,
    hint: 'in Bruno choose Export > Postman Collection and import that file',
  },
  {
    is: 'a file of HTTP requests (.http, .rest)',
    begins: /^\s*(?:###|@\w+\s*=|\/\/ @|(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?:https?:|\{\{|\/))/,
    hint: 'the documented calls are flows already (thredd list); a call of your own is a step of a flow, see docs/flow-format.md',
  },
  {
    is: 'an Insomnia export',
    begins: /^\s*(?:type: .*insomnia|_type: export)/,
    hint: 'the documented calls are flows already (thredd list); a call of your own is a step of a flow, see docs/flow-format.md',
  },
  {
    is: 'an OpenAPI description',
    begins: /^\s*(?:#.*\s+)*(?:openapi|swagger):/,
    hint: 'name it under sourceDescriptions of a flow, whose steps call its operations, see docs/flow-format.md',
  },
  { is: 'an Arazzo document', begins: /^\s*(?:#.*\s+)*arazzo:/, hint: 'it is a flow already: thredd run <file>' },
  { is: 'a curl command', begins: /^\s*curl\s/, hint: 'write the call as a step of a flow, see docs/flow-format.md' },
  {
    is: 'a key or certificate',
    begins: /^\s*-----BEGIN/,
    hint: 'name it in .env.<name>.local: TRANSPORT_CERT_FILE, TRANSPORT_KEY_FILE, SIGNING_KEY_FILE',
  },
  {
    is: 'an environment file',
    begins: /^\s*(?:#.*\s+)*(?:export )?[A-Z][A-Z0-9_]*=/,
    hint: 'save it as .env.<name>.local; thredd vault import takes a registration in it',
  },
]

const EXPECTED = 'a collection of version 2.0 or 2.1, an environment or globals, as Postman exports them'

/** @throws ToolError IMPORT that names the place and what to do; no text of the file is quoted */
export function readSource(text: string, name: string): Source {
  const plain = text.replace(/^\uFEFF/, '')
  const parsed = parse(plain, name)
  const leaves = leavesOf(parsed)
  if (leaves === undefined) {
    return fail({
      code: 'IMPORT',
      message: `"${name}" is nested more than ${DEEPEST} levels deep, or has more than ${MOST_VALUES} values`,
      expected: EXPECTED,
      hint: 'divide the collection in Postman, and export its parts',
    })
  }
  const { data, at } = unwrapped(parsed)
  const kind = kindOf(data, name)
  return { name, kind, data, at, leaves, account: new Account() }
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const other = OTHER_TEXT.find(({ begins }) => begins.test(text.slice(0, 4096)))
    if (other !== undefined) return refuse(name, other)
    const place = placeOf(text)
    return fail({
      code: 'IMPORT',
      message: `"${name}" is no JSON${place}`,
      expected: EXPECTED,
      hint: text.trim() === '' ? 'the file is empty: export it again' : `export it again; ${EXPORT}`,
    })
  }
}

/** Where a text stops being JSON. The message of the parser would quote the text, which may be a secret. */
function placeOf(text: string): string {
  if (isBeginning(text)) return text.trim() === '' ? '' : ': it ends in the middle'
  let [good, bad] = [0, text.length]
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (isBeginning(text.slice(0, middle))) good = middle
    else bad = middle
  }
  const before = text.slice(0, good)
  return `, line ${before.split('\n').length}, column ${good - before.lastIndexOf('\n')}`
}

/** Whether a text is the beginning of JSON. */
function isBeginning(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    return (
      /end of JSON input|Unterminated|end of data|in JSON at position (\d+)/.test(String(error)) &&
      isAtEnd(String(error), text.length)
    )
  }
}

/** A message with a position is about the end of the text where the position is that. */
function isAtEnd(message: string, length: number): boolean {
  const [, position] = /at position (\d+)/.exec(message) ?? []
  return position === undefined || Number(position) >= length
}

/** Postman's API and older tools put a collection or an environment into an object of one member. */
function unwrapped(parsed: unknown): { readonly data: Fields; readonly at: string } {
  if (!isObject(parsed)) return { data: {}, at: '' }
  for (const member of ['collection', 'environment'])
    if (isObject(parsed[member])) return { data: parsed[member], at: `/${member}` }
  return { data: parsed, at: '' }
}

function kindOf(data: Fields, name: string): Source['kind'] {
  const { info, item, values, _postman_variable_scope: scope } = data
  if (isObject(info) && (item !== undefined || info.schema !== undefined)) {
    const schema = textOf(info.schema) ?? ''
    const version = /\/v(\d+(?:\.\d+)*)/.exec(schema)?.[1]
    if (version !== undefined && !/^2\.[01](?:\.\d+)?$/.test(version)) {
      fail({
        code: 'IMPORT',
        message: `"${name}" is a Postman collection of version ${version}`,
        expected: 'version 2.0 or 2.1',
        hint: EXPORT,
      })
    }
    if (!Array.isArray(item))
      fail({ code: 'IMPORT', message: `"${name}" has no requests: "item" is no list`, hint: EXPORT })
    return 'collection'
  }
  if (Array.isArray(values) && (scope !== undefined || 'name' in data || 'id' in data))
    return scope === 'globals' ? 'globals' : 'environment'
  const other = OTHER_JSON.find(({ holds }) => holds(data))
  if (other !== undefined) return refuse(name, other)
  return fail({
    code: 'IMPORT',
    message: `"${name}" is no file of Postman that is known`,
    expected: EXPECTED,
    hint: EXPORT,
  })
}

function refuse(name: string, { is, hint }: OtherKind): never {
  return fail({ code: 'IMPORT', message: `"${name}" is ${is}, which is not imported`, expected: EXPECTED, hint })
}
