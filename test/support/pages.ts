/** Pages of docs/ that are printed from tables of the source, so that they cannot say anything else. */

import { FILES_ONLY, IDENTITY, SERVER, VARIABLES } from '../../src/environment/variables.ts'
import { MOST_FINDINGS } from '../../src/flow/lint/findings.ts'
import { RULES } from '../../src/flow/lint/rules.ts'
import type { Command, Flag } from '../../src/front/cli/command.ts'
import { COMMANDS } from '../../src/front/cli/commands.ts'
import { EXITS } from '../../src/front/cli/help.ts'
import { CODES } from '../../src/record/errors.ts'

/** By path from the root of the repository. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/cli.md': cliPage,
  'docs/environment.md': environmentPage,
  'docs/errors.md': errorsPage,
  'docs/lint.md': lintPage,
}

function cliPage(): string {
  const commands: readonly (readonly [string, Command])[] = Object.entries(COMMANDS)
  return page('Command line', 'src/front/cli/commands.ts', [
    ...commands.flatMap(([name, command]) => commandSection(name, command)),
    '## Exit codes',
    'Of several outcomes the first of 70, 2, 1, 3, 0 counts. What leads to which is in [errors.md](errors.md).',
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

function environmentPage(): string {
  return page('Settings', 'src/environment/variables.ts', [
    'Highest first: `--server`, process variables with the prefix `THREDD_` (`THREDD_CLIENT_ID`), `.env.<name>.local`, ' +
      '`.env.<name>`, the default. An empty value is not a value. A relative path starts at the file that names it, that ' +
      'of a process variable at the current folder.',
    `Read from the files alone: ${FILES_ONLY.map((name) => `\`${name}\``).join(', ')}.`,
    table(
      ['variable', 'meaning', 'default'],
      [
        ...Object.entries(VARIABLES).map(([name, variable]) => [
          `\`${name}\``,
          `${variable.about}${'secret' in variable ? ' (secret)' : ''}`,
          'default' in variable ? `\`${variable.default}\`` : '',
        ]),
        ['`SERVER_<SOURCE>`', SERVER.about, ''],
        ['`IDENTITY_<NAME>_CERT_FILE`, `_KEY_FILE`, `_PFX_FILE`, `_PASSPHRASE`', IDENTITY.about, ''],
      ],
    ),
    'Reports name who ran and why from process variables alone: `THREDD_OPERATOR`, `THREDD_ORGANISATION`, ' +
      '`THREDD_REFERENCE` (a ticket or change), `THREDD_SUPERSEDES` (the id of a run whose report this one replaces), ' +
      '`THREDD_IMAGE` (the container image); operator and job are known on GitHub and GitLab, the image on GitLab.',
    'Any other variable is the value of the workflow input with its name in lower case: `CONTACT_EMAIL` sets `contact_email`.',
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
