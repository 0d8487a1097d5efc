/**
 * How servers may write a secret, and a search that finds it in each of these spellings. It shares nothing with src: what
 * one overlooks the other should not.
 */
import { gunzipSync, gzipSync } from 'node:zlib'

const bytes = (text: string) => [...Buffer.from(text)]
const hex = (text: string) => Buffer.from(text).toString('hex')
const base64 = (text: string) => Buffer.from(text).toString('base64')
const each = (text: string, to: (code: number) => string) => bytes(text).map(to).join('')
const two = (code: number) => code.toString(16).padStart(2, '0')

export const SPELLINGS: Readonly<Record<string, (secret: string) => string>> = {
  itself: (secret) => secret,
  'upper case': (secret) => secret.toUpperCase(),
  'lower case': (secret) => secret.toLowerCase(),
  url: encodeURIComponent,
  'url twice': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'url of every byte': (secret) => each(secret, (code) => `%${two(code)}`),
  'decimal entities': (secret) => each(secret, (code) => `&#${code};`),
  'hexadecimal entities': (secret) => each(secret, (code) => `&#x${two(code)};`),
  'unicode escapes': (secret) => each(secret, (code) => `\\u00${two(code)}`),
  'byte escapes': (secret) => each(secret, (code) => `\\x${two(code)}`),
  'octal escapes': (secret) => each(secret, (code) => `\\${code.toString(8).padStart(3, '0')}`),
  json: (secret) => JSON.stringify(JSON.stringify({ a: secret })),
  'escaped slashes': (secret) => secret.replaceAll('/', '\\/'),
  html: (secret) => secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
  cdata: (secret) => `<![CDATA[${secret}]]>`,
  sql: (secret) => `syntax error near '${secret.replaceAll("'", "''")}' at line 1`,
  repr: (secret) => `{'value': b'${secret.replaceAll("'", "\\'")}'}`,
  base64,
  base64url: (secret) => Buffer.from(secret).toString('base64url'),
  'base64 twice': (secret) => base64(base64(secret)),
  'base64 of credentials': (secret) => base64(`client:${secret}`),
  'base64 in lines': (secret) => base64(secret).replace(/.{16}/g, '$&\r\n  '),
  gzip: (secret) => gzipSync(secret).toString('base64'),
  hex,
  'hex with colons': (secret) => (hex(secret).match(/../g) ?? []).join(':'),
  'hex dump': (secret) => `00000000  ${(hex(secret).match(/../g) ?? []).join(' ')}`,
  'list of bytes': (secret) => `[${bytes(secret).join(', ')}]`,
  'quoted-printable': (secret) => secret.replaceAll('=', '=3D').replace(/.{20}/g, '$&=\r\n'),
  'turned round': (secret) => [...secret].reverse().join(''),
  'full width': (secret) => secret.replace(/[!-~]/g, (one) => String.fromCharCode(one.charCodeAt(0) + 0xfee0)),
  'cut at the end': (secret) => `${secret.slice(0, -4)}…`,
  'cut at the beginning': (secret) => `…${secret.slice(4)}`,
  'in groups': (secret) => (secret.match(/.{1,8}/g) ?? []).join(' '),
  'in lines': (secret) => (secret.match(/.{1,12}/g) ?? []).join('\r\n\t'),
  'between tags': (secret) => (secret.match(/.{1,7}/g) ?? []).join('</b><b>'),
}

/** Letters and digits in one case: what remains of a secret in nearly every spelling. */
function bare(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** A text as it is, and with each kind of escape undone. */
function* readings(text: string): Generator<string> {
  const unslashed = text.replace(/\\u([0-9a-f]{4})/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
  for (const one of new Set([text, unslashed])) {
    yield one
    yield one.replace(/<[^<>]*>/g, '')
    yield one.replace(/\\+[rnt]/g, '')
    yield one.normalize('NFKC')
    yield one.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code) % 0x110000))
    yield one.replace(/(?:%(?:25)*([0-9a-f]{2}))/gi, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    )
  }
}

/** Where the secret, or all but a few characters of it, stands in the text: the name of how; undefined where it does not. */
export function findCanary(secret: string, text: string): string | undefined {
  for (const [name, spell] of Object.entries(SPELLINGS)) {
    const spelt = spell(secret)
    for (const one of [spelt, JSON.stringify(spelt).slice(1, -1), spelt.replaceAll('&', '&amp;')])
      if (one.length > 8 && text.includes(one)) return name
  }
  const all = bare(secret)
  // What may be missing are the ends; what is left of it in the middle is enough to guess the rest.
  const middle = all.slice(4, -4)
  const turned = [...middle].reverse().join('')
  for (const reading of readings(text)) {
    const plain = bare(reading)
    if (plain.includes(middle)) return 'a reading'
    if (plain.includes(turned)) return 'a reading, turned round'
  }
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{24,}/g)) {
    const decoded = Buffer.from(run, 'base64')
    if (bare(decoded.toString('latin1')).includes(middle)) return 'base64'
    if (decoded[0] === 0x1f && bare(unpacked(decoded)).includes(middle)) return 'gzip'
  }
  return undefined
}

function unpacked(archive: Buffer): string {
  try {
    return gunzipSync(archive, { finishFlush: 2 }).toString('latin1')
  } catch {
    return ''
  }
}
