/**
 * `thredd csr`: a private key and a certificate signing request for Thredd CA; later, with the certificate that was downloaded
 * there, whether it belongs to that key. Sends nothing, and overwrites nothing.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { loadIdentity } from '../../identity/certificate.ts'
import { KEY_SIZES, type KeySize, makeSigningRequest, parseSubject, type SubjectPart } from '../../identity/csr.ts'
import { nameHolds } from '../../identity/facts.ts'
import { identitySetting } from '../../identity/settings.ts'
import { fail } from '../../record/errors.ts'
import { type Command, commandsFor, shellWord } from '../../record/hints.ts'
import { readRegularFile, whyUnread } from '../../record/regular-file.ts'
import type { Secret } from '../../secret/index.ts'
import type { Invocation, Program } from './command.ts'
import { readNewPassphrase, readPassphrase } from './passphrase.ts'
import { Printer } from './printer.ts'
import { environmentOptions } from './run-options.ts'

/** What a certificate is for, and where it is made and named. */
const KINDS = {
  transport: {
    suffix: 'rtstransport',
    type: 'RESOURCE SERVER TRANSPORT',
    settings: ['TRANSPORT_CERT_FILE', 'TRANSPORT_KEY_FILE'],
    passphrase: 'TRANSPORT_PASSPHRASE',
    renewed: [identitySetting('renewed', 'CERT_FILE'), identitySetting('renewed', 'KEY_FILE')],
    renewedPassphrase: identitySetting('renewed', 'PASSPHRASE'),
    rotate: 'rotate-transport-certificate',
  },
  signing: {
    suffix: 'rtssigning',
    type: 'RESOURCE SERVER SIGNING',
    settings: ['SIGNING_CERT_FILE', 'SIGNING_KEY_FILE'],
    passphrase: 'SIGNING_PASSPHRASE',
    renewed: ['RENEWED_SIGNING_CERT_FILE', 'RENEWED_SIGNING_KEY_FILE'],
    renewedPassphrase: 'RENEWED_SIGNING_PASSPHRASE',
    rotate: 'rotate-signing-key',
  },
} as const
type Kind = keyof typeof KINDS

interface Work {
  readonly kind: Kind
  readonly environment: Environment
  /** the files of key, request and certificate, without their endings */
  readonly stem: string
  readonly invocation: Invocation
  readonly program: Program
  readonly out: Printer
  readonly command: Command
}

export async function performCsr(invocation: Invocation, program: Program): Promise<number> {
  const [word, ...more] = invocation.words
  const kind = word === 'transport' || word === 'signing' ? word : undefined
  if (kind === undefined || more.length > 0)
    return fail({
      code: 'USAGE',
      message: kind === undefined ? 'what the certificate is for is not said' : `"${more[0]}" is one word too many`,
      expected: 'thredd csr transport, or thredd csr signing',
      found: word,
    })
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  const folder = resolve(program.here, invocation.text('out') ?? join(environment.folder, 'certificates'))
  const work: Work = {
    kind,
    environment,
    stem: join(folder, `${nameIn(invocation, environment)}-${KINDS[kind].suffix}`),
    invocation,
    program,
    out: new Printer({ write: program.write, stream: program.stdout, here: program.here }),
    command: commandsFor(environment.flags),
  }
  const downloaded = invocation.text('certificate')
  if (downloaded === undefined) await make(work, folder)
  else await take(work, resolve(program.here, downloaded))
  return 0
}

function nameIn(invocation: Invocation, { name }: Environment): string {
  const given = invocation.text('name') ?? name
  if (/^[\w.-]+$/.test(given) && !given.startsWith('.')) return given
  return fail({
    code: 'USAGE',
    message: '--name is the beginning of file names',
    expected: 'letters, digits, - and _',
    found: given,
  })
}

async function make(work: Work, folder: string): Promise<void> {
  const { kind, stem, invocation, out } = work
  const subject = subjectOf(work)
  const bits = sizeOf(invocation)
  const passphrase = await newPassphrase(work)
  const { key, request } = await makeSigningRequest(subject.parts, { bits, passphrase })
  await makeFolder(folder)
  await writeNew(`${stem}.key`, key, 0o600, work)
  await writeNew(`${stem}.csr`, request, 0o644, work)
  const { type } = KINDS[kind]
  const environment = work.environment.class === 'prod' ? 'production' : work.environment.name
  out.line(
    `key      ${out.plain(`${stem}.key`)}  RSA ${bits}, ${passphrase === undefined ? 'not encrypted, readable by you alone' : 'encrypted with the passphrase'}; keep it, it is nowhere else`,
    `request  ${out.plain(`${stem}.csr`)}  ${out.plain(subject.parts.map((part) => part.join('=')).join(', '))}`,
    '',
    `next, in Thredd CA (${out.plain(environment)}):`,
    '  1. Applications > (application) > App Certificates > New Certificate',
    `  2. choose ${type}, then Next`,
    `  3. compare -subj of the command shown there with the subject above${subject.isInferred ? '; it was taken from ORG_ID and SOFTWARE_ID and may differ: then repeat this with --name <other> --subject "<that command>"' : ''}`,
    `  4. Upload CSR: ${out.plain(`${stem}.csr`)}, then Save`,
    '  5. Actions > Download Certificate',
    `then:  ${out.plain(`${work.command('takeCertificate', { kind })}${sameFiles(work)}`)}`,
  )
}

/** The flags that led to these files, so that the next command finds them. */
function sameFiles({ invocation }: Work): string {
  const flags = ['name', 'out'].flatMap((flag) => {
    const value = invocation.text(flag)
    return value === undefined ? [] : [` --${flag} ${shellWord(value)}`]
  })
  return flags.join('')
}

function subjectOf({ invocation, environment }: Work): {
  readonly parts: readonly SubjectPart[]
  readonly isInferred: boolean
} {
  const given = invocation.text('subject')
  if (given !== undefined) return { parts: parseSubject(given), isInferred: false }
  const [organisation, software] = ['org_id', 'software_id'].map((name) => environment.setting(name)?.value)
  if (typeof organisation !== 'string' || typeof software !== 'string')
    return fail({
      code: 'ENV_MISSING',
      message: 'the subject of the certificate is not known: ORG_ID or SOFTWARE_ID is not set',
      hint: `set both in ${environment.localFile}, or copy the command that Thredd CA shows beside Upload CSR: --subject "<that command>"`,
    })
  return {
    parts: [
      ['C', 'GB'],
      ['O', 'thredd'],
      ['OU', organisation],
      ['CN', software],
    ],
    isInferred: true,
  }
}

function sizeOf(invocation: Invocation): KeySize {
  const text = invocation.text('bits') ?? String(KEY_SIZES[0])
  const size = KEY_SIZES.find((one) => String(one) === text)
  return (
    size ??
    fail({ code: 'USAGE', message: '--bits is the size of the key', expected: KEY_SIZES.join(' or '), found: text })
  )
}

/** Undefined: the key is not encrypted. */
async function newPassphrase({ invocation, program }: Work): Promise<Secret | undefined> {
  const file = invocation.text('passphrase-file')
  if (file === undefined && !invocation.has('encrypt')) return undefined
  const passphrase = await readNewPassphrase('passphrase of the new key: ', file, program)
  if (passphrase.reveal() === '') fail({ code: 'USAGE', message: 'the passphrase of the new key is empty' })
  return passphrase
}

/** A folder that is made here is ignored by git, whatever the project's own rules are. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause) => unwritable(folder, cause))
  if (made !== undefined) await writeFile(join(folder, '.gitignore'), '*\n', { flag: 'wx' })
}

async function writeNew(file: string, text: string, mode: number, { invocation, out }: Work): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') unwritable(file, error)
    fail({
      code: 'USAGE',
      message: `"${out.relative(file)}" is there already, and is not overwritten`,
      hint:
        invocation.text('certificate') === undefined
          ? 'for a further certificate, as when one is being replaced: --name <other>'
          : 'compare it with the downloaded one; move it away to take the other',
    })
  }
}

function unwritable(path: string, cause: unknown): never {
  fail(
    {
      code: 'USAGE',
      message: `"${path}" cannot be written: ${whyUnread(cause)}`,
      hint: 'name another folder with --out',
    },
    cause,
  )
}

/** The certificate that was downloaded: whether it is that of the key, and what to set. */
async function take(work: Work, downloaded: string): Promise<void> {
  const { kind, stem, environment, out, invocation, program } = work
  readable(downloaded)
  const file = invocation.text('passphrase-file')
  const passphrase = file === undefined ? configuredPassphrase(work) : await readPassphrase('', file, program)
  const files = { certificateFile: downloaded, keyFile: `${stem}.key` }
  const isForSigning = kind === 'signing'
  const { identity, warnings } = await loadIdentity({ name: kind, ...files, passphrase, isForSigning }, new Date())
  out.warnings(warnings)
  const { subject, issuer, notAfter, daysLeft } = identity.record
  out.line(
    `fits     the certificate belongs to ${out.plain(`${stem}.key`)}`,
    `subject  ${out.plain(subject)}`,
    `issuer   ${out.plain(issuer)}`,
    `until    ${notAfter.slice(0, 10)}, in ${daysLeft} days`,
  )
  out.warnings(strangers(work, subject))
  await writeNew(`${stem}.pem`, identity.credentials.chain, 0o644, work)
  const { settings, renewed, rotate, ...one } = KINDS[kind]
  const isRenewal = isConfigured(environment, kind)
  const names = isRenewal ? renewed : settings
  const named = [`${stem}.pem`, `${stem}.key`].map((path) => relative(environment.folder, path))
  out.line(
    `written  ${out.plain(`${stem}.pem`)}`,
    '',
    `into ${out.plain(environment.localFile)}:`,
    ...names.map((name, index) => `  ${name}=${out.plain(named[index] ?? '')}`),
    ...(passphrase === undefined
      ? []
      : [`  ${isRenewal ? one.renewedPassphrase : one.passphrase}=<the passphrase of the key>`]),
    ...(isForSigning
      ? [`  ${isRenewal ? 'RENEWED_' : ''}SIGNING_KID=<the KID beside the certificate in App Certificates>`]
      : []),
    isRenewal
      ? `${settings[0]} names another certificate now, which this one is to replace: ${work.command('runNamed', { flow: rotate })}`
      : `then:  ${work.command('doctor')}`,
  )
}

function readable(downloaded: string): void {
  try {
    readRegularFile(downloaded)
  } catch (cause) {
    fail({ code: 'USAGE', message: `--certificate "${downloaded}" cannot be read: ${whyUnread(cause)}` }, cause)
  }
}

function configuredPassphrase({ kind, environment: { identities, signing } }: Work): Secret | undefined {
  return kind === 'transport' ? identities.get('transport')?.passphrase : signing.passphrase
}

function isConfigured({ identities, signing }: Environment, kind: Kind): boolean {
  return kind === 'transport' ? identities.has('transport') : signing.key !== undefined
}

/** Thredd CA writes both ids into the subject: a certificate without one of them may be another application's. */
function strangers({ environment }: Work, subject: string): readonly string[] {
  return (['org_id', 'software_id'] as const).flatMap((name) => {
    const id = environment.setting(name)?.value
    return typeof id !== 'string' || nameHolds(subject, id)
      ? []
      : [`the subject does not hold ${name.toUpperCase()} "${id}": is it the certificate of this application?`]
  })
}
