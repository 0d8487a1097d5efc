/** What has changed between two states of an environment. Pure. */
import type { RecordHead } from '../../record/index.ts'
import { type Column, columnOf } from '../gate.ts'
import type { RunFacts } from './facts.ts'
import type { JoinedRequirement } from './requirement.ts'

export interface Changes {
  /** requirements by what they were and are, the worst first */
  readonly columns: readonly { readonly from: Column; readonly to: Column; readonly ids: readonly string[] }[]
  /** certificates and decisions, each a sentence */
  readonly others: readonly string[]
}

interface State {
  readonly runs: readonly RunFacts[]
  readonly requirements: readonly JoinedRequirement[]
  readonly decisions: RecordHead['decisions']
}

const WORST_FIRST: readonly Column[] = ['failed', 'no verdict', 'not tested', 'open', 'by Thredd', 'accepted', 'proven']

export function changesBetween(before: State, after: State): Changes {
  const was = new Map(before.requirements.map((one) => [one.requirement.id, columnOf(one)]))
  const changed = after.requirements.flatMap((one) => {
    const { id } = one.requirement
    const [from, to] = [was.get(id), columnOf(one)]
    return from === undefined || from === to ? [] : [{ from, to, id }]
  })
  const groups = [...Map.groupBy(changed, ({ from, to }) => `${from}\n${to}`).values()].flatMap((rows) => {
    const [first] = rows
    return first === undefined ? [] : [{ from: first.from, to: first.to, ids: rows.map(({ id }) => id) }]
  })
  const rank = ({ to }: { readonly to: Column }) => WORST_FIRST.indexOf(to)
  return {
    columns: groups.toSorted((a, b) => rank(a) - rank(b)),
    others: [...certificateChanges(before, after), ...decisionChanges(before.decisions, after.decisions)],
  }
}

/** Our own, as the newest run of each state has them. */
function certificateChanges({ runs: [before] }: State, { runs: [after] }: State): readonly string[] {
  const old = new Map(before?.head.identities.map((one) => [one.name, one]))
  return (after?.head.identities ?? []).flatMap(({ name, sha256, notAfter }) => {
    const was = old.get(name)
    if (was === undefined) return [`certificate "${name}" is new, and ends on ${notAfter.slice(0, 10)}`]
    if (was.sha256 === sha256) return []
    return [
      `certificate "${name}" is another: it ends on ${notAfter.slice(0, 10)}, the earlier on ${was.notAfter.slice(0, 10)}`,
    ]
  })
}

function decisionChanges(before: RecordHead['decisions'], after: RecordHead['decisions']): readonly string[] {
  if (before?.sha256 === after?.sha256) return []
  if (after === undefined) return ['the decisions file is gone']
  return [before === undefined ? `${after.file} is new` : `${after.file} has changed`]
}
