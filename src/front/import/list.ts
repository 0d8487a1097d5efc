/** What was not carried over, as a short table for the console and as a file with every value. Names no value. */
import { line } from '../../record/foreign.ts'
import { count } from '../../report/words.ts'
import type { ImportPlan } from './plan.ts'
import { concealed } from './secrets.ts'

/** Rows of the table on the console. */
const SHOWN = 12

export function shortList({ accounts, imported }: Pick<ImportPlan, 'accounts' | 'imported'>): string {
  const leaves = accounts.flatMap((one) => one.leaves)
  const listed = leaves.filter(({ is }) => is === 'listed')
  const reasons = [...Map.groupBy(listed, ({ words }) => words)].sort(([, a], [, b]) => b.length - a.length)
  const rows = reasons
    .slice(0, SHOWN)
    .map(([reason, all]) => line`  ${String(all.length).padStart(5)}  ${concealed(reason)}`)
  const rest = reasons.length > SHOWN ? [`         and ${count(reasons.length - SHOWN, 'more reason')}`] : []
  const left = imported.left.map(
    ({ request, reason }) => line`  request ${JSON.stringify(request.request.name)}: ${concealed(reason)}`,
  )
  return [
    `${leaves.length} values: ${leaves.length - listed.length} carried over, ${listed.length} not`,
    ...rows,
    ...rest,
    ...(left.length === 0 ? [] : ['requests that are not carried over:', ...left]),
  ].join('\n')
}

export function wholeList({
  accounts,
  imported,
  requests,
}: Pick<ImportPlan, 'accounts' | 'imported' | 'requests'>): string {
  const parts = accounts.map(({ file, leaves }) => {
    const listed = leaves.filter(({ is }) => is === 'listed')
    const rows = listed.map(({ pointer, words }) => line`- \`${concealed(pointer)}\`: ${concealed(words)}`)
    return [
      line`## ${file}`,
      '',
      `${leaves.length} values: ${leaves.length - listed.length} carried over, ${listed.length} listed here.`,
      '',
      ...rows,
      '',
    ].join('\n')
  })
  const rows = requests.map(({ request, documented }) => {
    const place = [...request.folders, request.name].join(' › ')
    const own = imported.left.find((one) => one.request.request === request)
    const became = documented === undefined ? (own?.reason ?? 'a step of the imported flow') : `flow ${documented.flow}`
    return line`- ${place}: ${concealed(became)}`
  })
  return [
    '# What was imported from Postman, and what was not',
    '',
    'Each value by its JSON Pointer in the file. No value is repeated here.',
    '',
    ...(rows.length === 0 ? [] : ['## Requests', '', ...rows, '']),
    ...parts,
  ].join('\n')
}
