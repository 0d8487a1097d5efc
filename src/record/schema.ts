/**
 * The shape of record.json: plain JSON, redacted. Only reading stored records needs this file; a run does not load it. Raise
 * recordVersion when the meaning of a member changes.
 */
import { acceptance, baselineId, confirmation, review, signature } from './decisions.ts'
import { DECLARED_EFFECTS, EFFECTS } from './effect.ts'
import { z } from './shape.ts'

const optional = z.optional
const location = z.object({ file: z.string(), line: z.int(), column: z.int() })
/** UTC, RFC 3339 with milliseconds */
const instant = z.iso.datetime()
/** at most a hundred years: the end of what began at an instant must be an instant too */
const durationMs = z.number().check(z.minimum(0), z.maximum(100 * 366 * 24 * 60 * 60 * 1000))

const errorRecord = z.object({
  code: z.string(),
  message: z.string(),
  at: optional(location),
  expected: optional(z.string()),
  found: optional(z.string()),
  hint: optional(z.string()),
})

const checkRecord = z.object({
  /** stable name of the rule: status, content-type, schema, criterion, scopes … */
  id: z.string(),
  status: z.enum(['pass', 'fail', 'warn']),
  level: z.enum(['must', 'should', 'policy']),
  clauses: z.array(z.string()),
  /** what was compared, in words or as written in the flow */
  title: z.string(),
  /** what of the answer it is about: status, header Content-Type, keys[0].kid; expected and actual are then its values */
  member: optional(z.string()),
  expected: z.string(),
  actual: z.string(),
  at: optional(location),
})

const headers = z.array(z.tuple([z.string(), z.string()]))

const body = z.object({
  /** redacted text; absent for an empty body */
  text: optional(z.string()),
  /** size and hash of the bytes on the wire, before redaction; no hash of a text with a card number */
  bytes: z.int(),
  sha256: optional(z.string()),
  truncated: optional(z.boolean()),
})

/** Type and size ("RSA 2048", "EC P-256"), and the SHA-256 of its SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). */
const publicKey = z.object({ kind: z.string(), spkiSha256: z.string() })

const peerCertificate = z.object({
  subject: z.string(),
  issuer: z.string(),
  sha256: z.string(),
  validFrom: optional(z.string()),
  validTo: z.string(),
  key: optional(publicKey),
})

const exchange = z.object({
  request: z.object({ method: z.string(), url: z.string(), headers, body }),
  response: optional(z.object({ status: z.int(), headers, body })),
  /** "no" only where the failure came before the headers left, or with an explicit TLS alert */
  sent: z.enum(['yes', 'no', 'unknown']),
  error: optional(errorRecord),
  tls: optional(
    z.object({
      protocol: z.string(),
      cipher: z.string(),
      /** the application protocol agreed on (RFC 7301); absent where the server names none */
      alpn: optional(z.string()),
      /** the peer of the TCP connection; absent where a proxy made it */
      address: optional(z.string()),
      port: optional(z.int()),
      server: optional(peerCertificate),
      /** its issuers, up to the trusted root */
      chain: optional(z.array(peerCertificate)),
      /** whether the server asked for a client certificate in the handshake (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4) */
      certificateRequested: optional(z.boolean()),
      /** the client certificate that was *configured*: sent where the server asked, and whether it was accepted is not known here */
      configured: optional(z.object({ identity: z.string(), sha256: z.string() })),
    }),
  ),
  timing: z.object({
    startedAt: instant,
    connectMs: optional(z.number()),
    firstByteMs: optional(z.number()),
    totalMs: z.number(),
  }),
})

const stepRecord = z.object({
  stepId: z.string(),
  description: optional(z.string()),
  at: location,
  clauses: optional(z.array(z.string())),
  /** passed and failed are verdicts; errored means none was possible; skipped says why in `because` */
  status: z.enum(['passed', 'failed', 'errored', 'skipped']),
  because: optional(z.string()),
  error: optional(errorRecord),
  operation: z.object({ source: z.string(), operationId: z.string(), method: z.string(), path: z.string() }),
  /** what the call does to a client: as it was planned, and as the request left or would have left */
  effect: optional(z.object({ planned: z.enum(EFFECTS), sent: optional(z.enum(EFFECTS)) })),
  /** the workflow that the step ran; its steps come before this one. The operation is then source "workflow", method "RUN" */
  workflowId: optional(z.string()),
  identity: z.string(),
  /** which row of the step's table of cases this is; `control` is the unaltered request */
  case: optional(z.object({ of: z.string(), id: z.string(), control: z.boolean() })),
  /** what was changed in the request on purpose, in words */
  alterations: optional(z.array(z.string())),
  /** the named check that was made in place of the call */
  probe: optional(z.string()),
  startedAt: optional(instant),
  durationMs,
  /** one for each attempt; the last one was judged */
  exchanges: z.array(exchange),
  checks: z.array(checkRecord),
  /** of an answer with a status of another class than the step presupposes: the checks that this made pointless */
  notJudged: optional(z.array(z.object({ id: z.string(), title: z.string(), clauses: z.array(z.string()) }))),
  /** of a registration or an update: members that came otherwise than they were asked for, as they came */
  differences: optional(z.array(z.object({ member: z.string(), asked: z.unknown(), came: optional(z.unknown()) }))),
  outputs: z.record(z.string(), z.unknown()),
  scopes: optional(
    z.object({
      requested: z.array(z.string()),
      granted: z.array(z.string()),
      missing: z.array(z.string()),
      unrequested: z.array(z.string()),
    }),
  ),
})

const workflowRecord = z.object({
  workflowId: z.string(),
  summary: optional(z.string()),
  flow: z.object({
    file: z.string(),
    sha256: z.string(),
    title: z.string(),
    /** other files whose workflows it runs */
    parts: optional(z.array(z.object({ file: z.string(), sha256: z.string() }))),
  }),
  effect: z.enum(DECLARED_EFFECTS),
  safety: optional(z.string()),
  clauses: z.array(z.string()),
  /** what a person must do afterwards */
  notice: optional(z.string()),
  /** which row of the run's list it was run for, and the values that tell the row apart */
  row: optional(
    z.object({
      number: z.int(),
      values: z.array(z.object({ name: z.string(), value: z.string() })),
      /** what makes a command one about the application of the row: variables, and flags */
      flags: optional(z.array(z.string())),
    }),
  ),
  status: z.enum(['passed', 'failed', 'errored', 'skipped']),
  inputs: z.array(z.object({ name: z.string(), source: z.string(), value: z.unknown() })),
  steps: z.array(stepRecord),
  outputs: z.record(z.string(), z.unknown()),
  error: optional(errorRecord),
  startedAt: instant,
  durationMs,
})

const givenRecord = z.object({
  workflowId: z.string(),
  /** one of the words that `given` in a flow file may have, and what it means */
  name: z.string(),
  means: z.string(),
  how: z.enum(['made on the twin', 'in the vault', 'in the files', 'in the keystore', 'not checked']),
  /** the workflows that were run to make it so; they are no part of the verdict */
  setUp: optional(z.array(workflowRecord)),
  /** why it could not be made so */
  problem: optional(z.string()),
})

const identityRecord = z.object({
  name: z.string(),
  subject: z.string(),
  issuer: z.string(),
  serial: z.string(),
  sha256: z.string(),
  notBefore: z.string(),
  notAfter: z.string(),
  daysLeft: z.int(),
  key: optional(publicKey),
})

const signingKeyRecord = z.object({
  kid: z.string(),
  /** what it signed, or was ready to sign, in this run */
  algorithms: z.array(z.string()),
  key: publicKey,
  /** of the public key as a JWK (RFC 7638) */
  thumbprint: z.string(),
  /** absent where SIGNING_CERT_FILE is not set */
  certificate: optional(identityRecord),
})

const messageToThredd = z.object({
  clientId: z.string(),
  asks: z.enum(['set-metadata', 'delete-client']),
  organisation: optional(z.string()),
  /** when the client was last changed */
  at: instant,
  /** absent where none is known */
  scopesBefore: optional(z.array(z.string())),
  scopesAfter: optional(z.array(z.string())),
  text: z.string(),
})

export const runRecord = z.object({
  recordVersion: z.literal(2),
  runId: z.string(),
  tool: z.object({
    name: z.string(),
    version: z.string(),
    node: z.string(),
    openssl: z.string(),
    platform: z.string(),
    commit: optional(z.string()),
    /** whether files differed from the commit */
    dirty: optional(z.boolean()),
    lockfileSha256: optional(z.string()),
  }),
  /** the requirement catalogue that the report refers to */
  catalogue: optional(z.object({ version: z.string(), requirements: z.int(), sha256: z.string() })),
  /** who started the run, as far as a CI system or the user says so */
  origin: optional(
    z.object({
      operator: optional(z.string()),
      organisation: optional(z.string()),
      reference: optional(z.string()),
      job: optional(z.string()),
      /** the id of the run that this one replaces */
      supersedes: optional(z.string()),
      /** the container image as it was named, with its digest if the name has one */
      image: optional(z.string()),
    }),
  ),
  environment: z.object({
    name: z.string(),
    /** what selects it on a command line, as it was typed; absent for the one that a command uses by itself */
    flags: optional(z.array(z.string())),
    class: z.enum(['mock', 'uat', 'prod']),
    files: z.array(z.string()),
    /** base URLs; `from` is a file and line, or a variable */
    servers: optional(z.array(z.object({ source: z.string(), url: z.string(), from: z.string() }))),
    /** the settings of the run without secrets, paths cut to their last part; and the SHA-256 of this list as JSON */
    settings: optional(z.array(z.object({ name: z.string(), value: z.string(), from: z.string() }))),
    settingsSha256: optional(z.string()),
  }),
  /** how servers were authenticated; their certificates are always checked */
  security: optional(
    z.object({
      minTlsVersion: z.string(),
      ownAuthorities: z.boolean(),
      proxy: z.boolean(),
      /** the certificates in CA_FILE */
      authorities: optional(z.array(peerCertificate)),
      /** what makes the evidence weaker than it looks: the setting, and what it means */
      weaknesses: optional(z.array(z.object({ flag: z.string(), means: z.string() }))),
    }),
  ),
  /** of a run of rows: the list, and which of its rows were not run */
  rows: optional(
    z.object({
      /** the name of the file; absent where equal rows were asked for */
      file: optional(z.string()),
      /** SHA-256 of what the list says: environment, flows, file and clients */
      list: z.string(),
      /** of the whole list */
      total: z.int(),
      /** at the same time */
      parallel: z.int(),
      /** absent: all rows. The first has index 1; `rows` is how many it has of the list */
      shard: optional(z.object({ index: z.int(), of: z.int(), rows: optional(z.int()) })),
      /** rows for which nothing was sent, and why; `registeredBy` is the row of this run that registered their client */
      leftOut: z.array(z.object({ number: z.int(), because: z.string(), registeredBy: optional(z.int()) })),
      /** rows that the run did not come to before it was stopped */
      notStarted: z.array(z.int()),
      /** of a record that was merged: the runs of the shards */
      merged: optional(z.array(z.object({ shard: z.int(), runId: z.string() }))),
    }),
  ),
  /** flows and workflows that exist and were not part of the run; empty: the run is complete */
  leftOut: optional(z.array(z.string())),
  /** of those, the workflows that the run would have had, and that were not ready: why, and what to do */
  waiting: optional(z.array(z.object({ workflowId: z.string(), because: z.string(), hint: optional(z.string()) }))),
  /** how requests travelled: tls to the named hosts, tls to the embedded twin, or in-process to the twin */
  counterparty: z.enum(['network', 'twin', 'twin-in-process']),
  startedAt: instant,
  durationMs,
  identities: z.array(identityRecord),
  signingKeys: optional(z.array(signingKeyRecord)),
  warnings: z.array(z.string()),
  /** what had to be so before workflows began */
  given: optional(z.array(givenRecord)),
  workflows: z.array(workflowRecord),
  /** what the users of the project had decided about requirements, and which rows that made accepted */
  decisions: optional(
    z.object({
      file: z.string(),
      sha256: z.string(),
      accepted: z.array(acceptance),
      /** these three in runs since the file may say them */
      confirmations: optional(z.array(confirmation)),
      reviews: optional(z.array(review)),
      signOff: optional(z.array(signature)),
      /** the id of the run that later ones are compared with */
      baseline: optional(baselineId),
      /** ids of requirements that failed or were not tested, and are accepted */
      rows: z.array(z.string()),
    }),
  ),
  /** what a person must send to Thredd's staff now */
  messagesToThredd: optional(z.array(messageToThredd)),
  redaction: z.object({
    rules: z.string(),
    secretsKnown: z.int(),
    /** by the description of a rule, how often it has replaced something */
    replaced: optional(z.record(z.string(), z.int())),
    /** names that REDACT adds */
    names: optional(z.array(z.string())),
    /** numbers with the shape of a card number: there must be none in a test environment (PCI DSS 6.5.5) */
    cardNumbers: optional(z.int()),
  }),
  verdict: z.enum(['conformant', 'non-conformant', 'inconclusive']),
  exitCode: z.int(),
})

export type RunRecord = z.infer<typeof runRecord>
export type WorkflowRecord = z.infer<typeof workflowRecord>
export type GivenRecord = z.infer<typeof givenRecord>
export type StepRecord = z.infer<typeof stepRecord>
export type CheckRecord = z.infer<typeof checkRecord>
export type Exchange = z.infer<typeof exchange>
export type ErrorRecord = z.infer<typeof errorRecord>
export type IdentityRecord = z.infer<typeof identityRecord>
export type SigningKeyRecord = z.infer<typeof signingKeyRecord>
export type PublicKeyFacts = z.infer<typeof publicKey>
export type CertificateFacts = z.infer<typeof peerCertificate>
