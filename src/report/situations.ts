/**
 * The known situations in which a call fails, as one table: by status, error and operation, what it means, what to do next, and
 * whose turn it is. Every report reads it; what no row knows still says the server's own words.
 */
import type { Effect } from '../record/effect.ts'
import type { ErrorCode } from '../record/errors.ts'
import type { Command } from '../record/hints.ts'
import type { StepRecord } from '../record/index.ts'
import { type Refusal, refusalOf } from '../record/refusals.ts'
import { clockDifference } from './clock.ts'

/** Who acts next: the reader, Thredd's staff, or nobody: the run is tried again. */
export type Turn = 'yours' | 'thredd' | 'again'

/** What a finding adds to what was found. Sentences without their full stop. */
export interface Advice {
  readonly means: string
  readonly next: string
  readonly turn: Turn
  /** ids of clauses */
  readonly clauses: readonly string[]
}

interface Situation extends Omit<Advice, 'means' | 'next'> {
  /** its name in tests */
  readonly id: string
  /** operations in which it can happen, or what the call does to a client; absent: any */
  readonly operations?: readonly string[]
  readonly effects?: readonly Effect[]
  readonly status?: readonly number[]
  /** of a registration or an update: what status and error point to */
  readonly refusal?: Refusal
  /** what the body of the answer must match */
  readonly says?: RegExp
  /** the answer grants fewer scopes than were requested */
  readonly drops?: true
  /** the request had a client assertion, and the clocks differ */
  readonly clocks?: true
  /** the step ended with this error */
  readonly codes?: readonly ErrorCode[]
  readonly means: string | ((difference: string) => string)
  readonly next: string | ((command: Command) => string)
}

const MANAGEMENT: readonly Effect[] = ['read', 'update', 'delete']
const REGISTRATION: readonly Effect[] = ['register', 'update']
const APIS = ['cardsSmoke', 'listProducts']
const PAGE = 'THREDD-DCR-3.3.2'

/** The first row that fits counts. */
export const SITUATIONS: readonly Situation[] = [
  {
    id: 'waiting-for-metadata',
    codes: ['WAITING_FOR_THREDD'],
    means:
      'the client is registered, and its Programme Manager (or Issuer) metadata is not set yet, which only Thredd does',
    next: (command) =>
      `do not run this again: send Thredd the message of the run, then ${command('awaitMetadata')}, which ends when the metadata is set`,
    turn: 'thredd',
    clauses: [PAGE],
  },
  {
    id: 'certificate-refused',
    codes: ['TLS_CLIENT_REFUSED', 'IDENTITY_EXPIRED'],
    means:
      'the certificate was refused: it has expired, is not from Thredd CA, or is missing where the server asks for one',
    next: (command) => `make a new one in Thredd CA > Certificates, then prove it with ${command('proveCertificate')}`,
    turn: 'yours',
    clauses: ['RFC8705-2'],
  },
  {
    id: 'throttled',
    codes: ['THROTTLED'],
    means: 'the server limits how many requests it takes, and says nothing about the client',
    next: 'with the same command, when the time is over that the answer asks for',
    turn: 'again',
    clauses: ['RFC6585-4'],
  },
  {
    id: 'server-error',
    codes: ['SERVER_ERROR'],
    means: 'the server, or a proxy in front of it, failed by itself, which says nothing about the client',
    next: 'with the same command; where it goes on, send Thredd the time and the trace id of the answer',
    turn: 'again',
    clauses: [],
  },
  {
    id: 'clocks-differ',
    status: [400, 401],
    clocks: true,
    means: (difference) =>
      `by the Date header of the answer the clock of this machine is ${difference} that of the server, so a fresh client assertion seems to be from another time`,
    next: 'set the clock of this machine (NTP), then run the same command again; keys and ids need no change for this',
    turn: 'yours',
    clauses: ['RFC7523-3'],
  },
  {
    id: 'directory-client',
    operations: ['directoryToken'],
    status: [400, 401],
    means: 'Thredd CA does not accept this client with this certificate',
    next: 'compare CLIENT_ID with Thredd CA > Applications > (application) > Details, see that TRANSPORT_CERT_FILE is a certificate of that application, and that DIRECTORY_AUTH_METHOD is the method set there',
    turn: 'yours',
    clauses: ['RFC6749-5.2', 'RFC8705-2'],
  },
  {
    id: 'statement-not-generated',
    operations: ['getSoftwareStatementAssertion'],
    status: [400, 404],
    says: /generated?\b/i,
    means: 'Thredd CA has made no software statement of this application yet',
    next: 'generate one in Thredd CA > Applications > (application) > Assertion > Generate, then run the same command again',
    turn: 'yours',
    clauses: [PAGE],
  },
  {
    id: 'statement-ids',
    operations: ['getSoftwareStatementAssertion'],
    status: [400, 403, 404],
    means: 'Thredd CA gives no software statement for these ids',
    next: 'compare ORG_ID (Postman: org_id) and SOFTWARE_ID (Postman: ssa_id) with Thredd CA > Applications > (application) > Details; where they are right, generate the software statement first: Thredd CA > Applications > (application) > Assertion',
    turn: 'yours',
    clauses: [PAGE],
  },
  {
    id: 'keystore-ids',
    operations: ['applicationJwks'],
    status: [403, 404],
    means: 'the keystore has no keys under these ids',
    next: 'compare ORG_ID and SOFTWARE_ID, capitals too, with Thredd CA > Applications > (application) > Details; where they are right, upload the signing certificate in Thredd CA > App Certificates',
    turn: 'yours',
    clauses: [],
  },
  {
    id: 'directory-token',
    operations: ['getSoftwareStatementAssertion'],
    status: [401],
    means:
      'the directory token was not accepted: it lives ten minutes and works only with the certificate it was issued to',
    next: 'the whole flow, which begins with a new token',
    turn: 'again',
    clauses: ['RFC8705-3'],
  },
  {
    id: 'initial-token',
    effects: ['register'],
    status: [401],
    means: 'the server wants an initial access token for a registration, which no page of Thredd mentions',
    next: 'ask Thredd for one, or to switch it off for your workspace',
    turn: 'thredd',
    clauses: ['RFC7591-3'],
  },
  {
    id: 'statement-unapproved',
    effects: REGISTRATION,
    refusal: 'statement unapproved',
    means: 'application or organisation is not active in Thredd CA',
    next: 'ask Thredd to activate it, then run the flow again, which fetches a new software statement',
    turn: 'thredd',
    clauses: ['RFC7591-3.2.2'],
  },
  {
    id: 'statement-refused',
    effects: REGISTRATION,
    refusal: 'statement',
    means:
      'the software statement was not accepted: it is too old, was made before a change, or is of another application',
    next: 'run the flow again, which fetches a fresh one; where it goes on, compare SOFTWARE_ID and CLIENT_ID with Thredd CA',
    turn: 'yours',
    clauses: ['RFC7591-3.2.2'],
  },
  {
    id: 'scope-refused',
    effects: REGISTRATION,
    refusal: 'scope',
    means: 'a requested scope belongs to no role of the application',
    next: 'set the role in Thredd CA (section 3.3.2, Setting a Role for a Scope; a locked software statement must be unlocked first) and run the flow again, which fetches a fresh software statement, or leave the scope out with --input scopes=…',
    turn: 'yours',
    clauses: [PAGE, 'RFC7591-3.2.2'],
  },
  {
    id: 'registered-already',
    effects: ['register'],
    refusal: 'registered',
    means: 'the application has a client already, as far as these words tell: so servers refuse a second registration',
    next: (command) =>
      `bring its registration variables into the vault if they are not there (${command('import')}), then update it (${command('update')}) or delete and recreate it (${command('recreate')}); only where they are lost ask Thredd to delete it (${command('askToDelete')}, section 3.3.2)`,
    turn: 'yours',
    clauses: [PAGE, 'RFC7591-3.2.2'],
  },
  {
    id: 'member-refused',
    effects: REGISTRATION,
    refusal: 'member',
    means: 'the server refuses the value of a member of the request, which its words name',
    next: 'compare that member of the request in report.html with the documented one, and change it in the flow',
    turn: 'yours',
    clauses: ['RFC7591-3.2.2'],
  },
  {
    id: 'update-refused',
    effects: ['update'],
    refusal: 'registered',
    means: 'the server refuses the update as a whole, and does not say which member it refuses',
    next: 'compare the request in report.html with the registration, and UPDATE_BODY (acp or rfc) with what Thredd says it takes (docs/ask-thredd.md)',
    turn: 'yours',
    clauses: ['RFC7592-2.2', 'RFC7591-3.2.2'],
  },
  {
    id: 'workspace-unknown',
    effects: ['register'],
    status: [404],
    means: 'the server knows no registration at this address',
    next: 'compare SERVER_AUTHORIZATION with the base URL that Thredd gave you, workspace included (section 3.3.1)',
    turn: 'yours',
    clauses: ['THREDD-DCR-3.3.1'],
  },
  {
    id: 'scopes-dropped',
    effects: REGISTRATION,
    status: [200, 201],
    drops: true,
    means: 'the server left out scopes that no role of the application covers',
    next: (command) =>
      `set the role in Thredd CA (a locked software statement must be unlocked first), then ${command('addRole')}, which fetches a fresh software statement`,
    turn: 'yours',
    clauses: [PAGE, 'RFC7591-3.2.1'],
  },
  {
    id: 'registration-token-refused',
    effects: MANAGEMENT,
    status: [401],
    means: 'the registration access token is not accepted: it was replaced, or the client was deleted',
    next: (command) =>
      `${command('checkTokens')} tries every stored token; where none works Thredd must delete the client (section 3.3.2, ${command('askToDelete')})`,
    turn: 'yours',
    clauses: ['RFC7592-2', 'THREDD-DCR-3.3.3'],
  },
  {
    id: 'client-not-found',
    effects: MANAGEMENT,
    status: [404],
    means:
      'the server has nothing at this address for this method: the client was deleted, or the method is not offered here; that says nothing of the registration access token',
    next: (command) =>
      `${command('checkTokens')} reads the client with every stored token; where that works, ask Thredd whether the method is offered at this address, else whether the client was deleted`,
    turn: 'yours',
    clauses: ['RFC7592-2'],
  },
  {
    id: 'management-forbidden',
    effects: MANAGEMENT,
    status: [403],
    means:
      'the registration access token may not manage this client: it is of another client, or the server has switched management by token off',
    next: 'ask Thredd which of the two it is (docs/ask-thredd.md, question 7)',
    turn: 'thredd',
    clauses: ['RFC7592-2'],
  },
  {
    id: 'assertion-key-unknown',
    operations: ['token', 'introspect', 'revoke'],
    status: [400, 401],
    says: /\bkid\b|could not be found|signing key/i,
    means: 'the authorization server does not find the key of the client assertion in the keystore',
    next: (command) =>
      `${command('compareKeys')} compares SIGNING_KID with the keystore; a key that was just uploaded may take some minutes`,
    turn: 'yours',
    clauses: ['RFC7523-3'],
  },
  {
    id: 'assertion-replayed',
    operations: ['token', 'introspect', 'revoke'],
    status: [400],
    says: /jti_known|jti was already/i,
    means: 'the server has seen the jti of this client assertion before',
    next: 'with the same command, which signs a new one; where it goes on, something between here and the server sends requests twice',
    turn: 'again',
    clauses: ['RFC7523-3'],
  },
  {
    id: 'assertion-refused',
    operations: ['token', 'introspect', 'revoke'],
    status: [401],
    means:
      'the authorization server does not accept the client assertion: no client is registered under CLIENT_ID, or SIGNING_KID and SIGNING_KEY_FILE are not those of a key that the keystore lists, or it wants another audience than ASSERTION_AUDIENCE_AUTHORIZATION',
    next: (command) => `${command('compareKeys')} compares the keys`,
    turn: 'yours',
    clauses: ['RFC6749-5.2', 'RFC7523-3'],
  },
  {
    id: 'scope-not-registered',
    operations: ['token'],
    status: [400],
    says: /invalid_scope/,
    means: 'a requested scope is not registered for the client',
    next: (command) => `register it with ${command('update')}`,
    turn: 'yours',
    clauses: ['RFC6749-5.2'],
  },
  {
    id: 'api-token-refused',
    operations: APIS,
    status: [401],
    means:
      'the API does not accept the token: it has expired, was revoked, or is bound to another certificate than the one presented',
    next: 'the whole flow, which fetches a new token with the same certificate',
    turn: 'again',
    clauses: ['RFC6750-3.1', 'RFC8705-3'],
  },
  {
    id: 'api-forbidden',
    operations: APIS,
    status: [403],
    means:
      'the API refuses the client: the token lacks a scope, or Thredd has not set the Programme Manager metadata since the last POST or PUT',
    next: (command) => `send Thredd the message of the run, then ${command('awaitMetadata')}`,
    turn: 'thredd',
    clauses: ['RFC6750-3.1', PAGE],
  },
]

/** The row of the table; undefined where the step passed with all scopes, and where no row knows the situation. */
export function situationOf(step: StepRecord): Situation | undefined {
  const { status, exchanges, scopes, error } = step
  if (status === 'skipped') return undefined
  const exchange = exchanges.at(-1)
  const response = exchange?.response
  const hasDropped = (scopes?.missing.length ?? 0) > 0
  if (status === 'passed' && !hasDropped) return undefined
  const body = response?.body.text ?? ''
  const refusal = response && refusalOf({ status: response.status, body })
  return SITUATIONS.find(
    (row) =>
      (row.codes === undefined ? response !== undefined && error === undefined : isOneOf(row.codes, error?.code)) &&
      (row.operations === undefined || row.operations.includes(step.operation?.operationId ?? '')) &&
      (row.effects === undefined || (step.effect?.sent !== undefined && row.effects.includes(step.effect.sent))) &&
      (row.status === undefined || (response !== undefined && row.status.includes(response.status))) &&
      (row.refusal === undefined || row.refusal === refusal) &&
      (row.says === undefined || row.says.test(body)) &&
      (row.drops === undefined || hasDropped) &&
      (row.clocks === undefined || clocksOf(step) !== undefined),
  )
}

/** The sentences of a row for one step. */
export function adviceOf({ means, next, turn, clauses }: Situation, step: StepRecord, command: Command): Advice {
  return {
    means: typeof means === 'string' ? means : means(clocksOf(step) ?? ''),
    next: typeof next === 'string' ? next : next(command),
    turn,
    clauses,
  }
}

function isOneOf(codes: readonly string[], code: string | undefined): boolean {
  return code !== undefined && codes.includes(code)
}

/** How the clocks differ, where the refused request had a client assertion. */
function clocksOf({ exchanges }: StepRecord): string | undefined {
  const exchange = exchanges.at(-1)
  if (exchange === undefined || !/"client_assertion"/.test(exchange.request.body.text ?? '')) return undefined
  return clockDifference(exchange)
}
