/**
 * The formats of JSON Schema that are judged. Each takes time in proportion to the text. Any other format says nothing.
 * @see [JSON Schema Validation 2020-12, Defined Formats](https://json-schema.org/draft/2020-12/json-schema-validation#section-7.3)
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { parseSchemaPattern } from '../expression/pattern.ts'

export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': isDateTime,
  date: isDate,
  time: isTime,
  duration: (text) =>
    /^P(?!$)(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)?(?:T(?=\d)(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)$/.test(
      text,
    ),
  email: isEmail,
  hostname: isHostname,
  ipv4: isIPv4,
  ipv6: (text) => isIPv6(text) && !text.includes('%'),
  uri: (text) => /^[a-z][a-z0-9+.-]*:/i.test(text) && isReference(text),
  'uri-reference': isReference,
  uuid: (text) => /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  regex: isPattern,
  'json-pointer': (text) => /^(?:\/(?:[^~/]|~[01])*)*$/.test(text),
  'relative-json-pointer': (text) => /^(?:0|[1-9]\d*)(?:#|(?:\/(?:[^~/]|~[01])*)*)$/.test(text),
}

/** RFC 3339 §5.6 */
function isDateTime(text: string): boolean {
  return /^.{10}t/i.test(text) && isDate(text.slice(0, 10)) && isTime(text.slice(11))
}

function isDate(text: string): boolean {
  const [, year = 0, month = 0, day = 0] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? []
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()
}

/** A leap second is the last one of a day in UTC. */
function isTime(text: string): boolean {
  const found = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:z|([+-])(\d\d):(\d\d))$/i.exec(text)
  if (found === null) return false
  const [hour = 0, minute = 0, second = 0, , offsetHour = 0, offsetMinute = 0] = found
    .slice(1)
    .map((part) => Number(part ?? 0))
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return false
  if (second < 60) return true
  const offset = (offsetHour * 60 + offsetMinute) * (found[4] === '-' ? -1 : 1)
  return (hour * 60 + minute - offset + 2 * DAY) % DAY === DAY - 1
}
/** in minutes */
const DAY = 1440

/** RFC 5321 §4.1.2, with the domain of ASCII letters or an address in brackets */
function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@')
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  if (local.length === 0 || local.length > 64) return false
  const isLocal = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/.test(local)
  const isQuoted = /^"(?:[ !#-[\]-~]|\\[ -~])*"$/.test(local)
  const literal = /^\[(?:IPv6:)?(.*)\]$/i.exec(domain)?.[1]
  return (isLocal || isQuoted) && (literal === undefined ? isHostname(domain) : isIP(literal) !== 0)
}

/** RFC 1123 §2.1 */
function isHostname(text: string): boolean {
  return (
    text.length > 0 &&
    text.length <= 253 &&
    text.split('.').every((label) => label.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label))
  )
}

/** RFC 3986 §4.1: the characters of each part, and an address in brackets only as a host. */
function isReference(text: string): boolean {
  const [, scheme, authority, path = '', query = '', fragment = ''] =
    /^([^:/?#]+:)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text) ?? []
  if (scheme !== undefined && !/^[a-z][a-z0-9+.-]*:$/i.test(scheme)) return false
  if (authority !== undefined && !isAuthority(authority)) return false
  return [path, query.slice(1), fragment.slice(1)].every((part) => PART.test(part))
}
const PART = /^(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*$/i

function isAuthority(authority: string): boolean {
  const [, user = '', host = ''] = /^([^@]*@)?(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(authority) ?? ['', '', '#']
  if (!/^(?:[\w.~!$&'()*+,;=:-]|%[0-9a-f]{2})*@?$/i.test(user)) return false
  const address = /^\[(.*)\]$/.exec(host)?.[1]
  if (address === undefined) return /^(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*$/i.test(host)
  return (isIPv6(address) && !address.includes('%')) || /^v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+$/i.test(address)
}

function isPattern(text: string): boolean {
  try {
    parseSchemaPattern(text)
    return true
  } catch (error) {
    return error instanceof Error && 'unsupported' in error && error.unsupported === true
  }
}
