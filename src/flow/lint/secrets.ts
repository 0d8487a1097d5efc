/** Finds texts that look like secrets in a flow, and blots them out of the file's text. */
import type { SourceLocation } from '../../record/errors.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Document, Path } from '../document/model.ts'
import { wordsOf } from './criteria.ts'
import { type Findings, MOST_FINDINGS } from './findings.ts'
import { extensionOf, PROSE, type View } from './view.ts'

/** With more secrets, neither the text nor the findings of reading it are shown. */
export const MOST_SECRETS = MOST_FINDINGS

/** Finds secrets in `view` and returns them, so that they are shown nowhere; MOST_SECRETS at most. */
export function lintSecrets(view: View, findings: Findings): ReadonlySet<string> {
  const secrets = new Set<string>()
  // In the text rather than in its values, since a comment is committed too.
  const { document } = view
  let shapes = 0
  for (const match of document.text.matchAll(SHAPES_ANYWHERE)) {
    if (++shapes > MOST_SECRETS) break
    const kind = match[0].startsWith('-') ? 'a private key' : 'a JWT'
    findings.add('secret-literal', placeOf(document, match.index), `${kind} is written into the flow`)
  }
  for (const { text, path, name, isAltered } of literals(view.root, { path: [], name: '', isAltered: false })) {
    const found = secretIn(text, name, isAltered)
    if (found === undefined) continue
    if (secrets.size >= MOST_SECRETS) break
    secrets.add(found.secret)
    findings.add('secret-literal', path, `${found.kind} is written into the flow`)
  }
  for (const { inputs } of view.workflows) {
    for (const input of inputs) {
      const { fields, name, path, what } = input
      const isText = fields.type === undefined || [fields.type].flat().includes('string')
      const isMarked = fields.format === 'password' || extensionOf(input).mint !== undefined
      if (isText && !isMarked && SECRET_NAME.test(wordsOf(name))) {
        findings.add('secret-input', path, `${what} is not marked as a secret`, { key: true })
      }
    }
  }
  return secrets
}

/** The text with every secret in it blotted out, character by character, so that lines and columns stay. */
export function blotted(text: string, secrets: ReadonlySet<string>): string {
  const pieces = [...secrets].flatMap((secret) => secret.split(/\s+/)).filter((piece) => piece.length >= 4)
  // The longest first, since one may be a part of another.
  const known = [...new Set(pieces)].toSorted((a, b) => b.length - a.length)
  const blot = (match: string) => match.replace(/\S/g, '*')
  return known.reduce((result, piece) => result.replaceAll(piece, blot), text).replace(SHAPES_ANYWHERE, blot)
}

/** The same for a text that cannot be read as data: by shapes, and by names at the start of a value. */
export function blottedUnread(text: string): string {
  return blotted(text, new Set()).replace(NAMED, (_, name: string, value: string) => name + value.replace(/\S/g, '*'))
}

const NAMED =
  /((?:secret|password|passphrase|key|token|assertion|authorization)["']?[ \t]*:[ \t]*)(?!["']?\$)([^\n]*)/gi
const JWT = String.raw`(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]+)*`
const PEM = '-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----'
const SHAPES_ANYWHERE = new RegExp(`${JWT}|${PEM}(?:(?!-----END)[\\s\\S]){0,20000}`, 'g')
/** Not where a step is altered: a wrong token is what such a step sends. */
const AUTHORIZATION = /^\s*(basic|bearer|dpop)\s+([\w+/=.~-]{16,})\s*$/i

const SECRET_NAME =
  /(?:^|_)(?:token|secret|password|passphrase|pin|assertion|credentials?|private_key|api_?key|cookie)$/
/** Whatever stands there, it is one. */
const ALWAYS_SECRET = /(?:^|_)(?:secret|password|passphrase|private_key|api_?key)$/
const OPAQUE = /^(?=.*[A-Za-z])(?=.*\d)[\w+/=.~-]{16,}$/

interface Found {
  readonly secret: string
  readonly kind: string
}

function secretIn(text: string, name: string, isAltered: boolean): Found | undefined {
  if (isAltered || /^\$[A-Za-z]|\{\$[A-Za-z]/.test(text) || text.search(SHAPES_ANYWHERE) !== -1) return undefined
  const [, scheme, credential] = AUTHORIZATION.exec(text) ?? []
  if (scheme !== undefined && credential !== undefined) {
    return { secret: credential, kind: `a ${scheme[0]?.toUpperCase()}${scheme.slice(1).toLowerCase()} credential` }
  }
  const words = wordsOf(name)
  const isNamed = words === 'authorization' || SECRET_NAME.test(words)
  const isOne = ALWAYS_SECRET.test(words) ? text.trim() !== '' : isNamed && OPAQUE.test(text)
  return isOne ? { secret: text, kind: `a value of "${name}"` } : undefined
}

function placeOf({ file, text }: Document, offset: number): SourceLocation {
  const before = text.slice(0, offset)
  return { file, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

interface Walk {
  readonly path: Path
  /** what the value is called: its member, its parameter, or the input whose default it is */
  readonly name: string
  readonly isAltered: boolean
}

function* literals(value: unknown, walk: Walk): Generator<Walk & { readonly text: string }> {
  if (typeof value === 'string') yield { text: value, ...walk }
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* literals(item, { ...walk, path: [...walk.path, index] })
  } else if (isRecord(value)) {
    for (const [member, content] of Object.entries(value)) {
      const path = [...walk.path, member]
      const isAltered = walk.isAltered || member === 'alter' || member === 'cases'
      yield* literals(content, { path, name: nameOf(member, value, walk.name), isAltered })
    }
  }
}

/** Members whose value belongs to what they stand in. */
const OF_OWNER = new Set(['default', 'const', 'enum', 'examples', 'example'])

function nameOf(member: string, holder: Fields, owner: string): string {
  if (OF_OWNER.has(member)) return owner
  if (PROSE.has(member)) return ''
  if (member === 'value') {
    if (typeof holder.name === 'string') return holder.name
    if (typeof holder.target === 'string') return holder.target.split('/').at(-1) ?? ''
  }
  return member
}
