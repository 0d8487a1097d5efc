/** Pages of docs/ that are printed from tables of the source, so that they cannot say anything else. */

import { FILES_FIRST, FILES_ONLY, IDENTITY, IDENTITY_FOR, SERVER, VARIABLES } from '../../src/environment/variables.ts'
import { MOST_FINDINGS } from '../../src/flow/lint/findings.ts'
import { RULES } from '../../src/flow/lint/rules.ts'
import type { Command, Flag } from '../../src/front/cli/command.ts'
import { COMMANDS } from '../../src/front/cli/commands.ts'
import { EXITS } from '../../src/front/cli/help.ts'
import { identitySettings } from '../../src/identity/settings.ts'
import { CODES } from '../../src/record/errors.ts'
import { FILE_LIMITS, LIMITS, type Limit } from '../../src/record/limits.ts'
import { SECRET_LIMITS } from '../../src/secret/limits.ts'
import { RULES as REDACTION_RULES } from '../../src/secret/shapes.ts'
import { ENDINGS_THAT_STAY, LAST_WORDS, NO_SLOTS, PLACES, SCHEMES, WHOLE_NAMES } from '../../src/secret/slots.ts'

/** By path from the root of the repository. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/cli.md': cliPage,
  'docs/environment.md': environmentPage,
  'docs/errors.md': errorsPage,
  'docs/limits.md': limitsPage,
  'docs/lint.md': lintPage,
  'docs/redaction.md': redactionPage,
}

function cliPage(): string {
  const commands: readonly (readonly [string, Command])[] = Object.entries(COMMANDS)
  return page('Command line', 'src/front/cli/commands.ts', [
    ...commands.flatMap(([name, command]) => commandSection(name, command)),
    '## Exit codes',
    'Of several outcomes the first of 70, 2, 1, 3, 4, 0 counts. What leads to which is in [errors.md](errors.md).',
    table(
      ['exit code', 'meaning'],
      Object.entries(EXITS).map(([code, means]) => [code, means]),
    ),
  ])
}

function commandSection(name: string, { usage, about, flags, examples }: Command): string[] {
  return [
    `## ${name}`,
    `\`${usage}\`: ${about}.`,
    table(
      ['flag', 'meaning'],
      Object.entries(flags).map(([flag, { about: meaning, many, ...form }]) => [
        `\`${spelling(flag, form)}\``,
        `${meaning}${many ? ' (may be repeated)' : ''}`,
      ]),
    ),
    table(
      ['example', 'does'],
      examples.map(([command, does]) => [`\`${command}\``, does]),
    ),
  ]
}

function spelling(flag: string, { short, value }: Pick<Flag, 'short' | 'value'>): string {
  return `${short === undefined ? '' : `-${short}, `}--${flag}${value === undefined ? '' : ` <${value}>`}`
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}

function environmentPage(): string {
  return page('Settings', 'src/environment/variables.ts', [
    'Highest first: `--server`, process variables with the prefix `THREDD_` (`THREDD_CLIENT_ID`), `.env.<name>.local`, ' +
      '`.env.<name>`, the default. An empty value is not a value. A relative path starts at the file that names it, that ' +
      'of a process variable at the current folder.',
    `Read from the files alone: ${quoted(FILES_ONLY)}. On UAT and production a process variable that sets one of the first three, or a ` +
      '`SERVER_<SOURCE>`, is refused by name: hosts come from the files and `--server`. One that contradicts what a file says ' +
      `of ${quoted(FILES_FIRST)} is refused without \`--allow-env\`.`,
    table(
      ['variable', 'meaning', 'default'],
      [
        ...Object.entries(VARIABLES).map(([name, variable]) => [
          `\`${name}\``,
          `${variable.about}${'secret' in variable ? ' (secret)' : ''}`,
          'default' in variable ? `\`${variable.default}\`` : '',
        ]),
        ['`SERVER_<SOURCE>`', SERVER.about, ''],
        [
          `\`IDENTITY_<NAME>_CERT_FILE\`, ${identitySettings('')
            .slice(1)
            .map((part) => `\`${part}\``)
            .join(', ')}`,
          IDENTITY.about,
          '',
        ],
        ['`IDENTITY_FOR_<SOURCE>`', IDENTITY_FOR.about, ''],
      ],
    ),
    'Reports name who ran and why from process variables alone: `THREDD_OPERATOR`, `THREDD_ORGANISATION`, ' +
      '`THREDD_REFERENCE` (a ticket or change, also `--ticket`), `THREDD_SUPERSEDES` (the id of a run whose report this one ' +
      'replaces), `THREDD_IMAGE` (the container image). Operator and job are known on GitHub, GitLab, Jenkins and Azure ' +
      'Pipelines, the image on GitLab; elsewhere the operator is the name of the account of the operating system. It is ' +
      'personal data in every report that is passed on: set `THREDD_OPERATOR` to the name that may stand there.',
    'Any other variable is the value of the workflow input with its name in lower case: `CONTACT_EMAIL` sets `contact_email`.',
    '## A key that may not be a file',
    'The program of `SIGNING_COMMAND` signs each JWT with the algorithm of `SIGNING_ALG`. It gets the bytes to be signed on its ' +
      'standard input and writes the signature to its standard output: raw, DER, base64 or hexadecimal. It runs in the ' +
      'folder of the file that names it, without a shell: what needs a pipe goes into a script. It has 30 seconds. Each ' +
      'signature is verified with the public key of `SIGNING_CERT_FILE` or `SIGNING_JWK` before it is used, and the ' +
      'program is tried before the first call of a run. With openssl, for PS256:',
    '```dotenv\n' +
      'SIGNING_COMMAND=openssl dgst -sha256 -sign signing.key -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest\n' +
      'SIGNING_CERT_FILE=signing.crt\n' +
      '```',
    'For RS256 and ES256 the two `-sigopt` are left out; for a key in a PKCS#11 module `-sign` names its URI.',
  ])
}

function errorsPage(): string {
  return page('Error codes', 'src/record/errors.ts', [
    'A failed check is no error: it is in the record, and the exit code is 1.',
    table(
      ['code', 'exit code', 'meaning'],
      Object.entries(CODES).map(([code, { exit, means }]) => [`\`${code}\``, String(exit), means]),
    ),
  ])
}

function limitsPage(): string {
  const tableOf = (limits: Readonly<Record<string, Limit>>) =>
    table(
      ['limit', 'of', 'beyond it'],
      Object.values(limits).map(({ value, unit, of, beyond }) => [`${value.toLocaleString('en')} ${unit}`, of, beyond]),
    )
  return page('Limits', 'src/record/limits.ts and src/secret/limits.ts', [
    'An answer is judged in little time whatever a server sends. Beyond a limit the run goes on as after any other failure: ' +
      'steps marked `finally` run, and the record is written.',
    tableOf({ ...LIMITS, ...SECRET_LIMITS }),
    '## Flows and environments',
    'What a file holds is bounded before anything is sent, and what a flow asks for while it runs.',
    tableOf(FILE_LIMITS),
    '## Not done',
    'A cookie that a server sets is not sent back: each call stands alone. Behind a load balancer that wants its cookie on the ' +
      'next call, use an address that leads to one server. HTTP/2 is not spoken, redirects are not followed, and TLS sessions ' +
      'are not resumed.',
  ])
}

function lintPage(): string {
  return page('Lint', 'src/flow/lint/rules.ts', [
    '`thredd lint [file|folder|flow…]` finds every mistake of all files at once: what reading a flow refuses (with the ' +
      'code of [errors.md](errors.md)), and what the rules below have against it. Below a folder it reads every ' +
      '`*.arazzo.yaml`, `*.arazzo.yml` and `*.arazzo.json`, and other YAML and JSON files with a top-level member `arazzo`.',
    'Exit code 2 where there is an error, with `--strict` also where there is a warning; else 0. A hint never fails. At ' +
      `most ${MOST_FINDINGS} findings of one file are listed. A text that looks like a secret is shown nowhere.`,
    table(
      ['rule', 'level', 'finds', 'why', 'what to do'],
      Object.entries(RULES).map(([name, { level, title, why, remedy }]) => [`\`${name}\``, level, title, why, remedy]),
    ),
    '## Documents of other tools',
    'A document without any `x-dcr` is judged as plain Arazzo: what thredd does not run, and workflows without an `effect`, ' +
      'are warnings then. `--structure-only` judges as the JSON Schemas of Arazzo do: an API description that is missing or ' +
      'no file is no mistake; a name that leads nowhere, an expression outside the grammar of the standard, and what the ' +
      'rules have against it are warnings. AsyncAPI and XPath are refused by name.',
    '## `--json`',
    'One object. Members are added in later versions, never changed.',
    table(
      ['member', 'value'],
      [
        ['`exitCode`', '0 or 2'],
        ['`files`', 'the files that were read, as paths from the current folder'],
        ['`errors`, `warnings`, `hints`', 'how many findings there are of each level'],
        ['`notListed`', 'findings beyond the number that is listed of one file'],
        ['`findings[].rule`', 'a rule of the table above, or an error code'],
        ['`findings[].level`', '`error`, `warning` or `hint`'],
        ['`findings[].message`', 'what is wrong'],
        ['`findings[].file`, `.line`, `.column`', 'where, counted from 1; absent where it belongs to no file'],
        ['`findings[].expected`, `.found`, `.hint`', 'texts; each may be absent'],
      ],
    ),
  ])
}

function redactionPage(): string {
  const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ')
  const named = (slot: string) => Object.entries(LAST_WORDS).flatMap(([word, one]) => (one === slot ? [word] : []))
  const whole = (slot: string) => Object.entries(WHOLE_NAMES).flatMap(([name, one]) => (one === slot ? [name] : []))
  return page('What is hidden', 'src/secret/slots.ts', [
    'What servers and files say is kept without secrets: each leaf of it by its slot and by its value. Of our own record ' +
      'no member name, verdict, number or time is touched, and of its sentences only a secret that stands in them.',
    '## By slot',
    'The last word of a name decides: `clientSecret`, `client-secret` and `CLIENT_SECRET` are one name. `REDACT` adds names.',
    table(
      ['hidden', 'last word', 'whole name, or its end'],
      [
        ['anything', code(named('any')), code(whole('any'))],
        ['what is random enough to be searched for', code(named('opaque')), code(whole('opaque'))],
      ],
    ),
    `No slots: ${code(NO_SLOTS)}; true and false, and of the second row numbers; and names with another last word, such as those that end in:`,
    ...ENDINGS_THAT_STAY.map((endings) => `- ${code(endings.split(', '))}`),
    table(['where', 'how it looks', 'what is hidden'], PLACES),
    `Schemes of authorization that are known by name, also in a text: ${code(SCHEMES)}. In a header every scheme counts.`,
    '## By value',
    'What stood in a slot, our keys, passphrases and inputs with `format: password` are searched for everywhere else, if ' +
      'they are random enough to be told from ordinary words: at least eight characters, and not a name, a sentence of ' +
      'three words, a time, an address or an id of the run itself. The search reads texts as their readers would: escapes of ' +
      'URLs, HTML and JSON at any depth and in any case, base64 of both alphabets, hex with and without separators, gzip in ' +
      'either, one within the other; upper and lower case are the same, and so are line breaks and separators within a ' +
      'value. Of a random value a piece of about 16 characters is enough. Card numbers go by their check digit.',
    'What is learned from one answer is bounded ([limits.md](limits.md)). After an answer with more, or one that could be decoded ' +
      'only in part, random texts of servers are hidden for the rest of the run.',
    '## What is shown instead',
    'A secret is replaced by a mask such as `[client_secret#01234567]`: the name of its slot and a fingerprint. The key of ' +
      'the fingerprints is random, belongs to one run and is never stored. Two masks with the same fingerprint hide the same ' +
      'secret; nobody can find the secret by trying guesses. A body in which something was hidden is recorded without a hash.',
    table(
      ['rule', 'counted in the record as'],
      Object.entries(REDACTION_RULES).map(([rule, about]) => [`\`${rule}\``, about]),
    ),
    '## Finished files',
    'Every file of a run is searched again while it is written. What is found is hidden in its sentence, the rest of the ' +
      'file stays, and the run says so: it is a mistake of this tool.',
  ])
}

function page(title: string, source: string, blocks: readonly string[]): string {
  const note = `<!-- Printed from ${source}. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts -->`
  return `${[`# ${title}`, note, ...blocks].join('\n\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A bar would end the cell, and what looks like a tag would vanish outside code. */
function escaped(cell: string): string {
  return cell.replace(/`[^`]*`|[<|]/g, (part) => (part.startsWith('`') ? part.replaceAll('|', '\\|') : `\\${part}`))
}
