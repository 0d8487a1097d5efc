/**
 * Messages to Thredd's staff: the exact text, and the facts behind it. After a POST or PUT that succeeded a run asks for the
 * Programme Manager (or Issuer) metadata, which a POST does not set and a PUT wipes. That a client be deleted is asked only
 * where the user wants the message. Pure.
 */
import type { Change, ChangeMade } from '../record/effect.ts'
import { oneLine } from '../record/foreign.ts'
import type { RunRecord } from '../record/index.ts'

export type MessageToThredd = NonNullable<RunRecord['messagesToThredd']>[number]

export interface Application {
  readonly environment: string
  /** base URL */
  readonly authorizationServer: string | undefined
  readonly organisation: string | undefined
  readonly application: string | undefined
}

export function applicationOf(
  { name, servers }: { readonly name: string; readonly servers: ReadonlyMap<string, string> },
  { organisation, softwareId }: { readonly organisation: string | undefined; readonly softwareId: string | undefined },
): Application {
  return {
    environment: name,
    authorizationServer: servers.get('authorization'),
    organisation,
    application: softwareId,
  }
}

/** One message for each client that Thredd has to act on; a client that the run deleted again needs none. */
export function messagesToThredd(changes: readonly ChangeMade[], application: Application): MessageToThredd[] {
  return [...Map.groupBy(changes, ({ clientId }) => clientId)].flatMap(([clientId, made]) => {
    const last = made.at(-1)
    const asks = last === undefined || last.change === 'delete' ? undefined : ASKS[last.outcome][last.change]
    if (last === undefined || asks === undefined) return []
    const facts = {
      clientId: oneLine(clientId),
      asks,
      organisation: application.organisation,
      at: last.at,
      // Of the client before the run, which is the one that Thredd's staff know.
      scopesBefore: made[0]?.scopesBefore?.map(oneLine),
      scopesAfter: last.scopesAfter?.map(oneLine),
    }
    return [{ ...facts, text: textOf(facts, made, application) }]
  })
}

const ASKS: Readonly<Record<ChangeMade['outcome'], Partial<Record<Change, MessageToThredd['asks']>>>> = {
  done: { register: 'set-metadata', update: 'set-metadata' },
  // A registration whose answer was lost is registered again first; a PUT has wiped the metadata all the same.
  unknown: { update: 'set-metadata' },
}

const WORDS: Readonly<Record<MessageToThredd['asks'], { readonly subject: string; readonly request: string }>> = {
  'set-metadata': {
    subject: 'Please set the Programme Manager (or Issuer) metadata of an OAuth client',
    request:
      'Please set the Programme Manager (or Issuer) metadata of this OAuth client, and tell us when it is done:\nuntil then its access tokens lack it, and the APIs may refuse them.',
  },
  'delete-client': {
    subject: 'Please delete an OAuth client',
    request:
      'Please delete this OAuth client, and tell us when it is done: we hold no registration_access_token that works\nfor it, so that we can neither update nor delete it. We will then register it again.',
  },
}

const DONE: Readonly<Record<Change, string>> = {
  register: 'registered with a DCR POST',
  update: 'updated with a DCR PUT, which deletes its metadata',
  delete: 'deleted with a DCR DELETE',
}

function textOf(
  { asks, clientId, scopesBefore, scopesAfter }: Omit<MessageToThredd, 'text'>,
  made: readonly ChangeMade[],
  { environment, authorizationServer, organisation, application }: Application,
): string {
  const { subject, request } = WORDS[asks]
  const scopes = (list: readonly string[] | undefined, unknown: string) => (list ? list.join(' ') || 'none' : unknown)
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Client ID', clientId],
    ['Organisation', organisation],
    ['Application', application],
    ['Environment', [environment, authorizationServer].filter((part) => part !== undefined).join(', ')],
    ['Scopes before', made.length === 0 ? undefined : scopes(scopesBefore, 'no earlier client is known')],
    ['Scopes now', asks === 'delete-client' ? undefined : scopes(scopesAfter, 'not known')],
    ...made.map(({ change, outcome, at }): readonly [string, string] => [
      `${at.slice(0, 19)}Z`,
      inWords(change, outcome),
    ]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length)) + 1
  return [
    `Subject: ${subject}`,
    '',
    ...rows.flatMap(([name, value]) => (value === undefined ? [] : [`${`${name}:`.padEnd(width)} ${oneLine(value)}`])),
    '',
    request,
    '',
  ].join('\n')
}

function inWords(change: Change, outcome: ChangeMade['outcome']): string {
  if (outcome === 'done') return DONE[change]
  const call = { register: 'a DCR POST', update: 'a DCR PUT', delete: 'a DCR DELETE' }[change]
  return `${call} was sent, and its answer was lost; it may have taken effect`
}

/** A client as the vault holds it, for a message that the user asks for. */
export interface KnownClient {
  readonly clientId: string
  readonly scopes: readonly string[] | undefined
  /** UTC, RFC 3339, with seconds */
  readonly at: string
}

/** The message that a user asks for, whatever a run did. */
export function requestedMessage(
  asks: MessageToThredd['asks'],
  { clientId, scopes, at }: KnownClient,
  application: Application,
): string {
  return textOf(
    { asks, clientId, at, organisation: application.organisation, scopesAfter: scopes && [...scopes] },
    [],
    application,
  )
}
