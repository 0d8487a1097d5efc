/**
 * Checks flow files and returns findings: the errors of reading them and the violations of the rules, all files at once.
 * Sends nothing, reads no environment, and never shows a secret that is written in a file.
 */
import { type Problem, ToolError } from '../../record/errors.ts'
import { textIfReadable } from '../../record/regular-file.ts'
import { readFlowDocument } from '../document/document.ts'
import type { Document } from '../document/model.ts'
import { parsedFlow } from '../index.ts'
import { CHANNEL_MEMBERS, lintArazzo } from './arazzo.ts'
import { lintCriteria } from './criteria.ts'
import { lintDescriptions } from './descriptions.ts'
import { type EffectOf, knowsExtension, lintExtension } from './extension.ts'
import { locate } from './files.ts'
import { type Finding, Findings, MOST_FINDINGS } from './findings.ts'
import { RULES } from './rules.ts'
import { blotted, blottedUnread, lintSecrets, MOST_SECRETS } from './secrets.ts'
import { lintUsage } from './usage.ts'
import { type View, viewOf } from './view.ts'

export type { Finding } from './findings.ts'

export interface LintOptions {
  /** files, folders, or names of flows; none: the folder `flows` */
  readonly paths: readonly string[]
  /** folders that hold `flows/`, first match wins; the first is the one that relative paths start at */
  readonly folders: readonly string[]
  /** check only what the JSON Schemas of Arazzo check: needs no API description; names, expressions and rules only warn */
  readonly structureOnly?: boolean
  readonly effectOf: EffectOf
}

export interface LintReport {
  /** absolute paths, sorted */
  readonly files: readonly string[]
  /** file by file, by line; findings that belong to no file come first */
  readonly findings: readonly Finding[]
  /** number of findings of a file that are not listed */
  readonly beyond: ReadonlyMap<string, number>
  /** texts of the files by path, secrets blotted out */
  readonly sources: ReadonlyMap<string, string>
}

export async function lint({ paths, folders, structureOnly = false, effectOf }: LintOptions): Promise<LintReport> {
  const { files, problems } = await locate(paths, folders)
  const findings = new Map<string, Finding>()
  const sources = new Map<string, string>()
  const beyond = new Map<string, number>()
  const unshown = new Set<string>()
  const take = (list: Iterable<Finding>) => {
    // Two flows may find the same fault in one API description.
    for (const finding of list) findings.set(JSON.stringify([finding.at, finding.rule, finding.message]), finding)
  }
  take(problems.map(findingOf))
  for (const file of files) {
    const result = await lintFile(file, structureOnly, effectOf)
    take(result.findings)
    if (result.text !== undefined) sources.set(file, result.text)
    if (result.isUnshown) unshown.add(file)
    if (result.beyond > 0) beyond.set(file, result.beyond)
  }
  const sorted = [...findings.values()].toSorted(byPlace)
  return { files, findings: sorted, beyond, sources: await withOthers(sources, sorted, unshown) }
}

/** Exit code: 2 where there is an error, or with `strict` a warning. */
export function exitCode({ findings }: LintReport, { strict }: { readonly strict: boolean }): 0 | 2 {
  return findings.some(({ level }) => level === 'error' || (strict && level === 'warning')) ? 2 : 0
}

interface FileResult {
  readonly findings: readonly Finding[]
  readonly beyond: number
  readonly text?: string
  /** nothing of the file may be shown */
  readonly isUnshown?: true
}

async function lintFile(file: string, structureOnly: boolean, effectOf: EffectOf): Promise<FileResult> {
  let document: Document
  try {
    document = await readFlowDocument(file, 'flow')
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return { findings: error.problems.map(findingOf).slice(0, MOST_FINDINGS), beyond: 0 }
  }
  const { flow, problems: refused, descriptions } = await parsedFlow(document)
  const view = viewOf(document)
  const findings = new Findings(document)
  const secrets = lintSecrets(view, findings)
  lintArazzo(view, findings)
  lintCriteria(view, findings)
  lintUsage(view, findings)
  lintExtension(view, { flow, effectOf }, findings)
  if (!structureOnly) lintDescriptions(descriptions, refused, findings)
  const read = readingFindings(refused, view, structureOnly)
  const byName = placesRefusedByName(view, findings.list)
  const own = findings.list
    .filter((finding) => !isSaid(finding, read))
    .map((finding) => (structureOnly ? lowered(finding) : finding))
  const listed = [...read.filter(({ rule, at }) => rule !== 'not-run' || !byName.has(lineOf(at))), ...own].toSorted(
    byPlace,
  )
  const shown = listed.slice(0, MOST_FINDINGS)
  const beyond = listed.length - shown.length + findings.beyond
  // Too many secrets to find one by one: nothing of the text is shown.
  if (secrets.size >= MOST_SECRETS) {
    return { findings: shown.map(({ expected, found, ...finding }) => finding), beyond, isUnshown: true }
  }
  const text = blotted(document.text, secrets)
  return { findings: shown.map((finding) => withoutSecrets(finding, secrets)), beyond, text }
}

/** The errors of reading the flow, as findings. */
function readingFindings(problems: readonly Problem[], view: View, structureOnly: boolean): Finding[] {
  const { document, workflows, sources } = view
  const keyOf = ({ at }: Pick<Problem, 'at'>) => JSON.stringify(at)
  const urls = new Set(sources.map(({ path }) => keyOf({ at: document.at([...path, 'url']) })))
  const silent = new Set(
    workflows.filter(({ fields }) => !('x-dcr' in fields)).map(({ path }) => keyOf({ at: document.at(path) })),
  )
  const isForeign = !knowsExtension(view.root)
  return problems.flatMap((problem) => {
    const isOfSource = urls.has(keyOf(problem)) || (problem.at !== undefined && problem.at.file !== document.file)
    if (structureOnly && isOfSource) return []
    if (structureOnly && BEYOND_STRUCTURE.has(problem.code)) return [{ ...findingOf(problem), level: 'warning' }]
    if (problem.code === 'FLOW_UNSUPPORTED') return [notRun(problem, isForeign || structureOnly)]
    const isEffect = silent.has(keyOf(problem)) && problem.expected?.startsWith('x-dcr: { effect')
    if (isForeign && isEffect) {
      const { level, remedy } = RULES['effect-missing']
      return [{ ...findingOf(problem), rule: 'effect-missing', level, expected: undefined, hint: remedy }]
    }
    return [findingOf(problem)]
  })
}

/** Error codes that the JSON Schemas of Arazzo cannot find. */
const BEYOND_STRUCTURE = new Set(['FLOW_REFERENCE', 'FLOW_EXPRESSION'])
const OF_STRUCTURE = new Set(['arazzo-structure', 'asyncapi', 'xpath', 'secret-literal'])

/** With `structureOnly`, a rule about content does not fail. */
function lowered(finding: Finding): Finding {
  return finding.level !== 'error' || OF_STRUCTURE.has(finding.rule) ? finding : { ...finding, level: 'warning' }
}

function findingOf({ code, ...problem }: Problem): Finding {
  return { rule: code, level: 'error', ...problem }
}

/** Good Arazzo of another tool is only worth a warning; a flow of ours that cannot run is a mistake. */
function notRun({ code, ...problem }: Problem, isForeign: boolean): Finding {
  const message = `valid, but this version does not run it: ${problem.message}`
  return { rule: 'not-run', level: isForeign ? RULES['not-run'].level : 'error', ...problem, message }
}

/** A rule of Arazzo that reading the flow has reported at the same line already. */
function isSaid({ rule, at }: Finding, read: readonly Finding[]): boolean {
  return rule === 'arazzo-structure' && read.some((other) => other.level === 'error' && other.at?.line === at?.line)
}

/** Lines already refused for their name; they need no second finding that thredd does not run them yet. */
function placesRefusedByName({ document, workflows }: View, findings: readonly Finding[]): ReadonlySet<string> {
  const refused = findings.filter(({ rule }) => rule === 'asyncapi' || rule === 'xpath' || rule === 'arazzo-structure')
  const steps = workflows.flatMap((workflow) => workflow.steps)
  const channels = steps.flatMap(({ path, fields }) =>
    CHANNEL_MEMBERS.flatMap((member) => (fields[member] === undefined ? [] : [document.keyAt([...path, member])])),
  )
  return new Set([...refused.map(({ at }) => at), ...channels].map(lineOf))
}

function lineOf(at: Finding['at']): string {
  return `${at?.file}:${at?.line}`
}

function withoutSecrets(finding: Finding, secrets: ReadonlySet<string>): Finding {
  const { rule, level, at, ...words } = finding
  // Its words are the rule's own, and hold a name at most.
  if (rule === 'secret-literal') return finding
  const safe = Object.entries(words).map(([member, text]) => [member, text && blotted(text, secrets)])
  return { ...finding, ...(Object.fromEntries(safe) as Partial<Finding>) }
}

/** Adds the texts of other files that findings point into, and of flows that could not be read as YAML. */
async function withOthers(
  sources: ReadonlyMap<string, string>,
  findings: readonly Finding[],
  unshown: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const all = new Map(sources)
  const files = new Set(findings.flatMap(({ at }) => (at === undefined ? [] : [at.file])))
  for (const file of files) {
    if (all.has(file) || unshown.has(file)) continue
    const text = textIfReadable(file)
    all.set(file, blottedUnread(text))
  }
  return all
}

function byPlace({ at: a }: Finding, { at: b }: Finding): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line || a.column - b.column
}
