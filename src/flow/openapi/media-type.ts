/**
 * Media types: which entry of a description applies to an answer, in which of four ways a request body is written, and how
 * a description encodes the fields of a form. Reads and writes no body itself.
 */
import { isRecord } from '../document/fields.ts'

/** The ways to write data of a flow as text; for any other media type the flow gives the text itself. */
export type BodyKind = 'json' | 'form' | 'multipart' | 'text'

export function bodyKind(contentType: string): BodyKind {
  const type = mediaType(contentType)
  if (/[/+]json$/.test(type)) return 'json'
  return FORMS[type] ?? 'text'
}

const FORMS: Readonly<Record<string, BodyKind>> = {
  'application/x-www-form-urlencoded': 'form',
  'multipart/form-data': 'multipart',
}

/** The media type without its parameters. */
function mediaType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

/** The boundary between the parts of a multipart body (RFC 2046 §5.1.1). */
export function boundaryOf(contentType: string): string | undefined {
  return /;\s*boundary=("?)([^";]+)\1/i.exec(contentType)?.[2]
}

/** Whether the key of a description's `content`, perhaps a range such as "application/*", covers that media type. */
export function covers(key: string, contentType: string): boolean {
  const [type, subtype] = mediaType(key).split('/')
  const [ownType, ownSubtype] = mediaType(contentType).split('/')
  return (type === '*' || type === ownType) && (subtype === '*' || subtype === ownSubtype)
}

export function isRange(key: string): boolean {
  return key.includes('*')
}

/**
 * The key of a description's `content` that applies to an answer of that type: "only the most specific key is applicable"
 * (OpenAPI 3.1 §4.8.17). The answer must have every parameter of the key (RFC 9110 §8.3.1) and may have others.
 */
export function mostSpecific(keys: Iterable<string>, contentType: string): string | undefined {
  const own = parametersOf(contentType)
  const stars = (key: string) => key.split('*').length
  const [best] = [...keys]
    .filter((key) => covers(key, contentType))
    .filter((key) => [...parametersOf(key)].every(([name, value]) => own.get(name) === value))
    .toSorted((a, b) => stars(a) - stars(b) || parametersOf(b).size - parametersOf(a).size)
  return best
}

/** Parameters by lower-case name. A charset has no case; parameters of JSON mean nothing and are dropped (RFC 8259 §11). */
function parametersOf(contentType: string): ReadonlyMap<string, string> {
  const found = contentType.matchAll(/;\s*([^\s;=]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/g)
  const isJson = bodyKind(contentType) === 'json'
  return new Map(
    [...found].flatMap(([, name = '', quoted, plain = '']): [string, string][] => {
      const value = quoted?.replace(/\\(.)/g, '$1') ?? plain
      if (name.toLowerCase() !== 'charset') return [[name.toLowerCase(), value]]
      return isJson ? [] : [['charset', value.toLowerCase()]]
    }),
  )
}

/**
 * One field of a form.
 * @see [OpenAPI 3.1 Encoding Object](https://spec.openapis.org/oas/v3.1.1.html#encoding-object)
 */
export interface Encoding {
  /** without one the value decides: text, or JSON for an object */
  readonly contentType?: string | undefined
  /** where the description writes any of the three, the field is written as a query parameter is, whatever its media type */
  readonly style?: { readonly style: string; readonly explode: boolean; readonly allowReserved: boolean } | undefined
  /** of a part; undefined for the value of one that is required and that nothing says */
  readonly headers: readonly (readonly [name: string, value: string | undefined])[]
  /** the part is the content of a file, so it has a file name (RFC 7578 §4.2) */
  readonly isFile: boolean
}

/** The encodings of a form's Media Type Object by field; `deref` follows references of the description. */
export function encodingsOf(
  contentType: string,
  media: unknown,
  deref: (value: unknown) => Fields,
): ReadonlyMap<string, Encoding> {
  if (FORMS[mediaType(contentType)] === undefined) return NONE
  const { schema, encoding } = deref(media)
  const properties = deref(deref(schema).properties)
  const written = deref(encoding)
  return new Map(
    [...new Set([...Object.keys(properties), ...Object.keys(written)])].map((name) => {
      const own = deref(written[name])
      const property = deref(properties[name])
      const item = deref(property.items ?? property)
      return [name, { ...encodingOf(own, deref), isFile: item.format === 'binary' || isText(item.contentMediaType) }]
    }),
  )
}

const NONE: ReadonlyMap<string, Encoding> = new Map()

type Fields = Readonly<Record<string, unknown>>

function encodingOf(own: Fields, deref: (value: unknown) => Fields): Omit<Encoding, 'isFile'> {
  const style = isText(own.style) ? own.style : 'form'
  const hasStyle = ['style', 'explode', 'allowReserved'].some((member) => own[member] !== undefined)
  return {
    // The description lists several types or a range: the sender chooses.
    contentType: isText(own.contentType)
      ? own.contentType
          .split(',')
          .map((type) => type.trim())
          .find((type) => !isRange(type))
      : undefined,
    style: hasStyle
      ? {
          style,
          explode: typeof own.explode === 'boolean' ? own.explode : style === 'form',
          allowReserved: own.allowReserved === true,
        }
      : undefined,
    headers: Object.entries(isRecord(own.headers) ? own.headers : {}).flatMap(([name, header]) => {
      const { required, schema } = deref(header)
      const { const: only, default: usual } = deref(schema)
      const value = only ?? usual
      // Content-Type is set elsewhere (OpenAPI 3.1 §4.8.15).
      if (name.toLowerCase() === 'content-type' || (value === undefined && required !== true)) return []
      return [[name, value === undefined ? undefined : String(value)] as const]
    }),
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
