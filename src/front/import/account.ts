/** The account of all files of an import: what was carried over, and why the rest was not. */
import { readRequestFates } from './documented.ts'
import type { Imported } from './flow.ts'
import type { Leaf } from './leaves.ts'
import type { ReadRequest } from './recognise.ts'
import type { Source } from './source.ts'

export interface Accounted {
  readonly file: string
  readonly leaves: readonly Leaf[]
}

export interface Made {
  readonly requests: readonly ReadRequest[]
  readonly imported: Imported
  /** the body that a flow sends, by the call that it makes */
  readonly bodies: Parameters<typeof readRequestFates>[1]
}

/** What stands at a place of which nothing was said. The first pattern that fits. */
const OTHERWISE: readonly (readonly [RegExp, string])[] = [
  [
    /\/(?:_postman_id|id|_exporter_id|_collection_link|_postman_exported_at|_postman_exported_using|uid|owner|updatedAt|createdAt|fork)(?:\/|$)/,
    'of use to Postman alone',
  ],
  [/^(?:\/\w+)?\/(?:info\/schema|_postman_variable_scope)$/, 'says what kind of file it is'],
  [/\/info\/(?:version|name)(?:\/|$)|^(?:\/\w+)?\/name$/, 'the name of the file'],
  [/\/response(?:\/|$)/, 'a saved answer: a run records the answers that it gets'],
  [/\/event\/\d+\/script\/exec(?:\/\d+)?$/, 'an empty line or a comment of a script'],
  [/\/event(?:\/|$)/, 'says when and in which language a script runs'],
  [/\/protocolProfileBehavior(?:\/|$)/, 'how Postman sends requests; a flow sends what its step says'],
  [/\/(?:auth)(?:\/|$)/, 'an authorization that no imported request uses'],
  [
    /\/request\/(?:certificate|proxy)(?:\/|$)/,
    'a certificate or proxy: set TRANSPORT_CERT_FILE, TRANSPORT_KEY_FILE, or HTTPS_PROXY',
  ],
  [/\/(?:values|variable)\/\d+/, 'a variable that no imported call reads'],
  [/\/(?:header|query|values|variable|urlencoded|formdata|response|item|event|exec|path|host)$/, 'an empty list'],
  [/\/item\/\d+\/name$/, 'the name of a folder'],
]

export function account(sources: readonly Source[], { requests, imported, bodies }: Made): readonly Accounted[] {
  for (const { request, reason } of imported.left) listWhole(request, reason)
  for (const one of requests) {
    if (one.documented !== undefined) readRequestFates(one, bodies)
    else if (!imported.left.some(({ request }) => request === one)) translatedFates(one)
    if (one.request.inherited.length > 0) listScripts(one)
  }
  for (const { request, at, is, words } of imported.fates) {
    const { account: ledger } = request.request.source
    if (is === 'carried') ledger.carry(at, words)
    else ledger.list(at, words)
  }
  for (const { variable, to } of imported.carried) variable.source.account.carry(variable.at, to)
  for (const { kind, at, account: ledger } of sources)
    if (kind === 'collection' && imported.flow !== undefined) ledger.carry(`${at}/info/name`, 'the title of the flow')
  return sources.map(({ name, leaves, account: ledger }) => ({ file: name, leaves: ledger.settle(leaves, reasonFor) }))
}

function reasonFor(pointer: string): string {
  return OTHERWISE.find(([pattern]) => pattern.test(pointer))?.[1] ?? 'nothing of this kind is known to the import'
}

function listWhole({ request }: ReadRequest, reason: string): void {
  for (const place of ['request', 'event', 'name']) request.source.account.list(`${request.at}/${place}`, reason)
}

function translatedFates({ request, scripts }: ReadRequest): void {
  const { account: ledger } = request.source
  if (ledger.isOpen(`${request.at}/name`)) ledger.carry(`${request.at}/name`, 'the description of the step')
  for (const [at, words] of scripts.carried) ledger.carry(at, words)
  for (const [at, words] of scripts.left) ledger.list(at, words)
}

function listScripts({ request }: ReadRequest): void {
  for (const { lines } of request.inherited)
    for (const { text, at } of lines)
      if (text.trim() !== '')
        request.source.account.list(at, 'a script of a folder or the collection: write what it does into the steps')
}
