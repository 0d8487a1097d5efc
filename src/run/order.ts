/** In which order the flows of one run go out, and which of them meet the same twin. Pure. */

import { withDependencies } from '../flow/arazzo/needs.ts'
import { inOrder } from '../flow/document/order.ts'
import type { Flow } from '../flow/index.ts'
import { changesOf, effectOf, type Selected } from '../guard/confirmation.ts'
import { EFFECTS, isStronger, strongest } from '../record/effect.ts'

/** The workflows of one file, which keep the order of the file. */
interface File<T extends Selected> {
  readonly flow: Flow
  readonly workflows: readonly T[]
}

/**
 * Flow files that read first, then those that register, update and delete; files of one effect as they were named. A deletion
 * is of the client that was there when the run began, so it comes before what registers another. A file comes after those that
 * it depends on and, where nobody has registered the client yet, one that reads or updates a registration after those that
 * register.
 */
export function byEffect(
  selection: readonly Selected[],
  { registered }: { readonly registered: boolean },
): readonly Selected[] {
  const files = filesOf(selection).map((file) => ({ file, effect: strongest(file.workflows.map(effectOf)) }))
  const waits = !registered && files.some(({ effect }) => effect === 'register')
  const registers = EFFECTS.indexOf('register')
  const rank = ({ file, effect }: (typeof files)[number]) => {
    if (deletesWhatWasThere(file) && files.some((other) => other.effect === 'register')) return registers - 0.5
    return waits && isGivenRegistration(file) && isStronger('register', effect)
      ? registers + 0.5
      : EFFECTS.indexOf(effect)
  }
  const sorted = files.toSorted((one, other) => rank(one) - rank(other)).map(({ file }) => file)
  const { order, circle } = inOrder(sorted, (file) => sorted.filter((other) => dependsOn(file, other)))
  return circle === undefined ? order.flatMap(({ workflows }) => workflows) : selection
}

/**
 * What meets the same embedded twin: in a run without names each file alone; of files that are named together those that go on
 * with the same client. One that registers a client of its own does not find the client that another has left.
 */
export function sharesOf<T extends Selected>(
  all: readonly T[],
  { isNamed }: { readonly isNamed: boolean },
): readonly (readonly T[])[] {
  const shares: File<T>[][] = []
  for (const file of filesOf(all)) {
    const share = shares.at(-1)
    const goesOn =
      share?.some((other) => dependsOn(file, other)) || (isNamed && !(beginsAnew(file) && share?.some(hasClient)))
    if (share !== undefined && goesOn) share.push(file)
    else shares.push([file])
  }
  return shares.map((share) => share.flatMap(({ workflows }) => workflows))
}

function filesOf<T extends Selected>(all: readonly T[]): readonly File<T>[] {
  return [...Map.groupBy(all, ({ flow }) => flow.file).values()].map((workflows) => ({
    flow: (workflows[0] as T).flow,
    workflows,
  }))
}

function dependsOn(file: File<Selected>, other: File<Selected>): boolean {
  if (file.flow.file === other.flow.file) return false
  const needed = file.workflows.flatMap(({ flow, workflow }) => withDependencies(flow, workflow))
  return needed.some(({ flow }) => flow.file === other.flow.file)
}

function isGivenRegistration({ workflows }: File<Selected>): boolean {
  return workflows.some(({ workflow }) => workflow.given.includes('registration'))
}

function deletesWhatWasThere(file: File<Selected>): boolean {
  const changes = new Set(file.workflows.flatMap(changesOf))
  return isGivenRegistration(file) && changes.size === 1 && changes.has('delete')
}

function beginsAnew(file: File<Selected>): boolean {
  return !isGivenRegistration(file) && file.workflows.flatMap(changesOf)[0] === 'register'
}

function hasClient(file: File<Selected>): boolean {
  return isGivenRegistration(file) || file.workflows.flatMap(changesOf).includes('register')
}
