/** Prints docs/twin.md from the tables of switches, hooks and faults. */

import type { CatalogueEntry } from './faults/catalogue.ts'
import { FAULTS } from './faults/catalogue.ts'
import { HOOKS, type Hook } from './hooks.ts'
import { HOSTS, hostOf } from './hosts.ts'
import { RULES } from './rules.ts'
import { describe, SWITCHES } from './switches.ts'

/** The page as Markdown. `examples` are the texts of programs by title. */
export function twinReference(examples: Readonly<Record<string, string>>): string {
  const lines = [
    '# The offline twin',
    '',
    '<!-- Made from mocks/ and test/mocks/twin-reference.test.ts; UPDATE_GOLDEN=1 writes it anew. -->',
    '',
    "A server in place of Thredd's servers, with state, behind mutual TLS. Where a page documents a behaviour, the twin has it;",
    'where none does, a switch sets it. `thredd mock` serves it to any client; as a library it answers in-process, behind TLS,',
    'or in an msw set-up of a test.',
    '',
    ...hosts(),
    ...switches(),
    ...applications(),
    ...hooks(),
    ...faults(),
    ...comparison(),
    '## As a library',
    '',
    'In a project of your own, install this package ([how](how-to/as-a-dependency.md)).',
    '',
    ...Object.entries(examples).flatMap(([title, text]) => [`### ${title}`, '', '```ts', text.trim(), '```', '']),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

function hosts(): string[] {
  return [
    '## Hosts',
    '',
    ...table(
      ['Host', 'Server', 'Client certificate', 'Mark'],
      HOSTS.map((name) => [`\`${name}\``, hostOf(name)?.server, hostOf(name)?.certificate, hostOf(name)?.mark]),
    ),
    '',
    'With `--urls documented` answers contain the documented addresses: a client must then reach these names at the twin, with',
    'the printed line for /etc/hosts and port 443 (or the given port, which every address then has).',
    '',
    '`--urls loopback` (the default of `thredd mock`) puts everything on one origin. The first part of the path is the',
    'documented host name: `https://localhost:8443/matls-auth.directory.sandbox.threddid.com/token`. Every address in an answer',
    '(discovery, registration_client_uri, key addresses in software statements and key sets, iss of tokens) has that form, and',
    'so must the audience of an assertion. client_id is a name and stays as it is. Every connection is asked for a certificate;',
    'the path decides whether it is demanded, like at the documented host.',
    '',
  ]
}

function switches(): string[] {
  return [
    '## Switches',
    '',
    'Set with `--switch name=value` (again for more), or from a file with `--switches file`: a JSON object, or lines of',
    '`name=value`. The mark says whether the default is documented or inferred; no page settles the behaviour itself.',
    '',
    ...table(
      ['Switch', 'Values', 'Default', 'Meaning', 'Mark', 'Ground'],
      Object.entries(SWITCHES).map(([name, row]) => [
        `\`${name}\``,
        describe(row.values).replaceAll('"', '`'),
        row.default === '' ? 'none' : `\`${row.default}\``,
        row.meaning,
        row.mark,
        row.source,
      ]),
    ),
    '',
  ]
}

function applications(): string[] {
  return [
    '## Further applications and roles',
    '',
    'The twin has the two applications of the documents, neither registered. `--seed file` adds others, of the same or of other',
    'organisations, and sets the scopes of roles; in the library `ensurePki(folder, { hosts, applications })` and',
    '`startTwin({ pki, seed })` do so with the result of `readSeed(text)`:',
    '',
    '```json',
    '{"applications": [',
    '  {"name": "payments", "org_id": "6f1f3b3e-0000-4000-8000-000000000001", "software_id": "6f1f3b3e-0000-4000-8000-000000000002",',
    '   "client_id": "6f1f3b3e-0000-4000-8000-000000000002", "roles": ["ws", "eds"], "redirect_uris": ["https://example.com/back"]}',
    ' ],',
    ' "roles": {"eds": ["eds.read", "eds.write"]}}',
    '```',
    '',
    '`name`, `org_id` and `software_id` are required; by default `roles` are the recommended ones and `client_id` has the URL',
    'form, and any other claim of a software statement may be set. Each application gets certificates of the same CA',
    '(`pki/<name>-transport.crt`, `pki/<name>-signing.crt` and their keys) and a ready `.env.<name>`. Where the folder has',
    'certificates already, but none for a new application, all are made again. `roles` beside the applications replaces the',
    'scopes of a role: a few rows of that mapping are documented, the others are inferred.',
    '',
    '## How much it holds',
    '',
    '20,000 clients and as many applications, of which the oldest gives way to a further one; tokens and ids of assertions until they',
    'expire; the newest 10,000 requests in its log. A client takes about 10 KiB of memory, and a call as long with 10,000 as with one.',
    'With `--state` the whole state is written before each answer as long as it has at most 1 MiB, which is some hundred clients:',
    'what an answer says survives even `kill -9`. A larger state is written once a second, or less often where a write takes more',
    'than a tenth of that, and at the end: after `kill -9` the clients and tokens of that last time are missing.',
    '',
  ]
}

function hooks(): string[] {
  return [
    '## Hooks',
    '',
    "Hooks do what Thredd's staff and its CA do by hand. In the library: `performHook(twin.state, name, parameters)`. With",
    '`--admin` also on a port of its own on 127.0.0.1, with the bearer token that is printed at the start:',
    '`POST /hooks/<name>` with the parameters as a JSON object; `GET /hooks`, `GET /log`, `GET /state`;',
    '`POST /faults` with `{"fault": "name:operation=value"}`; `DELETE /faults` ends all faults.',
    '',
    ...table(
      ['Hook', 'What it does', 'Parameters'],
      Object.entries<Hook>(HOOKS).map(([name, { about, parameters }]) => [
        `\`${name}\``,
        about,
        Object.entries(parameters)
          .map(
            ([parameter, row]) => `\`${parameter}\` ${row.about}${row.default === undefined ? '' : ' (has a default)'}`,
          )
          .join('; '),
      ]),
    ),
    '',
  ]
}

function faults(): string[] {
  return [
    '## Faults',
    '',
    '`--fault name[:operation][=value]` (again for more). Without an operation the fault affects every one that it can. It is an',
    'operationId of flows/apis.',
    '',
    ...table(
      ['Fault', 'What it does', 'Value', 'Result in a flow'],
      Object.entries<CatalogueEntry>(FAULTS).map(([name, { what, value, red, operations }]) => [
        `\`${name}\``,
        operations === undefined ? what : `${what} (where it can, see the table)`,
        value === undefined ? '' : `${value.about}${value.default === undefined ? '' : ` (\`${value.default}\`)`}`,
        red,
      ]),
    ),
    '',
    'The rules that `breaks` makes the servers break, as in `breaks:token=assertion-is-used-once`:',
    '',
    ...table(
      ['Rule', 'What a server that keeps it does', 'Operations'],
      Object.entries(RULES).map(([name, { keeps, operations }]) => [`\`${name}\``, keeps, operations.join(', ')]),
    ),
    '',
  ]
}

function comparison(): string[] {
  return [
    '## Keeping it true',
    '',
    '`thredd mock compare <run>` makes the requests of a stored run again, one of UAT for example, from its flows and inputs with',
    "the twin's own client, keys and hosts, and sends them to the twin. No secret of the run is needed. It lists where the answers",
    'differ: status, members, types, order, header names, and the few values that say how a server behaves, such as `error` and',
    '`expires_in`. It then tries every switch, and prints the command that makes the twin answer as the server did:',
    '',
    '```console',
    '$ npx thredd mock compare latest             # exit code 1: a difference',
    '…',
    'register / register',
    '  type /registration_client_uri: the server an address with an encoded id, the twin an address',
    '      the twin does the same with --switch uriForm=encoded',
    '…',
    'the twin answers like the server in all of this with',
    '  thredd mock --switch uriForm=encoded',
    '```',
    '',
    'A switch is named because it was tried, not because a table says so. What no switch changes is a fact that the twin does not',
    'have yet. A flow that has changed since the run, by its hash in the record, is refused. Steps that only one side reached say',
    'nothing, and what a server kept from before the run (a client that exists already, metadata that is set) shows as a status that',
    'no switch explains. `--switch` and `--switches` set what is known already. Exit code 0 where nothing differs, else 1.',
    '',
  ]
}

function table(head: readonly string[], rows: readonly (readonly (string | undefined)[])[]): string[] {
  const line = (cells: readonly (string | undefined)[]) =>
    `| ${cells.map((cell = '') => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}
