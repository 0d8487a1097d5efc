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
import { ProofCollector, type RequirementStanding } from '../../src/report/proofs.ts'
import { standingOf } from '../../src/report/standing.ts'
import { ROOT, runOnTwin, type Stage, setStage, sharedPki } from '../support/run.ts'

/** They need what a stage has not: two clients in the vault, or something done between two workflows. */
const WHOLE = ['takeover', 'outdated-statement']
/** Faults of these kinds change what a client is told of the status, the type or the schema, whatever the rule. */
const ABOUT: Readonly<Record<string, NonNullable<DetectionLine['about']>>> = {
  status: 'status',
  'content-type': 'type',
  missing: 'schema',
}
const FILE = join(ROOT, 'fixtures', 'requirements', 'detection.json')

const given = process.argv.slice(2)
const only = given.find((one) => !one.startsWith('--')) ?? ''
const { operations } = createTwin({ pki: await sharedPki() })
const lines = DETECTION.filter((line) => nameOf(line).startsWith(only))
const stages = new Map<string, Promise<Stage>>()
const green = new Map<string, Standings>()
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
  const before = green.get(key) ?? (await standings(line, false))
  green.set(key, before)
  const after = await standings(line, true)
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
  const kind = line.fault?.split(':')[0] ?? ''
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
    ...(line.about === ABOUT[kind]
      ? []
      : [`says that it is about ${line.about ?? 'a rule'}, but changes ${ABOUT[kind]}`]),
  ]
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

type Standings = ReadonlyMap<string, RequirementStanding>

/** How the requirements stand after a run of the flows, with the fault or without. Each flow meets no client of another. */
async function standings(line: DetectionLine, isBroken: boolean): Promise<Standings> {
  const switches = [...(line.given ?? []), ...(isBroken && line.switch !== undefined ? [line.switch] : [])]
  const faults = isBroken && line.fault !== undefined ? faultsOf(line.fault, operations) : []
  const collector = new ProofCollector()
  for (const flow of line.flows) {
    for (const workflow of await workflowsOf(flow)) {
      collector.addWorkflow(workflow)
      for (const step of workflow.steps) {
        const { stepId } = step
        collector.addStep(step, {
          workflowId: workflow.workflowId,
          stepId,
          position: [0, 0],
          standing: standingOf(step),
        })
      }
    }
  }
  return new Map(collector.requirements.map(({ requirement, standing }) => [requirement.id, standing]))

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
  writeFileSync(FILE, changed)
}
