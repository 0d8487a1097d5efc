/** A small client for the twin in-process, written against the documents and not against src. */
import { randomUUID, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { importPKCS8, type JWTPayload, SignJWT } from 'jose'
import documentedRequest from '../../fixtures/thredd/dcr-request-example.json' with { type: 'json' }
import { createTwin, ensurePki, HOSTS, type Pki, type Switches, type Twin } from '../../mocks/index.ts'
import type { PkiIdentity } from '../../mocks/pki.ts'

export const ORGANISATION = '99b2b599-8cc2-499e-b805-e3d84233ae8e'
export const SOFTWARE = 'b9f04639-cdeb-425b-a310-450d3d293fd4'
export const CLIENT_ID = `https://rp.directory.sandbox.threddid.com/openid_relying_party/${SOFTWARE}`
export const OTHER = {
  organisation: 'fc507376-d795-45c2-bc5c-2afb3bd2bea8',
  software: '38b2f9a4-1bf0-4d84-832f-853529d88ad7',
  clientId: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/38b2f9a4-1bf0-4d84-832f-853529d88ad7',
}
export const URLS = {
  directory: 'https://auth.directory.sandbox.threddid.com',
  directoryMtls: 'https://matls-auth.directory.sandbox.threddid.com',
  directoryApi: 'https://matls-api.directory.sandbox.threddid.com',
  keystore: `https://keystore.directory.sandbox.threddid.com/${ORGANISATION}/${SOFTWARE}`,
  old: 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients',
  custom: 'https://auth.uat.threddid.com/confidential-clients',
  cards: 'https://api.uat.threddpay.com/api/v1/products',
  hub: 'https://api-uat.thredd.com/core/api/v1/products',
}

export type Json = Record<string, unknown>
type Who = PkiIdentity | 'none'

export interface Sending {
  readonly as?: Who
  readonly method?: string
  readonly bearer?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly body?: string
}

/** Which application acts: its certificate, key, and ids. */
const APPLICATIONS = {
  ours: { as: 'transport', signer: 'signing', clientId: CLIENT_ID, organisation: ORGANISATION, software: SOFTWARE },
  other: { as: 'other', signer: 'other', ...OTHER },
} as const
type ApplicationName = keyof typeof APPLICATIONS

interface AssertionChanges {
  readonly claims?: JWTPayload
  /** claims to leave out */
  readonly without?: readonly string[]
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: PkiIdentity
}

let shared: Promise<Pki> | undefined

/** One PKI for all tests of this machine: making one costs seconds, and nothing changes it. */
export function sharedPki(): Promise<Pki> {
  shared ??= ensurePki(fileURLToPath(new URL('../../fixtures/pki', import.meta.url)), { hosts: HOSTS })
  return shared
}

export interface Bench {
  readonly twin: Twin
  send(url: string, sending?: Sending): Promise<Response>
  assertion(audience: unknown, changes?: AssertionChanges, who?: ApplicationName): Promise<string>
  /** sends a directory token request; `form` replaces members, an empty value removes one */
  askDirectoryToken(form?: Json, sending?: Sending, who?: ApplicationName): Promise<Response>
  directoryToken(who?: ApplicationName): Promise<string>
  statement(who?: ApplicationName): Promise<string>
  askRegistration(changes?: Json, sending?: Sending, who?: ApplicationName): Promise<Response>
  register(changes?: Json, who?: ApplicationName): Promise<Json>
  askToken(
    changes?: AssertionChanges & { audience?: unknown; form?: Json },
    sending?: Sending,
    who?: ApplicationName,
  ): Promise<Response>
  token(form?: Json, who?: ApplicationName): Promise<string>
}

export function makeBench(pki: Pki, switches: Partial<Switches> = {}): Bench {
  const twin = createTwin({ pki, switches })
  const bench: Bench = {
    twin,
    async send(url, { as = 'transport', method, bearer, headers = {}, form, json, body } = {}) {
      const init = new Headers(headers)
      if (bearer !== undefined) init.set('authorization', `Bearer ${bearer}`)
      if (json !== undefined) init.set('content-type', 'application/json')
      const payload = json !== undefined ? JSON.stringify(json) : form !== undefined ? new URLSearchParams(form) : body
      const request = new Request(url, {
        method: method ?? (payload === undefined ? 'GET' : 'POST'),
        headers: init,
        ...(payload === undefined ? {} : { body: payload }),
      })
      const certificate = as === 'none' ? undefined : new X509Certificate(pki.identities[as].certificate)
      return await twin.answer(request, certificate)
    },
    async assertion(audience, { claims = {}, without = [], header = {}, key } = {}, who = 'ours') {
      const { clientId, signer, software } = APPLICATIONS[who]
      const now = twin.state.seconds()
      const kid = twin.state.application(software).certificates.find(({ use }) => use === 'sig')?.kid ?? ''
      const all: Json = {
        iss: clientId,
        sub: clientId,
        aud: audience,
        jti: randomUUID(),
        iat: now,
        exp: now + 300,
        ...claims,
      }
      for (const name of without) delete all[name]
      const protectedHeader = { alg: 'PS256', kid, typ: 'JWT', ...header }
      const pem = await readFile(pki.identities[key ?? signer].keyFile, 'utf8')
      return await new SignJWT(all)
        .setProtectedHeader(protectedHeader)
        .sign(await importPKCS8(pem, protectedHeader.alg))
    },
    async askDirectoryToken(form = {}, sending = {}, who = 'ours') {
      const { as, clientId } = APPLICATIONS[who]
      return await bench.send(`${URLS.directoryMtls}/token`, {
        as,
        form: filled({ grant_type: 'client_credentials', scope: 'directory:software', client_id: clientId, ...form }),
        ...sending,
      })
    },
    async directoryToken(who) {
      const response = await bench.askDirectoryToken({}, {}, who)
      return String(((await response.json()) as Json).access_token)
    },
    async statement(who = 'ours') {
      const { as, organisation, software } = APPLICATIONS[who]
      const url = `${URLS.directoryApi}/organisations/${organisation}/softwarestatements/${software}/assertion`
      return await (await bench.send(url, { as, bearer: await bench.directoryToken(who) })).text()
    },
    async askRegistration(changes = {}, sending = {}, who = 'ours') {
      const software_statement = 'software_statement' in changes ? undefined : await bench.statement(who)
      return await bench.send(`${URLS.old}/oauth2/register`, {
        as: APPLICATIONS[who].as,
        json: { ...documentedRequest, software_statement, ...changes },
        ...sending,
      })
    },
    async register(changes, who) {
      return (await (await bench.askRegistration(changes, {}, who)).json()) as Json
    },
    async askToken(changes = {}, sending = {}, who = 'ours') {
      const { audience = `${URLS.old}/oauth2/token`, form = {}, ...assertion } = changes
      return await bench.send(`${URLS.old}/oauth2/token`, {
        as: APPLICATIONS[who].as,
        form: filled({
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: 'client_assertion' in form ? '' : await bench.assertion(audience, assertion, who),
          ...form,
        }),
        ...sending,
      })
    },
    async token(form = {}, who) {
      return String(((await (await bench.askToken({ form }, {}, who)).json()) as Json).access_token)
    },
  }
  return bench
}

function filled(form: Json): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).flatMap(([name, value]) => (value === '' ? [] : [[name, String(value)]])),
  )
}
