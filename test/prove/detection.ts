/**
 * Shows that the checks of the flows can fail: breaks one rule of the twin after the other and looks which requirements no longer
 * pass. Red is a failure or a warning; where a flow ends early, or a control fails, the rows behind it are open, not red. Fails for a
 * requirement that no fault turns red, for a fault that turns nothing red, for a requirement that stays green although its rule
 * is broken, and for one that turns red undeclared.
 * `node test/prove/detection.ts [beginning of a fault] [--renew]`; --renew writes the hashes of the files that it held with.
 */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTwin, faultsOf, RULES, switchesOf } from '../../mocks/index.ts'
import { DETECTION, type DetectionHashes, type DetectionLine, staleParts } from '../../src/record/detection.ts'
import type { WorkflowRecord } from '../../src/record/index.ts'
import { CATALOGUE, REQUIREMENTS } from '../../src/record/requirements.ts'
import { ProofCollector, type RequirementStanding, rowsAt } from '../../src/report/proofs.ts'
import { standingOf } from '../../src/report/standing.ts'
import { ROOT, runOnTwin, type Stage, setStage } from '../support/run.ts'
import { sharedPki } from '../support/twin.ts'

/** They need what a stage has not: two clients in the vault, or something done between two workflows. */
const WHOLE = ['takeover', 'outdated-statement']
type Part = NonNullable<DetectionLine['about']>
/** By the id of the check of each answer, the part that it judges. */
const PARTS: readonly (readonly [check: RegExp, part: Part])[] = [
  [/^status$/, 'status'],
  [/^content-type$/, 'type'],
  [/^schema(?: |$)/, 'schema'],
]
const FILE = join(ROOT, 'fixtures', 'requirements', 'detection.json')

const given = process.argv.slice(2)
const only = given.find((one) => !one.startsWith('--')) ?? ''
const { operations } = createTwin({ pki: await sharedPki() })
const lines = DETECTION.filter((line) => nameOf(line).startsWith(only))
const stages = new Map<string, Promise<Stage>>()
const green = new Map<string, Ran>()
const seen = new Set<string>()
const problems: string[] = []

for (const line of lines) for (const problem of await problemsOf(line)) problems.push(`${nameOf(line)}: ${problem}`)
if (only === '') problems.push(...unbroken())
const proven = REQUIREMENTS.filter(({ proof }) => proof !== undefined)
const own = new Set(lines.flatMap(({ breaks }) => breaks))
const isAll = only === ''
process.stdout.write(
  `\n${own.size} of ${proven.length} requirements with a check are turned red by a fault of their own, ${seen.size} by some fault; `,
)
process.stdout.write(`${lines.length} of ${DETECTION.length} faults${isAll ? '' : ' (a part of the matrix)'}\n`)
const stale = staleParts(hashes())
if (given.includes('--renew') && isAll && problems.length === 0) renew()
else if (stale.length > 0)
  process.stdout.write(
    `stale: ${stale.join(', ')} changed since the shipped matrix was shown; --renew takes this run\n`,
  )
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

async function problemsOf(line: DetectionLine): Promise<readonly string[]> {
  const key = JSON.stringify([line.flows, line.given, line.settings, line.over])
  const intact = green.get(key) ?? (await ranWith(line, false))
  green.set(key, intact)
  const broken = await ranWith(line, true)
  const [before, after] = [intact.standings, broken.standings]
  const wasGreen = (id: string) => before.get(id) === 'pass'
  const lost = [...before.keys()].filter((id) => wasGreen(id) && after.get(id) !== 'pass')
  const red = lost.filter((id) => after.get(id) === 'fail' || after.get(id) === 'warn')
  for (const id of red) seen.add(id)
  const declared = line.also?.flatMap(({ requirements }) => requirements) ?? []
  const undeclared = red.filter((id) => !line.breaks.includes(id) && !declared.includes(id))
  process.stdout.write(`${nameOf(line)} (${line.flows.join(', ')})\n`)
  process.stdout.write(`  red: ${line.breaks.filter((id) => red.includes(id)).join(' ') || 'nothing'}\n`)
  for (const { requirements, because } of line.also ?? [])
    process.stdout.write(`  and ${requirements.join(' ')}: ${because}\n`)
  if (lost.length > red.length) process.stdout.write(`  and ${lost.length - red.length} more open\n`)
  const parts = changedParts(intact, broken, [...line.breaks, ...declared])
  const excused = line.answers?.flatMap(({ at }) => at) ?? []
  const unexpected = parts.filter(
    ([place, part]) => part !== line.about && !excused.some((at) => place.startsWith(`${at} `)),
  )
  return [
    ...(red.length === 0 ? ['turns nothing red'] : []),
    ...line.breaks
      .filter((id) => !red.includes(id))
      .map(
        (id) =>
          `${id} is ${after.get(id)} although its rule is broken${wasGreen(id) ? '' : ', and does not pass without the fault'}`,
      ),
    ...(undeclared.length === 0 ? [] : [`turns red undeclared: ${undeclared.join(' ')}`]),
    ...declared.filter((id) => !red.includes(id)).map((id) => `${id} is declared, and stays green`),
    ...unexpected.map(([place, part]) => `makes the ${part} wrong, which its requirements are not about: ${place}`),
    ...excused
      .filter((at) => !parts.some(([place]) => place.startsWith(`${at} `)))
      .map((at) => `declares another answer at ${at}, where it stays as it is`),
    ...(line.about !== undefined &&
    !parts.some(([, part]) => part === line.about) &&
    !isOfAnotherClass(line, intact, broken)
      ? [`says that it is about the ${line.about}, which stays right`]
      : []),
  ]
}

/** What the fault made wrong in an answer: a part that fits the description no more, or another class of status away from its rows. */
function changedParts(intact: Ran, broken: Ran, rows: readonly string[]): readonly (readonly [place: string, Part])[] {
  const moved = [...broken.classes].filter(
    ([place, { digit, isFailed }]) =>
      isFailed &&
      (intact.classes.get(place)?.digit ?? digit) !== digit &&
      !broken.rows.get(place)?.some((id) => rows.includes(id)),
  )
  return [
    ...[...broken.wrong].filter(([place]) => !intact.wrong.has(place)),
    ...moved.map(([place, { digit }]) => [`${place} (${digit}xx)`, 'status'] as const),
  ]
}

/** Whether a line about the status changes the class of one, at a place of its own rows too. */
function isOfAnotherClass({ about }: DetectionLine, intact: Ran, broken: Ran): boolean {
  const differs = ([place, { digit }]: [string, { readonly digit: string }]) =>
    (intact.classes.get(place)?.digit ?? digit) !== digit
  return about === 'status' && [...broken.classes].some(differs)
}

/** Requirements with a check and rules of the twin that no line breaks. */
function unbroken(): readonly string[] {
  const own = new Set(DETECTION.flatMap(({ breaks }) => breaks))
  const broken = new Set(DETECTION.map(({ fault = '' }) => /^breaks:\w+=(.*)$/.exec(fault)?.[1]))
  return [
    ...REQUIREMENTS.filter(({ id, proof }) => proof !== undefined && !own.has(id)).map(
      ({ id }) => `${id}: no fault breaks it`,
    ),
    ...Object.keys(RULES)
      .filter((rule) => !broken.has(rule))
      .map((rule) => `${rule}: no line breaks this rule of the twin`),
  ]
}

function nameOf(line: Pick<DetectionLine, 'fault' | 'switch'>): string {
  return line.fault ?? `switch ${line.switch}`
}

interface Ran {
  readonly standings: ReadonlyMap<string, RequirementStanding>
  /** the checks of answers that failed, by place, with the part of the answer that each judges */
  readonly wrong: ReadonlyMap<string, Part>
  /** by place, the first digit of the status that it was answered with, and whether that failed the step */
  readonly classes: ReadonlyMap<string, { readonly digit: string; readonly isFailed: boolean }>
  /** the requirements that have a check at a place */
  readonly rows: ReadonlyMap<string, readonly string[]>
}

/** A run of the flows, with the fault or without. Each flow meets no client of another. */
async function ranWith(line: DetectionLine, isBroken: boolean): Promise<Ran> {
  const switches = [...(line.given ?? []), ...(isBroken && line.switch !== undefined ? [line.switch] : [])]
  const faults = isBroken && line.fault !== undefined ? faultsOf(line.fault, operations) : []
  const collector = new ProofCollector()
  const wrong = new Map<string, Part>()
  const classes = new Map<string, { digit: string; isFailed: boolean }>()
  const rows = new Map<string, readonly string[]>()
  for (const flow of line.flows) {
    for (const workflow of await workflowsOf(flow)) {
      collector.addWorkflow(workflow)
      for (const step of workflow.steps) {
        const { stepId } = step
        const place = `${workflow.workflowId}/${stepId}`
        rows.set(place, rowsAt(workflow.workflowId, step))
        const answered = step.exchanges.at(-1)?.response?.status
        if (answered !== undefined)
          classes.set(place, { digit: String(answered).slice(0, 1), isFailed: step.status === 'failed' })
        for (const { id, status } of step.checks) {
          const part = PARTS.find(([check]) => check.test(id))?.[1]
          if (part !== undefined && status === 'fail') wrong.set(`${place} ${id}`, part)
        }
        collector.addStep(step, {
          workflowId: workflow.workflowId,
          stepId,
          position: [0, 0],
          standing: standingOf(step),
        })
      }
    }
  }
  return {
    standings: new Map(collector.requirements.map(({ requirement, standing }) => [requirement.id, standing])),
    wrong,
    classes,
    rows,
  }

  async function workflowsOf(
    flow: string,
  ): Promise<readonly Pick<WorkflowRecord, 'workflowId' | 'clauses' | 'steps'>[]> {
    const [fault] = faults
    if (line.at !== undefined && fault !== undefined) {
      const stage = await stageOf(flow, switches, line.settings)
      const { steps } = await stage.playAt(line.at, fault)
      return stage.flow.workflows.map(({ workflowId }) => ({ workflowId, clauses: [], steps: [...steps] }))
    }
    if (line.over === undefined && !WHOLE.includes(flow))
      return (await (await stageOf(flow, switches, line.settings)).play(...faults)).workflows
    await using ran = await runOnTwin({
      flows: [flow],
      faults,
      switches: switchesOf(switches),
      kind: line.over ?? 'in-process',
    })
    return ran.record.workflows
  }
}

function stageOf(flow: string, switches: readonly string[], settings: DetectionLine['settings']): Promise<Stage> {
  const key = JSON.stringify([flow, switches, settings])
  const file = existsSync(join(ROOT, 'flows', `${flow}.arazzo.yaml`)) ? flow : `conformance/${flow}`
  const stage = stages.get(key) ?? setStage(file, { switches: switchesOf(switches), ...(settings && { settings }) })
  stages.set(key, stage)
  return stage
}

function hashes(): DetectionHashes {
  const of = (pattern: string) => {
    const hash = createHash('sha256')
    for (const file of globSync(pattern, { cwd: ROOT }).sort())
      hash.update(`${file}\0${readFileSync(join(ROOT, file), 'utf8')}\0`)
    return hash.digest('hex')
  }
  return { flows: of('flows/**/*.yaml'), catalogue: CATALOGUE.sha256, mocks: of('mocks/**/*.ts') }
}

function renew(): void {
  const text = readFileSync(FILE, 'utf8')
  const changed = Object.entries(hashes()).reduce(
    (all, [part, hash]) => all.replace(new RegExp(`("${part}": ")[0-9a-f]*(")`), `$1${hash}$2`),
    text,
  )
  const files = globSync('flows/**/*.arazzo.yaml', { cwd: ROOT })
    .sort()
    .map((file) => [file, sha256(readFileSync(join(ROOT, file), 'utf8'))] as const)
  const list = files.map(([file, hash]) => `    "${file}": "${hash}"`).join(',\n')
  writeFileSync(FILE, changed.replace(/("flowFiles": \{)[^}]*\}/, `$1\n${list}\n  }`))
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
