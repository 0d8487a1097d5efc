/**
 * Looks at everything that a run on an environment depends on, without sending anything: files, certificates, keys, the vault and
 * which flows are ready. Each thing that was looked at is one row; what was not looked at has none, or says so.
 */
import { relative } from 'node:path'
import type { Environment } from '../environment/index.ts'
import { expiryWarning, nameHolds, WARN_DAYS } from '../identity/facts.ts'
import type { SigningAlg } from '../identity/signing.ts'
import { signingNeeds } from '../plan/index.ts'
import { enumerated, type Problem } from '../record/errors.ts'
import { type Command, commandsFor } from '../record/hints.ts'
import type { IdentityRecord } from '../record/index.ts'
import { count } from '../report/words.ts'
import { usesTwin } from './connect.ts'
import { Credentials } from './credentials.ts'
import { type Overview, type OverviewOptions, overviewOf } from './overview.ts'
import { clientNames } from './request.ts'
import { vaultState } from './vault-state.ts'

export const AREAS = [
  'settings',
  'certificates',
  'signing key',
  'vault',
  'flows',
  'clock',
  'hosts',
  'servers',
  'registration',
] as const

/** One thing that was looked at. */
export interface Examined {
  readonly area: (typeof AREAS)[number]
  readonly what: string
  /** remark: nothing has to be done today. unknown: it could not be found out, or was not asked */
  readonly state: 'good' | 'remark' | 'wrong' | 'unknown'
  /** one sentence, without its full stop */
  readonly sentence: string
  /** what to do */
  readonly remedy?: string | undefined
}

export interface ExamineOptions extends OverviewOptions {
  /** a certificate with fewer days left is wrong; undefined: only one that has expired is */
  readonly minDays: number | undefined
}

/** What the single looks share. */
interface Around {
  readonly environment: Environment
  readonly credentials: Credentials
  readonly command: Command
  readonly isOnTwin: boolean
  readonly minDays: number | undefined
}

/** The certificates of the running business; others may have expired on purpose, for tests of refusal. */
const IN_USE: readonly string[] = ['transport', 'renewed', 'signing']

export async function examine(options: ExamineOptions): Promise<readonly Examined[]> {
  const { environment, minDays, twinFolder } = options
  const isOnTwin = usesTwin(environment)
  const around: Around = {
    environment,
    credentials: new Credentials(environment, isOnTwin ? twinFolder : undefined),
    command: commandsFor(environment.flags),
    isOnTwin,
    minDays,
  }
  const rows = [
    ...settingRows(environment),
    ...clientRows(environment),
    ...(await certificateRows(around)),
    ...(await signingRows(around)),
    ...(await vaultRows(around)),
  ]
  return [...rows, ...flowRows(await overviewOf(options), around, rows)]
}

/** A problem as a row. */
export function problemRow(area: Examined['area'], what: string, problem: Problem): Examined {
  const { message, expected, found, hint } = problem
  const parts = [
    message.replace(/; nothing was sent$/, ''),
    expected && `expected ${expected}`,
    found && `found ${found}`,
  ]
  return { area, what, state: 'wrong', sentence: parts.filter(Boolean).join('; '), remedy: hint }
}

function settingRows({ class: environmentClass, files, folder, servers, warnings }: Environment): readonly Examined[] {
  const names = files.map((file) => relative(folder, file))
  return [
    {
      area: 'settings',
      what: 'files',
      state: 'good',
      sentence: `${names.join(' over ')}: class ${environmentClass}, ${count(servers.size, 'server')}`,
    },
    ...warnings.map((sentence): Examined => ({ area: 'settings', what: 'files', state: 'remark', sentence })),
  ]
}

/** Documented: the client id ends with the id of the application. */
function clientRows({ setting, localFile }: Environment): readonly Examined[] {
  const [client, software] = ['client_id', 'software_id'].map((name) => setting(name)?.value)
  if (typeof client !== 'string' || typeof software !== 'string') return []
  const sentence = `CLIENT_ID ${client} and SOFTWARE_ID ${software}`
  return client.split('/').at(-1) === software
    ? [{ area: 'settings', what: 'client', state: 'good', sentence: `${sentence} are of one application` }]
    : [
        {
          area: 'settings',
          what: 'client',
          state: 'remark',
          sentence: `${sentence} may be of two applications: a client id ends with the id of its application`,
          remedy: `copy both from Thredd CA > Applications > (application) > Details into ${localFile}`,
        },
      ]
}

async function certificateRows(around: Around): Promise<readonly Examined[]> {
  const { environment, credentials, command } = around
  const rows: Examined[] = []
  if (!environment.identities.has('transport'))
    rows.push({
      area: 'certificates',
      what: 'transport',
      state: 'wrong',
      sentence: 'no certificate for mutual TLS is configured',
      remedy: `make key and request with ${command('csr', { kind: 'transport' })}, or set TRANSPORT_CERT_FILE and TRANSPORT_KEY_FILE`,
    })
  for (const name of environment.identities.keys()) {
    const { value, problems } = await credentials.identity(name, true)
    rows.push(...problems.map((problem) => problemRow('certificates', name, problem)))
    if (value !== undefined) rows.push(...rowsOfCertificate('transport', value.identity.record, value.warnings, around))
    else if (problems.length === 0) rows.push(madeByTheTwin('certificates', name))
  }
  const authorities = await credentials.authorities()
  rows.push(...authorities.problems.map((problem) => problemRow('certificates', 'CA_FILE', problem)))
  return rows
}

function madeByTheTwin(area: Examined['area'], what: string): Examined {
  return { area, what, state: 'good', sentence: 'the twin makes it when it starts' }
}

/** Its dates and its subject; every other warning as it stands. */
function rowsOfCertificate(
  kind: 'transport' | 'signing',
  record: IdentityRecord,
  warnings: readonly string[],
  around: Around,
): readonly Examined[] {
  const { name, subject, key } = record
  const area = kind === 'signing' ? 'signing key' : 'certificates'
  const isOurs = name === 'transport' || kind === 'signing'
  const said = expiryWarning(record)
  const remarks = [
    ...warnings.filter((one) => !said.includes(one) && !one.startsWith('the signing certificate expired on ')),
    ...(isOurs ? strangers(subject, around) : []),
  ]
  return [
    { area, what: name, ...lifeOf(kind, record, around) },
    ...(remarks.length === 0 && isOurs
      ? [{ area, what: name, state: 'good', sentence: `${key?.kind ?? 'a key'} fits; ${subject}` } as const]
      : []),
    ...remarks.map((sentence): Examined => ({ area, what: name, state: 'remark', sentence })),
  ]
}

function lifeOf(
  kind: 'transport' | 'signing',
  { name, notBefore, notAfter, daysLeft }: IdentityRecord,
  { minDays, command, environment }: Around,
): Pick<Examined, 'state' | 'sentence' | 'remedy'> {
  const until = notAfter.slice(0, 10)
  if (!IN_USE.includes(name)) return { state: 'good', sentence: `until ${until}; only flows that name it present it` }
  const remedy = `request the next one: ${command('csr', { kind })} --name ${environment.name}-${until.slice(0, 4)}`
  if (daysLeft < 0) return { state: 'wrong', sentence: `expired on ${until}`, remedy }
  if (Date.parse(notBefore) > Date.now())
    return {
      state: 'wrong',
      sentence: `not valid before ${notBefore.slice(0, 10)}`,
      remedy: 'compare the clock of this machine',
    }
  const sentence = `valid until ${until}, ${count(daysLeft, 'day')} left`
  if (minDays !== undefined && daysLeft < minDays)
    return { state: 'wrong', sentence: `${sentence}, fewer than ${minDays}`, remedy }
  return daysLeft <= WARN_DAYS ? { state: 'remark', sentence, remedy } : { state: 'good', sentence }
}

/** Thredd CA writes organisation and application into the subject of the certificates that it issues. */
function strangers(subject: string, { environment, isOnTwin }: Around): readonly string[] {
  if (isOnTwin) return []
  return (['org_id', 'software_id'] as const).flatMap((input) => {
    const id = environment.setting(input)?.value
    return typeof id !== 'string' || nameHolds(subject, id)
      ? []
      : [`its subject, ${subject}, does not hold ${input.toUpperCase()} ${id}: it may be of another application`]
  })
}

async function signingRows(around: Around): Promise<readonly Examined[]> {
  const { environment, credentials, command } = around
  const area = 'signing key'
  const missing = Object.entries(signingNeeds(environment, 'current')).flatMap(([name, value]) =>
    value === undefined ? [name] : [],
  )
  if (missing.length > 0)
    return [
      {
        area,
        what: 'signing',
        state: 'wrong',
        sentence: `${enumerated(missing)} ${missing.length === 1 ? 'is' : 'are'} not set`,
        remedy: missing.some((one) => one.includes('KEY_FILE'))
          ? `make key and request with ${command('csr', { kind: 'signing' })}, then copy the KID from App Certificates`
          : 'copy it from Thredd CA > App Certificates, type rtssigning',
      },
    ]
  const rows: Examined[] = []
  const algorithms = new Set(['signing_alg', 'directory_signing_alg'].map((name) => environment.setting(name)?.value))
  for (const alg of algorithms) {
    const { value, problems } = await credentials.signingKey({ key: 'current', alg: alg as SigningAlg })
    rows.push(...problems.map((problem) => problemRow(area, String(alg), problem)))
    if (value === undefined && problems.length === 0) rows.push(madeByTheTwin(area, String(alg)))
    if (value === undefined) continue
    rows.push({ area, what: String(alg), state: 'good', sentence: `the key can sign with it; kid ${value.kid}` })
    if (rows.some(({ what }) => what === 'certificate' || what === 'signing')) continue
    const certificate = await credentials.signingCertificate(value)
    if (certificate?.record !== undefined)
      rows.push(...rowsOfCertificate('signing', certificate.record, certificate.warnings, around))
    else
      rows.push({
        area,
        what: 'certificate',
        state: 'remark',
        sentence: certificate?.warnings.join('; ') ?? 'SIGNING_CERT_FILE is not set, so its end is not known',
        remedy: 'name the signing certificate: the keystore drops the key when it expires',
      })
  }
  return rows
}

async function vaultRows({ environment, command, isOnTwin }: Around): Promise<readonly Examined[]> {
  const area = 'vault'
  if (isOnTwin)
    return [{ area, what: 'registration', state: 'good', sentence: 'clients of the embedded twin end with each run' }]
  const client = clientNames(environment, new Map())
  await using state = await vaultState(environment, { client })
  const { vault, registration, problems, warnings } = state
  const rows: Examined[] = [
    ...problems.map((problem) => problemRow(area, 'log and key', problem)),
    ...warnings.map((sentence): Examined => ({ area, what: 'log and key', state: 'remark', sentence })),
  ]
  if (vault === undefined || problems.length > 0) return rows
  rows.push(
    registration === undefined
      ? {
          area,
          what: 'registration',
          state: 'remark',
          sentence: `the vault in ${environment.vault.folder} holds no registration of this client`,
          remedy: `register with ${command('register')}, or take one over with ${command('import')}`,
        }
      : {
          area,
          what: 'registration',
          state: 'good',
          sentence: `holds ${registration.clientId}, answer of ${registration.keptAt}`,
        },
  )
  const checked = await vault.check()
  rows.push(
    ...checked.problems.map((problem) => problemRow(area, 'log', problem)),
    ...checked.warnings.map((sentence): Examined => ({ area, what: 'log', state: 'remark', sentence })),
  )
  const open = await vault.unsettled()
  if (open.length > 0)
    rows.push({
      area,
      what: 'open calls',
      state: 'wrong',
      sentence: `${count(open.length, 'call')} that may have changed a client got no answer`,
      remedy: command('showOpen'),
    })
  const left = (await vault.ledger()).filter((one) => one.state === 'left behind')
  if (left.length > 0)
    rows.push({
      area,
      what: 'left behind',
      state: 'wrong',
      sentence: `${count(left.length, 'client')} that a run was to delete and did not`,
      remedy: command('cleanUp'),
    })
  return rows
}

/** How many are ready, then each thing that keeps flows from running, once, with their names; what is to be mended first. */
function flowRows({ workflows }: Overview, { command }: Around, before: readonly Examined[]): readonly Examined[] {
  const area = 'flows'
  const ready = workflows.filter((one) => one.ready).length
  const lacks = workflows.flatMap(({ missing, flow }) => missing.map((one) => ({ ...one, flow })))
  const rows = [...Map.groupBy(lacks, ({ what }) => what)].map(([what, all]): Examined => {
    const [{ code, message, hint } = { code: 'INTERNAL', message: '', hint: undefined }] = all
    const flows = [...new Set(all.map(({ flow }) => flow))]
    const waiting = `${enumerated(flows, 4)} ${flows.length === 1 ? 'waits' : 'wait'} for it`
    const isSaid = before.some((row) => row.state !== 'good' && SAID_BEFORE[what]?.(row))
    return {
      area,
      what,
      state: all.every((one) => one.code === 'PRECONDITION') ? 'remark' : 'wrong',
      sentence: isSaid || code === 'PRECONDITION' ? waiting : `${message}; ${waiting}`,
      remedy: isSaid ? undefined : hint,
    }
  })
  return [
    {
      area,
      what: 'ready',
      state: ready > 0 ? 'good' : 'wrong',
      sentence: `${ready} of ${count(workflows.length, 'workflow')}`,
      remedy: ready === workflows.length ? undefined : command('list'),
    },
    ...rows.toSorted((one, other) => Number(other.state === 'wrong') - Number(one.state === 'wrong')),
  ]
}

/** What flows lack that an earlier row has said already, with its remedy. */
const SAID_BEFORE: Readonly<Record<string, (row: Examined) => boolean>> = {
  'certificate transport': ({ area, what }) => area === 'certificates' && what === 'transport',
  TRANSPORT_THUMBPRINT: ({ area, what }) => area === 'certificates' && what === 'transport',
  SIGNING_KEY_FILE: ({ area, what }) => area === 'signing key' && what === 'signing',
  SIGNING_KID: ({ area, what }) => area === 'signing key' && what === 'signing',
  'a registration in the vault': ({ area, what }) => area === 'vault' && what === 'registration',
}
