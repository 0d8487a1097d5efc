/**
 * What to do about a failed call: a table with one sentence for each situation that Thredd's pages describe. The console and
 * the reports for people read it.
 */
import type { Effect } from '../record/effect.ts'
import type { Command } from '../record/hints.ts'
import type { StepRecord } from '../record/index.ts'
import { type Refusal, refusalOf } from '../record/refusals.ts'

interface Situation {
  /** operations in which it can happen, or what the call does to a client */
  readonly operations?: readonly string[]
  readonly effects?: readonly Effect[]
  readonly status?: readonly number[]
  /** of a registration or an update: what status and error point to */
  readonly refusal?: Refusal
  /** what the body of the answer must match */
  readonly says?: RegExp
  /** the answer grants fewer scopes than were requested */
  readonly drops?: true
  /** what happened, and the documented way out; one sentence without its full stop */
  readonly sentence: string | ((command: Command) => string)
}

const MANAGEMENT: readonly Effect[] = ['read', 'update', 'delete']
const REGISTRATION: readonly Effect[] = ['register', 'update']
const APIS = ['cardsSmoke', 'listProducts']

/** The first row that fits counts. Section numbers are those of the page "Using DCR Endpoint Data". */
export const SITUATIONS: readonly Situation[] = [
  {
    operations: ['directoryToken'],
    status: [400, 401],
    sentence:
      'Thredd CA does not accept this client with this certificate: compare CLIENT_ID with Thredd CA > Applications > (application) > Details, see that TRANSPORT_CERT_FILE is a certificate of that application, and that DIRECTORY_AUTH_METHOD is the method set there',
  },
  {
    operations: ['getSoftwareStatementAssertion'],
    status: [400, 403, 404],
    sentence:
      'Thredd CA gives no software statement for these ids: compare ORG_ID (Postman: org_id) and SOFTWARE_ID (Postman: ssa_id) with Thredd CA > Applications > (application) > Details; where they are right, generate the software statement first: Thredd CA > Applications > (application) > Assertion',
  },
  {
    operations: ['getSoftwareStatementAssertion'],
    status: [401],
    sentence:
      'the directory token was not accepted: it lives ten minutes and works only with the certificate it was issued to, so run the flow again from its beginning',
  },
  {
    effects: REGISTRATION,
    refusal: 'statement unapproved',
    sentence:
      'application or organisation is not active in Thredd CA: ask Thredd to activate it, then fetch a new software statement',
  },
  {
    effects: REGISTRATION,
    refusal: 'statement',
    sentence:
      'the software statement was not accepted: it is too old, was made before a change, or is of another application; fetch a fresh one, which every flow does, and compare SOFTWARE_ID and CLIENT_ID',
  },
  {
    effects: REGISTRATION,
    refusal: 'scope',
    sentence:
      'a requested scope belongs to no role of the application: set the role in Thredd CA (section 3.3.2, Setting a Role for a Scope; a locked software statement must be unlocked first), fetch a fresh software statement and try again, or leave the scope out',
  },
  {
    effects: ['register'],
    refusal: 'registered',
    sentence: (command) =>
      `so a server refuses an application that has a client already: bring its registration variables into the vault if they are not there (${command('import')}), then update it (${command('update')}) or delete and recreate it (${command('recreate')}); only where they are lost ask Thredd to delete it (${command('askToDelete')}, section 3.3.2)`,
  },
  {
    effects: REGISTRATION,
    status: [200, 201],
    drops: true,
    sentence: (command) =>
      `the server left out scopes that no role of the application covers: set the role in Thredd CA (a locked software statement must be unlocked first), then ${command('addRole')}, which fetches a fresh software statement`,
  },
  {
    effects: MANAGEMENT,
    status: [401, 404],
    sentence: (command) =>
      `the registration access token is not accepted: it was replaced, or the client was deleted; ${command('checkTokens')} tries every stored token, and where none works Thredd must delete the client (section 3.3.2, ${command('askToDelete')})`,
  },
  {
    effects: MANAGEMENT,
    status: [403],
    sentence:
      'the registration access token may not manage this client: it is of another client, or the server has switched management by token off; ask Thredd which (docs/ask-thredd.md, question 7)',
  },
  {
    operations: ['token', 'introspect', 'revoke'],
    status: [401],
    sentence: (command) =>
      `the authorization server does not accept the client assertion: the client is not registered, or SIGNING_KID and SIGNING_KEY_FILE are not those of a key that the keystore lists; ${command('compareKeys')} compares them`,
  },
  {
    operations: ['token'],
    status: [400],
    says: /invalid_scope/,
    sentence: (command) => `a requested scope is not registered for the client: register it with ${command('update')}`,
  },
  {
    operations: APIS,
    status: [401],
    sentence:
      'the API does not accept the token: it has expired, was revoked, or is bound to another certificate than the one presented; fetch a new token with the same certificate',
  },
  {
    operations: APIS,
    status: [403],
    sentence: (command) =>
      `the API refuses the client: the token lacks a scope, or Thredd has not set the Programme Manager metadata since the last POST or PUT; contact Thredd, then ${command('awaitMetadata')}`,
  },
]

const WAITING: Situation['sentence'] = (command) =>
  `do not run this again: send Thredd the message of the run, then ${command('awaitMetadata')}, which ends when the metadata is set`

const REFUSED_CERTIFICATE: Situation['sentence'] = (command) =>
  `the certificate was refused: it has expired, is not from Thredd CA, or is missing where the server asks for one; make a new one in Thredd CA and prove it with ${command('proveCertificate')}`

/** Undefined where the step passed with all scopes, and where no page describes the situation. */
export function wayOut(step: StepRecord, command: Command): string | undefined {
  const sentence = sentenceOf(step)
  return typeof sentence === 'function' ? sentence(command) : sentence
}

function sentenceOf(step: StepRecord): Situation['sentence'] | undefined {
  const { status, exchanges, scopes, error } = step
  if (error?.code === 'WAITING_FOR_THREDD') return WAITING
  if (error?.code === 'TLS_CLIENT_REFUSED' || error?.code === 'IDENTITY_EXPIRED') return REFUSED_CERTIFICATE
  const response = exchanges.at(-1)?.response
  if (response === undefined || status === 'skipped') return undefined
  const hasDropped = (scopes?.missing.length ?? 0) > 0
  if (status === 'passed' && !hasDropped) return undefined
  const body = response.body.text ?? ''
  const refusal = refusalOf({ status: response.status, body })
  return SITUATIONS.find(
    (row) =>
      isOf(row, step) &&
      (row.status === undefined || row.status.includes(response.status)) &&
      (row.refusal === undefined || row.refusal === refusal) &&
      (row.says === undefined || row.says.test(body)) &&
      (row.drops === undefined || hasDropped),
  )?.sentence
}

function isOf({ operations, effects }: Situation, { operation, effect }: StepRecord): boolean {
  if (effects !== undefined) return effect?.sent !== undefined && effects.includes(effect.sent)
  return operations?.includes(operation?.operationId ?? '') === true
}
