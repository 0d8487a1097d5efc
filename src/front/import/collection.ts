/** The requests of a collection (v2.0, v2.1) as a list, each with its folders, its authorization and its scripts. Pure. */
import { pointerTo } from './leaves.ts'
import { isSecret } from './secrets.ts'
import { type Fields, isObject, listOf, type Source, textOf } from './source.ts'
import { type Entry, entriesIn, type Variables } from './variables.ts'

export interface Body {
  readonly mode: string
  readonly at: string
  /** of a raw or GraphQL body */
  readonly text: string
  /** of a form */
  readonly entries: readonly Entry[]
  /** of a raw body, as Postman's language says it */
  readonly language: string | undefined
}

export interface Auth {
  readonly type: string
  readonly at: string
  readonly values: ReadonlyMap<string, string>
}

export interface Script {
  readonly when: 'prerequest' | 'test'
  /** each with the pointer of its value */
  readonly lines: readonly { readonly text: string; readonly at: string }[]
}

export interface Request {
  readonly source: Source
  readonly name: string
  readonly folders: readonly string[]
  /** the pointer of the item */
  readonly at: string
  readonly method: string
  /** as it is called, with variables in braces, without disabled parts; path variables are put in */
  readonly url: string
  readonly urlAt: string
  readonly query: readonly Entry[]
  readonly headers: readonly Entry[]
  readonly body: Body | undefined
  /** its own, or that of a folder or the collection */
  readonly auth: Auth | undefined
  readonly scripts: readonly Script[]
  /** those of its folders and of the collection */
  readonly inherited: readonly Script[]
  readonly variables: Variables
}

interface Around {
  readonly folders: readonly string[]
  readonly auth: Auth | undefined
  readonly scripts: readonly Script[]
  readonly variables: Variables
}

export function requestsIn(source: Source, variables: Variables): readonly Request[] {
  const { data, at } = source
  const around = { folders: [], auth: authOf(data.auth, `${at}/auth`), scripts: scriptsOf(source, data, at), variables }
  return inItems(source, data.item, `${at}/item`, around)
}

/** Nesting is limited where the file is read. */
function inItems(source: Source, items: unknown, at: string, around: Around): readonly Request[] {
  return listOf(items).flatMap((item, index): readonly Request[] => {
    const place = pointerTo(at, index)
    if (!isObject(item)) return []
    const name = nameOf(source, item, place, index)
    if (!('item' in item)) return [requestOf(source, item, place, name, around) ?? []].flat()
    const own = entriesIn(source, item.variable, `${place}/variable`)
    return inItems(source, item.item, `${place}/item`, {
      folders: [...around.folders, name],
      auth: authOf(item.auth, `${place}/auth`) ?? around.auth,
      scripts: [...around.scripts, ...scriptsOf(source, item, place)],
      variables: around.variables.within(own),
    })
  })
}

/** A name stands in the flow, in names of settings and on the console: one that holds a secret is replaced. */
function nameOf({ account }: Source, { name }: Fields, at: string, index: number): string {
  const text = textOf(name) ?? 'without a name'
  if (!isSecret('', text)) return text
  account.list(`${at}/name`, 'it holds what looks like a secret')
  return `Request ${index + 1}`
}

function requestOf(source: Source, item: Fields, at: string, name: string, around: Around): Request | undefined {
  const requestAt = `${at}/request`
  const request = typeof item.request === 'string' ? { url: item.request } : item.request
  if (!isObject(request)) return undefined
  const urlAt = typeof item.request === 'string' ? requestAt : `${requestAt}/url`
  const { text, query } = urlOf(source, request.url, urlAt)
  const own = entriesIn(source, item.variable, `${at}/variable`)
  return {
    source,
    name,
    folders: around.folders,
    at,
    method: (textOf(request.method) ?? 'GET').toUpperCase(),
    url: text,
    urlAt,
    query,
    headers: headersOf(source, request.header, `${requestAt}/header`),
    body: bodyOf(source, request.body, `${requestAt}/body`),
    auth: authOf(request.auth, `${requestAt}/auth`) ?? around.auth,
    scripts: scriptsOf(source, item, at),
    inherited: around.scripts,
    variables: around.variables.within(own),
  }
}

/** Postman keeps headers as a list; older files have them as one text. */
function headersOf(source: Source, header: unknown, at: string): readonly Entry[] {
  if (typeof header !== 'string') return entriesIn(source, header, at)
  return header.split(/\r?\n/).flatMap((line) => {
    const [, name, value = ''] = /^\s*([^:\s]+)\s*:\s*(.*)$/.exec(line) ?? []
    return name === undefined ? [] : [{ name, value, source, at, fields: {} }]
  })
}

interface Address {
  /** without query and fragment */
  readonly text: string
  readonly query: readonly Entry[]
}

/** An address is a text, or an object of its parts, which count before its text. */
function urlOf(source: Source, url: unknown, at: string): Address {
  if (!isObject(url)) return fromText(textOf(url) ?? '', source, at)
  const host = Array.isArray(url.host) ? url.host.map(String).join('.') : (textOf(url.host) ?? '')
  if (host === '') {
    const { text, query } = fromText(textOf(url.raw) ?? '', source, pointerTo(at, 'raw'))
    return { text: withPathVariables(text, source, url.variable, `${at}/variable`), query }
  }
  const parts = Array.isArray(url.path)
    ? url.path.map((part) => (isObject(part) ? String(part.value ?? '') : String(part)))
    : []
  const path = typeof url.path === 'string' ? url.path.replace(/^\//, '') : parts.join('/')
  const protocol = textOf(url.protocol)
  const port = url.port === undefined || url.port === null || url.port === '' ? '' : `:${String(url.port)}`
  const start = protocol === undefined || host.startsWith('{{') ? host : `${protocol.replace(/:?\/*$/, '')}://${host}`
  const text = `${start}${port}${path === '' ? '' : `/${path}`}`
  const query = Array.isArray(url.query)
    ? entriesIn(source, url.query, `${at}/query`)
    : fromText(textOf(url.raw) ?? '', source, pointerTo(at, 'raw')).query
  return { text: withPathVariables(text, source, url.variable, `${at}/variable`), query }
}

function fromText(raw: string, source: Source, at: string): Address {
  const [before = '', search] = raw.replace(/#.*$/s, '').split(/\?(.*)/s)
  const query = (search ?? '').split('&').flatMap((pair) => {
    const [name = '', value = ''] = pair.split(/=(.*)/s)
    return name === '' ? [] : [{ name: decoded(name), value: decoded(value), source, at, fields: {} }]
  })
  return { text: before.trim(), query }
}

export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `:id` in the path, with the value that the file gives it. */
function withPathVariables(text: string, source: Source, list: unknown, at: string): string {
  const variables = entriesIn(source, list, at)
  const values = new Map(variables.map(({ name, value }) => [name, value]))
  for (const one of variables)
    if (!text.split('/').includes(`:${one.name}`)) source.account.list(one.at, 'a variable that is not in the path')
  return text.replace(/(?<=\/):([\w-]+)(?=\/|$)/g, (whole, name: string) => {
    const value = values.get(name)
    return value === undefined || value === '' ? `{{${name}}}` : value.replace(/^:(?=\w)/, '') || whole
  })
}

function bodyOf(source: Source, body: unknown, at: string): Body | undefined {
  if (!isObject(body)) return undefined
  if (body.disabled === true) {
    source.account.list(at, 'disabled in Postman')
    return undefined
  }
  const mode = textOf(body.mode) ?? 'raw'
  const place = pointerTo(at, mode)
  const content = body[mode]
  const options = isObject(body.options) && isObject(body.options.raw) ? body.options.raw : {}
  if (mode === 'raw' && (content === undefined || content === '')) return undefined
  return {
    mode,
    at: place,
    text: typeof content === 'string' ? content : JSON.stringify(content ?? ''),
    entries: mode === 'urlencoded' || mode === 'formdata' ? entriesIn(source, content, place) : [],
    language: textOf(options.language),
  }
}

/** Version 2.1 has a list of key and value, version 2.0 an object. */
function authOf(auth: unknown, at: string): Auth | undefined {
  if (!isObject(auth)) return undefined
  const type = textOf(auth.type) ?? 'noauth'
  if (type === 'inherit') return undefined
  const written = auth[type]
  const pairs = Array.isArray(written)
    ? written.filter(isObject).map((one): [string, unknown] => [String(one.key ?? ''), one.value])
    : Object.entries(isObject(written) ? written : {})
  const texts = pairs.map(([name, value]): [string, string] => [name, String(value ?? '')])
  return { type, at, values: new Map(texts) }
}

function scriptsOf(source: Source, { event }: Fields, at: string): readonly Script[] {
  return listOf(event).flatMap((one, index): Script[] => {
    if (!isObject(one) || !isObject(one.script)) return []
    const place = pointerTo(`${at}/event`, index)
    if (one.disabled === true) {
      source.account.list(place, 'disabled in Postman')
      return []
    }
    const { exec } = one.script
    const execAt = `${place}/script/exec`
    const texts = Array.isArray(exec)
      ? exec.map((line, number) => ({ text: String(line), at: pointerTo(execAt, number) }))
      : [{ text: textOf(exec) ?? '', at: execAt }]
    const lines = texts.flatMap(({ text, at }) => text.split('\n').map((line) => ({ text: line, at })))
    return [{ when: one.listen === 'prerequest' ? 'prerequest' : 'test', lines }]
  })
}
