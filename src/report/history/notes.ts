/** What makes joined runs less alike than they look. Pure. */
import { enumerated } from '../../record/errors.ts'
import type { RecordHead } from '../../record/index.ts'
import { staleAcceptances } from '../accepted.ts'
import { count } from '../words.ts'
import { isOfPresentCatalogue, type RunFacts } from './facts.ts'
import { type JoinedRequirement, named } from './requirement.ts'

interface Joined {
  readonly runs: readonly RunFacts[]
  readonly requirements: readonly JoinedRequirement[]
  readonly decisions: RecordHead['decisions']
  /** RFC 3339 */
  readonly now: string
}

export function notesOf({ runs, requirements, decisions, now }: Joined): readonly string[] {
  const deciding = new Set(requirements.flatMap(({ decidedIn }) => decidedIn.map(({ run }) => run)))
  const older = runs.filter((run) => deciding.has(run))
  return [
    ...changedFlows(runs, requirements),
    ...otherServers(runs, older),
    ...otherCatalogues(older),
    ...signedBefore(runs, decisions),
    ...staleAcceptances(
      { decisions, startedAt: now },
      new Map(requirements.map(({ requirement, standing }) => [requirement.id, standing])),
    ),
  ]
}

/** Verdicts that a flow gave before it was changed. */
function changedFlows(runs: readonly RunFacts[], requirements: Joined['requirements']): readonly string[] {
  const flowIn = (run: RunFacts, id: string) => run.workflows.find(({ workflowId }) => workflowId === id)?.flow
  const changed = new Map<string, RunFacts>()
  for (const { decidedIn } of requirements)
    for (const { run, step } of decidedIn) {
      const newest = runs.map((one) => flowIn(one, step.workflowId)).find((flow) => flow !== undefined)
      const own = flowIn(run, step.workflowId)
      if (own !== undefined && newest !== undefined && own.sha256 !== newest.sha256)
        changed.set(`${own.file}\n${run.folder}`, run)
    }
  return [...changed].map(
    ([key, run]) => `${key.split('\n')[0]} has changed since ${named(run)}, of which verdicts still count`,
  )
}

function otherServers(runs: readonly RunFacts[], older: readonly RunFacts[]): readonly string[] {
  const serversOf = ({ head }: RunFacts) => new Map(head.environment.servers?.map(({ source, url }) => [source, url]))
  const [newest] = runs as [RunFacts]
  const now = serversOf(newest)
  return older.flatMap((run) => {
    const others = [...serversOf(run)].filter(([source, url]) => now.has(source) && now.get(source) !== url)
    return others.length === 0
      ? []
      : [`${named(run)} met other servers: ${others.map(([source, url]) => `${source} ${url}`).join(', ')}`]
  })
}

function otherCatalogues(older: readonly RunFacts[]): readonly string[] {
  const others = older.filter((run) => !isOfPresentCatalogue(run))
  return others.length === 0
    ? []
    : [
        `the catalogue has changed since ${enumerated(others.slice(0, 5).map(named))}${others.length > 5 ? ` and ${others.length - 5} more` : ''}; all are judged by the present one`,
      ]
}

function signedBefore(runs: readonly RunFacts[], decisions: Joined['decisions']): readonly string[] {
  return (decisions?.signOff ?? []).flatMap(({ name, date }) => {
    const since = runs.filter(({ head }) => head.startedAt.slice(0, 10) > date).length
    return since === 0 ? [] : [`${name} signed on ${date}, and ${count(since, 'run')} came after that day`]
  })
}
