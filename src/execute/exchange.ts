/** What was on the wire, as the record may hold it: parsed for the checks, redacted for the reader. Pure. */
import { createHash } from 'node:crypto'
import type { Exchange } from '../record/index.ts'
import { isLargerThan, readJson, withBigInts, withTexts, writeJson } from '../record/json.ts'
import { LIMITS } from '../record/limits.ts'
import type { Redactor } from '../secret/index.ts'
import type { Delivery, Outgoing } from '../transport/transport.ts'
import { isJson, type ParsedAnswer } from './answer.ts'

export function exchangeOf(
  outgoing: Outgoing,
  delivery: Delivery,
  answer: ParsedAnswer | undefined,
  redactor: Redactor,
): Exchange {
  // Hashes of certificates are no secret, whatever a server calls by their name.
  if (delivery.tls !== undefined) redactor.exempt(delivery.tls)
  return {
    request: {
      method: outgoing.method,
      url: redactor.url(outgoing.url),
      headers: redactor.headers(delivery.sentHeaders ?? outgoing.headers),
      body: recordedBody(Buffer.from(outgoing.body ?? ''), readRequestBody(outgoing), redactor),
    },
    ...(delivery.kind === 'answered' && answer !== undefined
      ? {
          response: {
            status: answer.status,
            headers: redactor.headers(answer.headers),
            body: recordedBody(delivery.answer.body, answer.body, redactor),
          },
        }
      : {}),
    sent: delivery.kind === 'answered' ? 'yes' : delivery.sent,
    ...(delivery.kind === 'failed' ? { error: redactor.record(delivery.problem) } : {}),
    ...(delivery.tls === undefined ? {} : { tls: delivery.tls }),
    timing: delivery.timing,
  }
}

/** Of an exchange that cannot be recorded as it was: where it went, its status and its size. */
export function bareExchangeOf(
  { method, url, body }: Outgoing,
  { answer, tls, timing }: Extract<Delivery, { kind: 'answered' }>,
): Exchange {
  return {
    request: { method, url: URL.parse(url)?.origin ?? '', headers: [], body: { bytes: Buffer.byteLength(body ?? '') } },
    response: { status: answer.status, headers: [], body: { bytes: answer.body.length } },
    sent: 'yes',
    ...(tls === undefined ? {} : { tls }),
    timing,
  }
}

/** For the record alone; what does not parse is shown as it was sent, since a flow may break a body on purpose. */
function readRequestBody({ headers, body }: Outgoing): unknown {
  const type = headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  if (body === undefined) return undefined
  if (type.startsWith('application/x-www-form-urlencoded')) {
    const form = new URLSearchParams(body)
    return Object.fromEntries([...form.keys()].map((name) => [name, alone(form.getAll(name))]))
  }
  if (!isJson(headers)) return body
  const json = readJson(body)
  return json.ok ? json.value : body
}

function alone<T>(items: readonly T[]): T | readonly T[] {
  const [first] = items
  return items.length === 1 && first !== undefined ? first : items
}

/** Size and hash speak of the bytes on the wire; the text is what may be shown of them. */
function recordedBody(bytes: Uint8Array, parsed: unknown, redactor: Redactor): Exchange['request']['body'] {
  // Nothing is known of the secrets in what cannot be read.
  if (bytes.length === 0 || parsed === undefined) return { bytes: bytes.length }
  // A body that came compressed is longer than its bytes.
  const most = LIMITS.shownBody.value
  if (bytes.length > most || isLargerThan(parsed, most)) return { bytes: bytes.length, truncated: true }
  const before = redactor.replacements
  const redacted = redactor.value(withTexts(parsed))
  // A secret may be in pieces that stand in several members.
  const text = typeof redacted === 'string' ? redacted : redactor.text(writeJson(withBigInts(parsed, redacted), 2))
  // Where all but a short secret is shown, a hash of the whole would let it be found by trying.
  const isHashed = redactor.replacements === before
  const truncated = text.length > LIMITS.recordedBody.value
  return {
    bytes: bytes.length,
    ...(isHashed ? { sha256: createHash('sha256').update(bytes).digest('hex') } : {}),
    text: truncated ? text.slice(0, LIMITS.recordedBody.value) : text,
    ...(truncated ? { truncated } : {}),
  }
}
