/** What was on the wire, as the record may hold it: parsed for the checks, redacted for the reader. Pure. */
import { createHash } from 'node:crypto'
import type { Exchange } from '../record/index.ts'
import type { Redactor } from '../secret/index.ts'
import type { Answer, Delivery, Outgoing } from '../transport/transport.ts'
import { isJson, type ParsedAnswer } from './judge.ts'

/** Bodies beyond this stand in the record by size and hash alone. */
const LONGEST_RECORDED_BODY = 64 * 1024

export function exchangeOf(
  outgoing: Outgoing,
  delivery: Delivery,
  answer: ParsedAnswer | undefined,
  redactor: Redactor,
): Exchange {
  // Hashes of certificates are no secret, whatever a server calls by their name.
  if (delivery.tls !== undefined) redactor.own(delivery.tls)
  return {
    request: {
      method: outgoing.method,
      url: redactor.value(outgoing.url),
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

/** For the record alone; what does not parse is shown as it was sent, since a flow may break a body on purpose. */
function readRequestBody({ headers, body }: Outgoing): unknown {
  const type = headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  if (body === undefined) return undefined
  if (type.startsWith('application/x-www-form-urlencoded')) {
    const form = new URLSearchParams(body)
    return Object.fromEntries([...form.keys()].map((name) => [name, alone(form.getAll(name))]))
  }
  if (!isJson(headers)) return body
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

function alone<T>(items: readonly T[]): T | readonly T[] {
  const [first] = items
  return items.length === 1 && first !== undefined ? first : items
}

/** Size and hash speak of the bytes on the wire; the text is what may be shown of them. */
function recordedBody(bytes: Uint8Array, parsed: unknown, redactor: Redactor): Exchange['request']['body'] {
  if (bytes.length === 0) return { bytes: 0 }
  const before = redactor.hidden
  const redacted = redactor.value(parsed)
  // Where all but a short secret is shown, a hash of the whole would let it be found by trying.
  const isHashed = redactor.hidden === before
  // Of a byte order mark alone nothing is left.
  const text = typeof redacted === 'string' ? redacted : (JSON.stringify(redacted, null, 2) ?? '')
  const truncated = text.length > LONGEST_RECORDED_BODY
  return {
    bytes: bytes.length,
    ...(isHashed ? { sha256: createHash('sha256').update(bytes).digest('hex') } : {}),
    text: truncated ? text.slice(0, LONGEST_RECORDED_BODY) : text,
    ...(truncated ? { truncated } : {}),
  }
}

export function parseAnswer(answer: Answer, text: string): ParsedAnswer {
  const { status, headers } = answer
  if (text === '') return { status, headers, body: undefined, malformed: false }
  // The directory answers with the bare assertion, a JSON string or white space around it, depending on version.
  if (!isJson(headers)) return { status, headers, body: text.trim(), malformed: false }
  try {
    return { status, headers, body: JSON.parse(text) as unknown, malformed: false }
  } catch {
    return { status, headers, body: text, malformed: true }
  }
}
