/**
 * docs/arazzo-conformance.md: every member of every object and every other clause of Arazzo, with the tests that show it or
 * the error that a user gets. A clause with neither is a gap.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ARAZZO, type Members } from '../../src/flow/structure.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
/** `Arazzo 1.1 § <clause>: <what is so>`, as a title in quotes of any kind. */
const CLAUSE = /(['"`])Arazzo 1\.[01] § ([^:\n]+): (.+?)\1,/g
const TITLE = /^(?:test|\]\)|test\.each\(.*\))\(\s*(['"`])(.+?)\1,/gm

interface Title {
  readonly clause: string
  readonly sentence: string
  readonly file: string
}

/** What the standard has, by the names of its sections. */
const SECTIONS: Readonly<Record<string, keyof typeof ARAZZO>> = {
  'Arazzo Specification Object': 'document',
  'Info Object': 'info',
  'Source Description Object': 'source',
  'Workflow Object': 'workflow',
  'Step Object': 'step',
  'Parameter Object': 'parameter',
  'Success Action Object': 'successAction',
  'Failure Action Object': 'failureAction',
  'Components Object': 'components',
  'Reusable Object': 'reusable',
  'Criterion Object': 'criterion',
  'Request Body Object': 'requestBody',
  'Payload Replacement Object': 'replacement',
}

/** Clauses beside the members of objects. */
const OTHERS = [
  ...['Versions', 'Format', 'Parsing Documents', 'Relative References in Arazzo Description URIs'],
  ...['Step Dependencies and Execution Order', 'Literals', 'Operators', 'Runtime Expressions in Conditions'],
  ...['Simple Conditions', 'Regex Conditions', 'JSONPath Conditions', 'XPath Conditions', 'Evaluation Errors'],
  ...['Multiple Criteria', 'Expression Type Object', 'Selector Object', 'Runtime Expressions'],
  ...['Source Description Expression Resolution', 'Specification Extensions'],
]

/** A file below test/ and a text in it. */
type Evidence = readonly [file: string, text: string]

const MEMBERS: Evidence = ['flow.test.ts', 'a value of another type is refused']
const REPEATED = (text: string): Evidence => ['golden/flow/duplicate-ids.txt', text]
const CONTROL = (text: string): Evidence => ['control.test.ts', text]

/** Clauses that no title names alone. That each text is where it is said to be, is a test. */
const SHOWN_BY: Readonly<Record<string, Evidence>> = {
  'Relative References in Arazzo Description URIs': ['documents.test.ts', 'it is the base of relative references'],
  'Step Dependencies and Execution Order': CONTROL('steps run in an order that satisfies explicit and implicit'),
  Literals: ['criterion.test.ts', '§ Simple Conditions: null equals itself'],
  'Runtime Expressions in Conditions': ['criterion.test.ts', "'{$inputs."],
  'Multiple Criteria': ['prove/arazzo/cases.ts', "id: 'several-criteria'"],
  'XPath Conditions': ['golden/lint/xpath.txt', 'XPath is not supported'],
  'Source Description Object name': REPEATED('name "clients" occurs twice'),
  'Source Description Object url': ['golden/flow/missing-file.txt', 'API description'],
  'Source Description Object x-serverUrl': ['servers.test.ts', 'Redocly x-serverUrl: it stands for all servers'],
  'Workflow Object workflowId': REPEATED('workflowId "one" occurs twice'),
  'Workflow Object inputs': ['golden/flow/inputs.txt', 'input "scopes"'],
  'Workflow Object steps': ['golden/flow/nothing-in-it.txt', '"steps" of workflow "one" is empty'],
  'Workflow Object outputs': CONTROL('type end: the workflow ends with the outputs that are applicable'),
  'Workflow Object parameters': ['golden/flow/parameters.txt', 'no query parameter "tenant"'],
  'Step Object stepId': REPEATED('stepId "alive" occurs twice'),
  'Step Object operationId': ['golden/flow/unknown-operation.txt', 'calls operation'],
  'Step Object parameters': ['golden/flow/parameters.txt', 'lacks the path parameter "client_id"'],
  'Step Object requestBody': ['golden/flow/body.txt', 'lacks the body that "registerClient" requires'],
  'Step Object successCriteria': ['prove/arazzo/cases.ts', "id: 'several-criteria'"],
  'Step Object outputs': CONTROL('outputs: { name: $response.body#/name }'),
  'Step Object x-operation': ['documents.test.ts', 'Redocly x-operation: a call that no description knows'],
  'Parameter Object name': REPEATED('path parameter "client_id" occurs twice'),
  'Parameter Object value': ['documents.test.ts', '§ Selector Object: it stands wherever a value does'],
  'Success Action Object name': CONTROL('and are overridden by name'),
  'Success Action Object parameters': CONTROL('a one-way transfer with parameters'),
  'Success Action Object criteria': CONTROL('the first action whose criteria all hold'),
  'Failure Action Object name': CONTROL('and are overridden by name'),
  'Failure Action Object workflowId': CONTROL('retry workflowId: the workflow is executed'),
  'Failure Action Object stepId': CONTROL('retry stepId: the step is executed'),
  'Failure Action Object parameters': CONTROL('a one-way transfer with parameters'),
  'Criterion Object condition': ['criterion.test.ts', '§ Criterion Object'],
  'Criterion Object context': ['criterion.test.ts', '§ Criterion Object'],
  'Criterion Object type': ['criterion.test.ts', '§ Criterion Object'],
}

/** Of which the standard asks no more than their presence and type, or one test shows the whole object. */
const WHOLE: readonly (readonly [RegExp, Evidence])[] = [
  [/^Info Object |^(?:Workflow|Step) Object (?:summary|description)$/, MEMBERS],
  [/^Arazzo Specification Object (?:arazzo|info|sourceDescriptions|workflows|components)$/, MEMBERS],
  [/^Components Object /, CONTROL('§ Components Object')],
  [/^Reusable Object /, CONTROL('§ Reusable Object')],
  [/^Request Body Object /, ['documents.test.ts', '§ Request Body Object']],
  [/^Payload Replacement Object /, ['documents.test.ts', '§ Payload Replacement Object']],
  [/ Object x-dcr$/, ['x-dcr.test.ts', 'x-dcr']],
]

function titlesOf(): readonly Title[] {
  return globSync('*.test.ts', { cwd: TESTS })
    .sort()
    .flatMap((file) =>
      [...textOf(file).matchAll(CLAUSE)].map(([, , clause = '', sentence = '']) => ({ clause, sentence, file })),
    )
}

/** Each clause of the standard with what shows it; '' for a gap. */
export function clausesOfArazzo(): readonly (readonly [clause: string, shown: string])[] {
  const titles = titlesOf()
  const shown = (clause: string): string => {
    const own = titles.filter((title) => isOf(title.clause, clause)).map(({ file }) => `test/${file}`)
    if (own.length > 0) return [...new Set(own)].join(', ')
    const [file, text] = SHOWN_BY[clause] ?? WHOLE.find(([form]) => form.test(clause))?.[1] ?? []
    return file === undefined || text === undefined || !textOf(file).includes(text) ? '' : `test/${file}: ${text}`
  }
  const members = Object.entries(SECTIONS).flatMap(([section, object]) =>
    Object.entries(ARAZZO[object] as Members).map(([name, { unsupported, later = [] }]): [string, string] => {
      const clause = `${section} ${name}`
      if (unsupported) return [clause, `refused: "${name}" of … is not supported yet`]
      const refused = later.map((value) => `refused: "${name}" of … cannot be "${value}" yet`)
      return [clause, [shown(clause), ...refused].filter((part) => part !== '').join('; ')]
    }),
  )
  return [...OTHERS.map((clause): [string, string] => [clause, shown(clause)]), ...members]
}

/** Whether the clause that a title names is this one: alone, with more words, or as one of several members. */
function isOf(named: string, clause: string): boolean {
  if (named === clause || named.startsWith(`${clause} `)) return true
  const [section = '', members = ''] = named.split(/(?<= Object) /)
  return members.includes(', ') && members.split(', ').some((member) => `${section} ${member}` === clause)
}

export function conformancePage(): string {
  const titles = titlesOf()
  const clauses = Map.groupBy(
    titles.toSorted((a, b) => a.clause.localeCompare(b.clause)),
    ({ clause }) => clause,
  )
  const extension = 'x-dcr.test.ts'
  const refused = Object.entries(ARAZZO).flatMap(([object, members]) => refusedOf(object, members))
  return `${[
    '# What of Arazzo is run, and where that is shown',
    '<!-- Printed from the titles of the tests and from src/flow/structure.ts. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts -->',
    'Clauses are sections of [Arazzo 1.1](https://spec.openapis.org/arazzo/latest.html), of which 1.0.1 has a part; both are read by the text and grammar of 1.1.',
    '## Every clause',
    table(
      ['clause', 'shown by, or the error'],
      clausesOfArazzo().map(([clause, shown]) => [clause, shown]),
    ),
    '## What the tests show',
    '"…" stands for the values of a table in the test.',
    table(
      ['clause', 'what the tests show', 'in'],
      [...clauses].flatMap(([clause, list]) =>
        list.map(({ sentence, file }) => [clause, plain(sentence), `test/${file}`]),
      ),
    ),
    '## Refused with its place (`FLOW_UNSUPPORTED`), never ignored',
    table(['object', 'member'], refused),
    "OAI's own schemas accept more than the text does. `thredd lint --structure-only` accepts what they accept; run and lint refuse, with the clause broken: expressions outside the ABNF (`$response.body.name`, `$steps.one.outputs` without a name), a JSONPath that RFC 9535 does not have (`$.a != null`), and `action` or `correlationId` on a step that calls an OpenAPI operation.",
    'Also: XPath and XML, `$message` and other expressions of AsyncAPI, `x-security`, operations and workflows of documents at a URL.',
    '## x-dcr',
    table(
      ['what the tests show', 'in'],
      [...textOf(extension).matchAll(TITLE)].map(([, , title = '']) => [plain(title), `test/${extension}`]),
    ),
  ].join('\n\n')}\n`
}

function textOf(file: string): string {
  return readFileSync(`${TESTS}${file}`, 'utf8')
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
