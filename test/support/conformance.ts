/** docs/arazzo-conformance.md: each clause of Arazzo that a test names in its title, and each member that is refused. */
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ARAZZO, type Members } from '../../src/flow/structure.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
/** `Arazzo 1.1 § <clause>: <what is so>`, as a title in quotes of any kind. */
const CLAUSE = /(['"`])Arazzo 1\.[01] § ([^:\n]+): (.+?)\1,/g
const TITLE = /^(?:test|\]\)|test\.each\(.*\))\(\s*(['"`])(.+?)\1,/gm

export function conformancePage(): string {
  const files = globSync('*.test.ts', { cwd: TESTS }).sort()
  const titles = files.flatMap((file) =>
    [...textOf(file).matchAll(CLAUSE)].map(([, , clause = '', sentence = '']) => ({ clause, sentence, file })),
  )
  const clauses = Map.groupBy(
    titles.toSorted((a, b) => a.clause.localeCompare(b.clause)),
    ({ clause }) => clause,
  )
  const extension = 'x-dcr.test.ts'
  const refused = Object.entries(ARAZZO).flatMap(([object, members]) => refusedOf(object, members))
  return `${[
    '# What of Arazzo is run, and where that is shown',
    '<!-- Printed from the titles of the tests and from src/flow/structure.ts. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts -->',
    'Clauses are sections of [Arazzo 1.1](https://spec.openapis.org/arazzo/latest.html); "…" stands for the values of a table in the test.',
    table(
      ['clause', 'what the tests show', 'in'],
      [...clauses].flatMap(([clause, list]) =>
        list.map(({ sentence, file }) => [clause, plain(sentence), `test/${file}`]),
      ),
    ),
    '## Refused with its place (`FLOW_UNSUPPORTED`), never ignored',
    table(['object', 'member'], refused),
    'Also: XPath and XML, `$message` and other expressions of AsyncAPI, `x-security`, operations and workflows of documents at a URL.',
    '## x-dcr',
    table(
      ['what the tests show', 'in'],
      [...textOf(extension).matchAll(TITLE)].map(([, , title = '']) => [plain(title), `test/${extension}`]),
    ),
  ].join('\n\n')}\n`
}

function textOf(file: string): string {
  return readFileSync(`${TESTS}${basename(file)}`, 'utf8')
}

function plain(title: string): string {
  return title.replace(/%[sijdo]/g, '…').replace(/\\(['"`])/g, '$1')
}

function refusedOf(object: string, members: Members): string[][] {
  return Object.entries(members).flatMap(([name, { unsupported, later = [] }]) => [
    ...(unsupported ? [[object, `\`${name}\``]] : []),
    ...later.map((value) => [object, `\`${name}: ${value}\``]),
  ])
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
