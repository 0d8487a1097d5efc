/**
 * The named faults: what each does, which check of a client it turns red, and how it is made. The command line, docs/twin.md and
 * the tests use this table.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { HttpResponse, http } from 'msw'
import examples from '../../fixtures/thredd/error-examples.json' with { type: 'json' }
import { BrokenRule, HandshakeRefusal } from '../handler.ts'
import { isRule, RULES, type Rule } from '../rules.ts'
import type { Twin } from '../twin.ts'
import {
  alter,
  changeContentType,
  changeField,
  changeHeader,
  changeStatus,
  type Fault,
  loseAnswer,
  replaceBody,
  withoutLength,
} from './changes.ts'
import { leaveOut, repeatFirst, sendOther } from './client.ts'

const MEMBER = '"header" and its name, or the JSON Pointer of a member of the body'
const PART = `"url", ${MEMBER}`

/** Faults of the client, not of the servers. */
export const OF_THE_CLIENT: readonly FaultName[] = ['sends', 'omits', 'repeats']

export interface CatalogueEntry {
  readonly what: string
  /** the meaning of the value and its default; absent for a fault without a value */
  readonly value?: { readonly about: string; readonly default?: string }
  /** the only operations that it can affect with that value; default: every one */
  readonly operations?: (value: string) => readonly string[]
  /** the check of a flow that fails, or the error of a step */
  readonly red: string
  make(operation: string, value: string): Fault
}

export const FAULTS = {
  handshake: {
    what: 'the host of the operation refuses every certificate in the handshake; in-process the connection ends',
    red: 'the step is errored: TLS_CLIENT_REFUSED or PEER_CLOSED',
    make: (operation) => ({
      name: `${operation} handshake`,
      what: `the host of ${operation} refuses every certificate in the handshake`,
      handlers: (twin) => [new HandshakeRefusal(twin.operations.get(operation) ?? [])],
    }),
  },
  html400: {
    what: 'the certificate is refused with the HTML page of a reverse proxy, status 400; nothing is done',
    red: 'the step is errored: TLS_CLIENT_REFUSED',
    make: (operation) =>
      instead(operation, 'html400', () => {
        const page = examples.transport[0]?.body_text ?? ''
        return new HttpResponse(page, { status: 400, headers: { 'content-type': 'text/html' } })
      }),
  },
  slow: {
    what: 'the answer comes late',
    value: { about: 'milliseconds', default: '10000' },
    red: 'the step is errored: TIMEOUT, where the client waits less',
    make(operation, value) {
      const milliseconds = wholeNumber('slow', value)
      return alter(
        `${operation} slow ${value}`,
        `the answer of ${operation} takes ${value} ms`,
        operation,
        async (response) => {
          await wait(milliseconds)
          return response
        },
      )
    },
  },
  cut: {
    what: 'the connection ends in the middle of the body',
    red: 'the step is errored: PEER_CLOSED',
    make: (operation) =>
      alter(`${operation} cut`, `the body of ${operation} is cut in the middle`, operation, async (response) => {
        const body = new Uint8Array(await response.arrayBuffer())
        const half = body.subarray(0, Math.ceil(body.length / 2))
        let isSent = false
        const stream = new ReadableStream<Uint8Array>({
          async pull(controller) {
            if (isSent) {
              // Long enough for the first half to leave the process.
              await wait(20)
              controller.error(new Error('cut'))
              return
            }
            isSent = true
            controller.enqueue(half)
          },
        })
        const headers = new Headers(response.headers)
        headers.set('content-length', String(body.length))
        return new HttpResponse(stream, { status: response.status, headers })
      }),
  },
  reset: {
    what: 'the connection ends before anything is done and without an answer',
    red: 'the step is errored: PEER_CLOSED',
    make: (operation) => instead(operation, 'reset', () => HttpResponse.error()),
  },
  'answer-lost': {
    what: 'the operation takes effect, then the connection ends without an answer',
    red: 'the step is errored: PEER_CLOSED; the client may be registered',
    make: loseAnswer,
  },
  throttled: {
    what: 'status 429 with Retry-After; nothing is done',
    value: { about: 'seconds of Retry-After', default: '1' },
    red: 'the step is errored: THROTTLED',
    make(operation, value) {
      const headers = { 'retry-after': String(wholeNumber('throttled', value)) }
      const body = { error: 'too_many_requests', error_description: 'the rate limit is exceeded' }
      return instead(operation, `throttled ${value}`, () => HttpResponse.json(body, { status: 429, headers }))
    },
  },
  unavailable: {
    what: 'every request is answered with a 5xx status; nothing is done',
    value: { about: 'status', default: '503' },
    red: 'the step is errored: SERVER_ERROR',
    make: (operation, value) => instead(operation, `unavailable ${value}`, outOfOrder(value)),
  },
  'unavailable-once': {
    what: 'the first request is answered with a 5xx status; nothing is done',
    value: { about: 'status', default: '503' },
    red: 'the step is errored: SERVER_ERROR, unless the client tries again',
    make: (operation, value) => instead(operation, `unavailable-once ${value}`, outOfOrder(value), true),
  },
  status: {
    what: 'the operation takes effect and answers with another status',
    value: { about: 'status' },
    red: 'status, or the criterion on $statusCode',
    make: (operation, value) => changeStatus(operation, wholeNumber('status', value)),
  },
  'content-type': {
    what: 'the Content-Type header names another type than the body has',
    value: { about: 'media type', default: 'text/html' },
    red: 'content-type',
    make: changeContentType,
  },
  'no-header': {
    what: 'a header of the answer is missing',
    value: { about: 'header name', default: 'cache-control' },
    red: 'the criterion on that header',
    make: (operation, value) => changeHeader(operation, value, undefined),
  },
  huge: {
    what: 'many mebibytes of blanks follow the body',
    value: { about: 'mebibytes', default: '64' },
    red: 'the step is errored: TOO_LARGE',
    make(operation, value) {
      const mebibytes = wholeNumber('huge', value)
      return alter(
        `${operation} huge ${value}`,
        `the body of ${operation} has ${value} MiB more`,
        operation,
        async (response) => {
          const first = new Uint8Array(await response.arrayBuffer())
          return new HttpResponse(padded(first, mebibytes), {
            status: response.status,
            headers: withoutLength(response),
          })
        },
      )
    },
  },
  malformed: {
    what: 'the body is the first half of its JSON',
    red: 'schema',
    make: (operation) =>
      alter(`${operation} malformed`, `the JSON of ${operation} is cut in half`, operation, async (response) => {
        const body = await response.text()
        return new HttpResponse(body.slice(0, Math.ceil(body.length / 2)), {
          status: response.status,
          headers: withoutLength(response),
        })
      }),
  },
  empty: {
    what: 'the body is empty',
    red: 'schema',
    make: (operation) => replaceBody(operation, ''),
  },
  missing: {
    what: 'a member of the JSON answer is missing',
    value: { about: 'JSON Pointer, as in /access_token' },
    red: 'schema of that member, and each criterion that reads it',
    make: (operation, value) => changeField(operation, value, undefined),
  },
  member: {
    what: 'a member of the JSON answer has another value',
    value: { about: 'JSON Pointer, "=" and JSON (or plain text), as in /expires_in="599"' },
    red: 'schema of that member, or each criterion that compares it',
    make(operation, value) {
      const equals = value.indexOf('=')
      if (equals < 0) throw new Error(`fault "member" needs a value: /pointer=value; found "${value}"`)
      return changeField(operation, value.slice(0, equals), jsonOrText(value.slice(equals + 1)))
    },
  },
  sends: {
    what: 'the client sends another value',
    value: { about: `${PART}, "=" and JSON (or plain text), as in /scopes=["cards.read"]` },
    red: 'the criterion on what the client asked for, or a step that is refused',
    make(operation, value) {
      const equals = value.indexOf('=')
      if (equals < 0) throw new Error(`fault "sends" needs a value: part=value; found "${value}"`)
      return sendOther(operation, partIn(value.slice(0, equals)), jsonOrText(value.slice(equals + 1)))
    },
  },
  omits: {
    what: 'the client leaves a part of the request out',
    value: { about: MEMBER },
    red: 'the criterion on what the client asked for, or a step that is refused',
    make: (operation, value) => leaveOut(operation, partIn(value)),
  },
  repeats: {
    what: 'the client sends what it sent the first time again and again',
    value: { about: PART },
    red: 'a step that is refused',
    make: (operation, value) => repeatFirst(operation, partIn(value)),
  },
  breaks: {
    what: 'the operation is carried out as usual, but for one rule of the servers',
    value: { about: 'a rule of the table below' },
    operations: (value) => RULES[ruleOf(value)].operations,
    red: 'a step that must be refused, or the criterion on what the rule is about',
    make: (operation, value) => {
      const rule = ruleOf(value)
      return {
        name: `${operation} breaks ${rule}`,
        what: `${operation} breaks the rule that ${RULES[rule].keeps}`,
        handlers: () => [new BrokenRule(rule, operation)],
      }
    },
  },
} as const satisfies Readonly<Record<string, CatalogueEntry>>

export type FaultName = keyof typeof FAULTS

/**
 * The faults for a text `name[:operation][=value]`; without an operation, one for each documented operation. Throws a plain
 * Error that names what is unknown or missing.
 */
export function faultsOf(text: string, operations: Twin['operations']): readonly Fault[] {
  const [, name = '', operation, given] = /^([^:=]*)(?::([^=]*))?(?:=(.*))?$/s.exec(text) ?? []
  if (!Object.hasOwn(FAULTS, name)) {
    throw new Error(`unknown fault "${name}"; known are ${Object.keys(FAULTS).join(', ')}`)
  }
  const entry: CatalogueEntry = FAULTS[name as FaultName]
  if (operation !== undefined && !operations.has(operation)) {
    throw new Error(`unknown operation "${operation}"; known are ${[...operations.keys()].join(', ')}`)
  }
  if (given !== undefined && entry.value === undefined) throw new Error(`fault "${name}" takes no value`)
  const value = given ?? entry.value?.default
  if (value === undefined && entry.value !== undefined) {
    throw new Error(`fault "${name}" needs a value: ${entry.value.about}`)
  }
  const affectable = entry.operations?.(value ?? '') ?? [...operations.keys()]
  if (operation !== undefined && !affectable.includes(operation)) {
    throw new Error(`fault "${text}" does not affect ${operation}; it affects ${affectable.join(', ')}`)
  }
  const affected = operation === undefined ? affectable : [operation]
  return affected.map((one) => entry.make(one, value ?? ''))
}

function partIn(value: string): string {
  if (/^(?:url$|header [\w-]+$|\/)/.test(value)) return value
  throw new Error(`a fault of the client names ${PART}; found "${value}"`)
}

function ruleOf(value: string): Rule {
  if (isRule(value)) return value
  throw new Error(`the servers have no rule "${value}"; they have ${Object.keys(RULES).join(', ')}`)
}

/** Answers in place of the operation, which is then not carried out. */
function instead(operation: string, change: string, answer: () => Response, once = false): Fault {
  return {
    name: `${operation} ${change}`,
    what: `instead of ${operation}: ${change}${once ? ', the first time' : ''}`,
    handlers: (twin) => [http.all(({ request }) => twin.operationOf(request) === operation, answer, { once })],
  }
}

/** A body that is made while it is read, so that it never is in memory as a whole. */
function padded(first: Uint8Array<ArrayBuffer>, mebibytes: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const blank = new Uint8Array(1024 * 1024).fill(32)
  let left = mebibytes
  return new ReadableStream({
    start: (controller) => controller.enqueue(first),
    pull(controller) {
      if (left === 0) return controller.close()
      left -= 1
      controller.enqueue(blank)
    },
  })
}

function outOfOrder(value: string): () => Response {
  const status = wholeNumber('unavailable', value)
  if (status < 500 || status > 599) throw new Error(`fault "unavailable" needs a status from 500 to 599, not ${status}`)
  const body = { error: 'temporarily_unavailable', error_description: 'the server is unavailable' }
  return () => HttpResponse.json(body, { status })
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`fault "${name}" needs a whole number; found "${text}"`)
  return Number(text)
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
