/** The record of a run without its workflows, from what was prepared and what was performed. */
import { join, parse, sep } from 'node:path'
import { RECORD_VERSION, type RecordHead, type RunRecord } from '../record/index.ts'
import { CATALOGUE } from '../record/requirements.ts'
import type { Judged } from '../report/accepted.ts'
import { REDACTION_VERSION } from '../secret/index.ts'
import type { Caller, Counterparty, Provenance } from './caller.ts'
import { environmentRecord, securityRecord, signingKeyRecords } from './circumstances.ts'
import type { Performed } from './perform.ts'
import type { Prepared } from './prepare.ts'
import type { RunRequest } from './request.ts'
import { leftOut } from './selection.ts'
import { cardNumberWarnings } from './warnings.ts'

/** What is said of the run as a whole. */
export interface About {
  readonly runId: string
  readonly startedAt: Date
  readonly durationMs: number
  /** all that were said before the first call */
  readonly warnings: readonly string[]
  /** what came of the workflows */
  readonly judged: Judged
}

export async function headOf(
  prepared: Prepared,
  performed: Performed,
  { about, caller }: { readonly about: About; readonly caller: Caller },
): Promise<RecordHead> {
  const { request, environment, redactor, survey } = prepared
  const { runId, startedAt, durationMs } = about
  const provenance = await caller.provenance
  const counterparty = kindOf(prepared.counterparty)
  const clean = withoutFolders(request.folders)
  const relative = <T>(data: T) => JSON.parse(clean(JSON.stringify(data))) as T
  const { messages } = performed
  const decided = decisionsOf(request)
  const redacted = redactor.record({
    recordVersion: RECORD_VERSION,
    runId,
    tool: toolRecord(caller.version, provenance),
    catalogue: CATALOGUE,
    origin: provenance?.origin,
    environment: environmentRecord(environment),
    security: securityRecord({
      environment,
      counterparty,
      authorities: survey.authorities,
      proxy: counterparty === 'network' && prepared.proxy?.httpsProxy !== undefined,
      variables: caller.variables ?? {},
    }),
    ...(performed.rows === undefined ? {} : { rows: performed.rows }),
    leftOut: await leftOut(prepared.selection, request),
    counterparty,
    startedAt: startedAt.toISOString(),
    durationMs: Math.round(durationMs),
    identities: [...survey.identities.values()].map(({ identity }) => identity.record),
    signingKeys: signingKeyRecords([...survey.signing.keys.values()], survey.signing.certificate?.record),
    warnings: relative([...about.warnings, ...performed.warnings, ...about.judged.warnings]),
    ...(prepared.waiting.length === 0 ? {} : { waiting: relative([...prepared.waiting]) }),
    ...(performed.given.length === 0 ? {} : { given: relative([...performed.given]) }),
    messagesToThredd: messages.length === 0 ? undefined : [...messages],
    ...(decided === undefined ? {} : { decisions: { ...decided, rows: [...about.judged.rows] } }),
    verdict: about.judged.verdict,
    exitCode: about.judged.exitCode,
  } satisfies Omit<RecordHead, 'redaction'>)
  const { secretsKnown, replaced, cardNumbers } = redactor
  return {
    ...redacted,
    warnings: [...redacted.warnings, ...cardNumberWarnings(cardNumbers)],
    redaction: { rules: REDACTION_VERSION, secretsKnown, replaced, names: [...environment.secretNames], cardNumbers },
  }
}

/** What was decided, as the record keeps it, before it is known which rows that makes accepted. */
export function decisionsOf({ decisions }: Pick<RunRequest, 'decisions'>): RecordHead['decisions'] {
  return decisions && { ...decisions, rows: [] }
}

/** What a run is called by, and what it knows before a server says anything: no secret, whatever an answer calls one. */
export function ownNames(runId: string, { environment, survey }: Prepared): unknown {
  const { plan, identities, signing } = survey
  const workflows = plan.workflows.map(({ flow, workflow }) => [
    flow.file,
    flow.sha256,
    workflow.workflowId,
    workflow.steps.map(({ stepId }) => stepId),
  ])
  const certificates = [...identities.values()].map(({ identity }) => identity.record)
  const keys = signingKeyRecords([...signing.keys.values()], signing.certificate?.record)
  return [runId, environmentRecord(environment), CATALOGUE, workflows, certificates, keys]
}

export function kindOf(counterparty: Counterparty | undefined): RunRecord['counterparty'] {
  return counterparty?.kind ?? 'network'
}

function toolRecord(version: string, provenance: Provenance | undefined): RunRecord['tool'] {
  const { versions, platform, arch } = process
  return {
    name: 'thredd-dcr',
    version,
    node: versions.node,
    openssl: versions.openssl ?? '',
    platform: `${platform}-${arch}`,
    ...provenance?.tool,
  }
}

/**
 * Takes the paths of these folders out of JSON texts, so that files in them have relative paths: a record says nothing about
 * the machine it was made on.
 */
export function withoutFolders(folders: readonly string[]): (json: string) => string {
  const beginnings = folders
    .map((folder) => join(folder, sep))
    // In the root folder every slash would go, those of URLs too.
    .filter((folder) => folder !== parse(folder).root)
    .map((folder) => JSON.stringify(folder).slice(1, -1))
  return (json) => beginnings.reduce((text, beginning) => text.replaceAll(beginning, ''), json)
}
