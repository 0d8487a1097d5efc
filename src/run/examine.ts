/**
 * Looks at everything that a run on an environment depends on, without sending anything: files, certificates, keys, the vault and
 * which flows are ready. Each thing that was looked at is one row; what was not looked at has none, or says so.
 */
import { X509Certificate } from 'node:crypto'
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Environment } from '../environment/index.ts'
import type { Identity } from '../identity/certificate.ts'
import { chainOf, expiryWarning, nameHolds, nameOnOneLine, WARN_DAYS } from '../identity/facts.ts'
import type { SigningAlg } from '../identity/signing.ts'
import { signingNeeds } from '../plan/index.ts'
import { enumerated } from '../record/errors.ts'
import { type Command, commandsFor } from '../record/hints.ts'
import type { IdentityRecord } from '../record/index.ts'
import { remedyFor, whyUnread } from '../record/regular-file.ts'
import { count } from '../report/words.ts'
import { usesTwin } from './connect.ts'
import { Credentials } from './credentials.ts'
import { settingRows } from './examine-settings.ts'
import { type Examined, problemRow } from './examined.ts'
import { type Overview, type OverviewOptions, overviewOf } from './overview.ts'
import { clientNames } from './request.ts'
import { vaultState } from './vault-state.ts'

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
    ...(await settingRows(environment, { folders: options.selection.folders, isOnTwin })),
    ...(await certificateRows(around)),
    ...(await signingRows(around)),
    ...(await vaultRows(around)),
  ]
  return [...rows, ...flowRows(await overviewOf(options), around, rows)]
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
  const authorities = await credentials.authorities()
  for (const name of environment.identities.keys()) {
    const { value, problems } = await credentials.identity(name, true)
    rows.push(...problems.map((problem) => problemRow('certificates', name, problem)))
    if (value !== undefined) {
      rows.push(...rowsOfCertificate('transport', value.identity.record, value.warnings, around))
      if (IN_USE.includes(name)) rows.push(chainRow(name, value.identity, authorities.value ?? [], around))
    } else if (problems.length === 0) rows.push(madeByTheTwin('certificates', name))
  }
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
  const told = warnings.filter((one) => !said.includes(one) && !one.startsWith('the signing certificate expired on '))
  const remarks: readonly Pick<Examined, 'sentence' | 'remedy'>[] = [
    ...told.map((sentence) => ({ sentence })),
    ...(isOurs ? strangers(subject, around) : []),
  ]
  return [
    { area, what: name, ...lifeOf(kind, record, around) },
    ...(remarks.length === 0 && isOurs
      ? [{ area, what: name, state: 'good', sentence: `${key?.kind ?? 'a key'} fits; ${subject}` } as const]
      : []),
    ...remarks.map((remark): Examined => ({ area, what: name, state: 'remark', ...remark })),
  ]
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** Who issued it, and whether that certificate is at hand; a server that has it itself needs no more. */
function chainRow(
  name: string,
  { certificate, credentials }: Identity,
  authorities: readonly string[],
  { command, environment }: Around,
): Examined {
  const row = { area: 'certificates', what: name } as const
  const issuer = nameOnOneLine(certificate.issuer)
  if (certificate.checkIssued(certificate))
    return {
      ...row,
      state: 'wrong',
      sentence: 'signed by its own key, so that no server knows its issuer',
      remedy: `let Thredd CA issue one: ${command('csr', { kind: 'transport' })}`,
    }
  const [, ...others] = [...credentials.chain.matchAll(PEM)].map(([text]) => new X509Certificate(text))
  const further = authorities.map((text) => new X509Certificate(text))
  const isIn = (certificates: readonly X509Certificate[]) => chainOf(certificate, certificates).length > 0
  const place = isIn(others) ? 'its own file' : isIn(further) ? 'CA_FILE' : undefined
  return place === undefined
    ? {
        ...row,
        state: 'remark',
        sentence: `issued by ${issuer}, whose certificate is neither in its file nor in CA_FILE, so this was not checked`,
        remedy: `where a server refuses it, append the certificate of that issuer to the file that TRANSPORT_CERT_FILE names in ${environment.localFile}`,
      }
    : { ...row, state: 'good', sentence: `issued by ${issuer}, whose certificate stands in ${place}` }
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
function strangers(
  subject: string,
  { environment, isOnTwin }: Around,
): readonly Pick<Examined, 'sentence' | 'remedy'>[] {
  if (isOnTwin) return []
  return (['org_id', 'software_id'] as const).flatMap((input) => {
    const id = environment.setting(input)?.value
    return typeof id !== 'string' || nameHolds(subject, id)
      ? []
      : [
          {
            sentence: `its subject, ${subject}, does not hold ${input.toUpperCase()} ${id}: it may be of another application`,
            remedy: `compare ${input.toUpperCase()} in ${environment.localFile} with Thredd CA > Applications > (application) > Details`,
          },
        ]
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
    const transport = (await credentials.identity('transport', true)).value?.identity.certificate
    if (transport?.publicKey.equals(value.publicKey) === true && !rows.some(({ what }) => what === 'key'))
      rows.push({
        area,
        what: 'key',
        state: 'wrong',
        sentence: 'SIGNING_KEY_FILE holds the key of the transport certificate',
        remedy: `name the key of the signing certificate (…-rtssigning) in ${environment.localFile}`,
      })
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

/** Where the folder, or the nearest one above it that exists, cannot be written. */
function unwritable(folder: string): readonly Examined[] {
  let place = folder
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  try {
    accessSync(place, constants.W_OK)
    return []
  } catch (cause) {
    const sentence = `nothing can be written into "${place}", where answers must be kept: ${whyUnread(cause)}`
    const remedy = `${remedyFor(cause)}, or name another folder with VAULT_DIR`
    return [{ area: 'vault', what: 'folder', state: 'wrong', sentence, remedy }]
  }
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
    ...unwritable(environment.vault.folder),
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
  'signing key': ({ area, state }) => area === 'signing key' && state === 'wrong',
  SIGNING_KID: ({ area, what }) => area === 'signing key' && what === 'signing',
  vault: ({ area, what }) => area === 'vault' && what === 'log and key',
  'a registration in the vault': ({ area, what }) => area === 'vault' && what === 'registration',
}
