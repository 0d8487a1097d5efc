/** What becomes of the parts of a documented request: its flow sends them too, or the account says what it sends instead. */
import type { CallName, ReadRequest } from './recognise.ts'
import { concealed } from './secrets.ts'
import { jsonOf, registeredScopes } from './settings.ts'
import { isObject } from './source.ts'

/** Members of the bodies that the flows send. */
export interface Bodies {
  /** of the registration, by name; `scopes` and `software_statement` are the run's */
  readonly register: Readonly<Record<string, unknown>>
  /** SCOPES, as the import sets it */
  readonly scopes: string | undefined
}

const HEADERS =
  /^(?:accept|content-type|authorization|x-region|user-agent|host|connection|accept-encoding|content-length|cache-control)$/i

/** Members of forms that the flows send, by call. */
const FIELDS: Readonly<Partial<Record<CallName, readonly string[]>>> = {
  'directory-token': ['grant_type', 'scope', 'client_id', 'client_assertion_type', 'client_assertion'],
  'api-token': ['grant_type', 'client_assertion_type', 'client_assertion'],
  introspect: ['token', 'client_assertion_type', 'client_assertion'],
}

export function readRequestFates(read: ReadRequest, bodies: Bodies): void {
  const { request, documented, scripts, url } = read
  if (documented === undefined) return
  const { account: ledger } = request.source
  const flow = `flow ${documented.flow}`
  if (ledger.isOpen(`${request.at}/name`)) ledger.carry(`${request.at}/name`, flow)
  ledger.carry(`${request.at}/request/method`, flow)
  if (documented.call === 'cards' && /\/cards\/?$/.test(url))
    ledger.list(
      request.urlAt,
      'no page documents GET /api/v1/cards: the flow access-token reads /api/v1/products instead',
    )
  else ledger.carry(request.urlAt, flow)
  for (const { name, at } of request.query)
    if (at !== request.urlAt) ledger.list(at, `${flow} does not send the parameter "${concealed(name).slice(0, 40)}"`)
  for (const { name, at } of request.headers) {
    if (HEADERS.test(name)) ledger.carry(at, flow)
    else ledger.list(at, `${flow} does not send this header`)
  }
  if (request.auth !== undefined) ledger.carry(request.auth.at, flow)
  bodyFates(read, bodies, flow)
  for (const [at, words] of scripts.carried) ledger.carry(at, /^replaced/.test(words) ? words : flow)
  for (const [at, words] of scripts.left) ledger.list(at, words)
}

function bodyFates({ request, documented }: ReadRequest, bodies: Bodies, flow: string): void {
  const { body, source } = request
  if (body === undefined || documented === undefined) return
  const whole = body.at.slice(0, body.at.lastIndexOf('/'))
  for (const member of ['mode', 'options']) source.account.carry(`${whole}/${member}`, flow)
  if (body.entries.length > 0 || body.mode !== 'raw') {
    const sent = FIELDS[documented.call] ?? []
    for (const { name, at } of body.entries) {
      if (sent.includes(name)) source.account.carry(at, flow)
      else if (documented.call === 'api-token' && name === 'scope')
        source.account.list(at, 'thredd token gets a token of one scope by its flag scope')
      else source.account.list(at, `${flow} does not send the field "${concealed(name).slice(0, 40)}"`)
    }
    return
  }
  const others = differences(request, documented.call, bodies)
  if (others.length === 0) source.account.carry(body.at, flow)
  else source.account.list(body.at, `${flow} sends its own body: ${others.join(', ')}`)
}

/** What the flow sends otherwise, in words without a value of the file. */
function differences(request: ReadRequest['request'], call: CallName, { register, scopes }: Bodies): readonly string[] {
  const metadata = jsonOf(request.body?.text ?? '')
  if (!isObject(metadata)) return ['the body in Postman is no JSON object']
  const names = Object.entries(metadata).flatMap(([name, value]) => {
    if (/^(?:scopes?|software_statement|client_id)$/.test(name)) return []
    return JSON.stringify(register[name]) === JSON.stringify(value)
      ? []
      : [`"${concealed(name).slice(0, 40)}" is ${name in register ? 'another' : 'not sent'}`]
  })
  const own = registeredScopes(request)
  const isOther = own !== undefined && scopes !== undefined && own.join(',') !== scopes
  return [
    ...names,
    ...(isOther
      ? [
          `its scopes are those of SCOPES; for others: --input scopes=${own.join(',').slice(0, 200)}${call === 'update' ? ' --input added_scope=…' : ''}`,
        ]
      : []),
  ]
}
