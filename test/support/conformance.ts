/**
 * docs/arazzo-conformance.md: every member of every object and every other clause of Arazzo, with the tests that show it or
 * the error that a user gets. A clause with neither is a gap.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ARAZZO, type Members } from '../../src/flow/arazzo/structure.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
/** `Arazzo 1.1 § <clause>: <what is so>`, as a title in quotes of any kind; 1.0 where it is about documents of 1.0.x. */
const CLAUSE = /(['"`])Arazzo (1\.[01]) § ([^:\n]+): (.+?)\1,/g
const TITLE = /^(?:test|\]\)|test\.each\(.*\))\(\s*(['"`])(.+?)\1,/gm

interface Title {
  readonly version: string
  /** one clause, or one with more words, or members of one object: "Workflow Object inputs, Step Object outputs" */
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
  ...['Resolving URI Fragments', 'Step Dependencies and Execution Order', 'Literals', 'Operators'],
  ...['Runtime Expressions in Conditions', 'Simple Conditions', 'Regex Conditions', 'JSONPath Conditions'],
  ...['XPath Conditions', 'Evaluation Errors', 'Multiple Criteria', 'Expression Type Object', 'Selector Object'],
  ...['Runtime Expressions', 'Source Description Expression Resolution', 'Specification Extensions'],
]

/** What 1.0.x does not have, or has not a word about. */
const SINCE_1_1 = new Set([
  ...['Parsing Documents', 'Resolving URI Fragments', 'Step Dependencies and Execution Order'],
  ...['Runtime Expressions in Conditions', 'Evaluation Errors', 'Multiple Criteria', 'Selector Object'],
  ...['Source Description Expression Resolution', 'Arazzo Specification Object $self'],
  ...['channelPath', 'action', 'correlationId', 'timeout', 'dependsOn'].map((member) => `Step Object ${member}`),
  ...['Success Action Object parameters', 'Failure Action Object parameters'],
  'Payload Replacement Object targetSelectorType',
])

/** Clauses that a test shows whose title is about another one: the clause of that title, with as many words as tell it. */
const SHOWN_BY: Readonly<Record<string, string>> = {
  'Relative References in Arazzo Description URIs': 'Arazzo Specification Object $self',
  'Step Dependencies and Execution Order': 'Step Object dependsOn: steps run in an order',
  Literals: 'Simple Conditions: null equals itself',
  'Arazzo Specification Object arazzo': 'Versions',
  'Arazzo Specification Object components': 'Components Object',
  'Success Action Object name': 'Workflow Object successActions, failureActions',
  'Failure Action Object name': 'Workflow Object successActions, failureActions',
  'Success Action Object type': 'Success Action Object type end',
  'Success Action Object parameters': 'Failure Action Object type goto workflowId: a one-way transfer',
  'Failure Action Object parameters': 'Failure Action Object type goto workflowId: a one-way transfer',
  'Success Action Object criteria': 'Success Action Object: the first action whose criteria',
  'Failure Action Object workflowId': 'Failure Action Object type retry workflowId',
  'Failure Action Object stepId': 'Failure Action Object type retry stepId',
  'Reusable Object reference': 'Components Object: inputs, parameters and actions are put in place',
  'Reusable Object value': 'Components Object: inputs, parameters and actions are put in place',
  'Request Body Object replacements': 'Payload Replacement Object: … with … becomes',
}

/** Objects of which one test shows the whole. */
const WHOLE = ['Components Object', 'Payload Replacement Object']

/** Clauses that are refused as a whole, with a golden that has the words. */
const REFUSED: Readonly<Record<string, readonly [file: string, words: string]>> = {
  'XPath Conditions': ['golden/lint/xpath.txt', 'XPath is not supported'],
}

function titlesOf(): readonly Title[] {
  return globSync('{*,*/*}.test.ts', { cwd: TESTS })
    .sort()
    .flatMap((file) =>
      [...textOf(file).matchAll(CLAUSE)].map(([, , version = '', clause = '', sentence = '']) => ({
        version,
        clause,
        sentence: plain(sentence),
        file,
      })),
    )
}

interface Row {
  readonly clause: string
  /** what tests show, each with its file; with the error of what is not run */
  readonly shown: readonly string[]
}

/**
 * Each clause of the standard with what shows it; nothing for a gap. Throws where evidence that is named here is no longer
 * there, or a title names a clause that the standard does not have.
 */
export function clausesOfArazzo(): readonly Row[] {
  const titles = titlesOf()
  const shown = (clause: string): readonly string[] => {
    const own = titles.filter((title) => isOf(title.clause, clause))
    if (own.length > 0) return own.map(asEvidence)
    const refused = REFUSED[clause]
    if (refused !== undefined) return [refusedBy(...refused)]
    const other = SHOWN_BY[clause] ?? WHOLE.find((object) => clause.startsWith(`${object} `))
    if (other === undefined) return []
    const found = titles.filter((title) => `${title.clause}: ${title.sentence}`.startsWith(other))
    if (found.length === 0) throw new Error(`no test shows "${other}", which is to show "${clause}"`)
    return found.map(asEvidence)
  }
  const members = Object.entries(SECTIONS).flatMap(([section, object]) =>
    Object.entries(ARAZZO[object] as Members)
      .filter(([name]) => !name.startsWith('x-'))
      .map(([name, { unsupported, later = [] }]): Row => {
        const clause = `${section} ${name}`
        if (unsupported) return { clause, shown: [`not supported: \`"${name}" of … is not supported yet\``] }
        const refused = later.map((value) => `not supported: \`"${name}" of … cannot be "${value}" yet\``)
        const own = shown(clause)
        return { clause, shown: own.length === 0 ? [] : [...own, ...refused] }
      }),
  )
  const rows = [...OTHERS.map((clause): Row => ({ clause, shown: shown(clause) })), ...members]
  const strayed = titles.find(({ clause }) => !rows.some((row) => isOf(clause, row.clause)) && !(clause in SECTIONS))
  if (strayed !== undefined) throw new Error(`"${strayed.clause}" in test/${strayed.file} is no clause of Arazzo`)
  return rows
}

function asEvidence({ sentence, file }: Title): string {
  return `${sentence} (${file})`
}

function refusedBy(file: string, words: string): string {
  if (!textOf(file).includes(words)) throw new Error(`test/${file} does not say "${words}"`)
  return `not supported: \`${words}\` (${file})`
}

/** Whether the clause that a title names is this one: alone, with more words, or as one of several. */
function isOf(named: string, clause: string): boolean {
  let section = ''
  return named.split(', ').some((part) => {
    section = /^.+ Object(?= )/.exec(part)?.[0] ?? section
    const own = part.startsWith(section) ? part : `${section} ${part}`
    return own === clause || own.startsWith(`${clause} `)
  })
}

export function conformancePage(): string {
  const rows = clausesOfArazzo()
  const extension = 'execute/x-dcr.test.ts'
  const inputs = Object.entries(ARAZZO.inputs as Members).flatMap(([name, { unsupported }]) =>
    unsupported ? [name] : [],
  )
  return `${[
    '# What of Arazzo is run, and where that is shown',
    '<!-- Printed from the titles of the tests and from src/flow/arazzo/structure.ts. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts -->',
    'Clauses are sections of [Arazzo 1.1](https://spec.openapis.org/arazzo/v1.1.0.html). Each has the titles of the tests that show it, in files of test/ ("…" stands for the values of a table), or "not supported" with the error that a user gets, located in the document and never ignored (`FLOW_UNSUPPORTED`).',
    '## Documents of 1.0.x',
    'They are read by the text and the grammar of 1.1, which says in one way what [1.0.1](https://spec.openapis.org/arazzo/v1.0.1.html) leaves open: its grammar takes any character in a name, and gives a JSON Pointer to bodies alone while its examples give one to outputs. What 1.0.1 does not have is marked "1.1" below. Where that decides how a document of 1.0.x is read:',
    titlesOf()
      .filter(({ version }) => version === '1.0')
      .map((title) => `- ${title.clause}: ${asEvidence(title)}`)
      .join('\n'),
    '## Every clause',
    table(
      ['clause', 'since', 'what tests show, or the error'],
      rows.map(({ clause, shown }) => [clause, SINCE_1_1.has(clause) ? '1.1' : '', shown.join('<br>')]),
    ),
    '## Beside the clauses',
    `In the schema of inputs, a rule about the object as a whole is not supported, each with its place: ${inputs.map((name) => `\`${name}\``).join(', ')}. Its properties are checked by the whole of JSON Schema 2020-12 but for \`$id\`, \`$dynamicRef\` and \`$dynamicAnchor\`.`,
    "OAI's own schemas accept more than the text does. `thredd lint --structure-only` accepts what they accept; run and lint refuse, with the clause broken: expressions outside the ABNF (`$response.body.name`, `$steps.one.outputs` without a name), a JSONPath that RFC 9535 does not have (`$.a != null`), and `action` or `correlationId` on a step that calls an OpenAPI operation.",
    'Not supported either: XPath, also in selectors and replacements, `$message` and other expressions of AsyncAPI, `x-security`, operations and workflows of documents at a URL.',
    '## OpenAPI and Redocly',
    table(['what the tests show', 'in'], titled(/^(?:OpenAPI §|Redocly |Server choice)/)),
    '## x-dcr',
    table(
      ['what the tests show', 'in'],
      [...textOf(extension).matchAll(TITLE)].map(([, , title = '']) => [plain(title), extension]),
    ),
  ].join('\n\n')}\n`
}

/** Titles of that form, with their files. */
function titled(form: RegExp): string[][] {
  return globSync('{*,*/*}.test.ts', { cwd: TESTS })
    .sort()
    .flatMap((file) =>
      [...textOf(file).matchAll(TITLE)].flatMap(([, , title = '']) => (form.test(title) ? [[plain(title), file]] : [])),
    )
}

function textOf(file: string): string {
  return readFileSync(`${TESTS}${file}`, 'utf8')
}

function plain(title: string): string {
  return title.replace(/%[sijdo]/g, '…').replace(/\\(['"`])/g, '$1')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
