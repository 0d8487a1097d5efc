/** Sorts items so that each comes after those it needs. Used for steps and for workflows. */

export interface Order<T> {
  /** each once, after everything it needs, otherwise as given */
  readonly order: readonly T[]
  /** items that need each other in a circle, if any do */
  readonly circle: readonly T[] | undefined
}

/** The names of a circle, as a message shows them. */
export function namesOf(circle: readonly string[]): string {
  return `${circle
    .slice(0, 10)
    .map((name) => `"${name}"`)
    .join(', ')}${circle.length > 10 ? ', …' : ''}`
}

/** Everything that `starts` need, directly or indirectly. Without recursion, since hostile files make long chains. */
export function inOrder<T>(starts: Iterable<T>, needs: (one: T) => Iterable<T>): Order<T> {
  const order: T[] = []
  const state = new Map<T, 'open' | 'done'>()
  let circle: T[] | undefined
  for (const start of starts) {
    const stack = [start]
    for (let one = stack.at(-1); one !== undefined; one = stack.at(-1)) {
      if (state.get(one) === undefined) {
        state.set(one, 'open')
        const missing = [...needs(one)].filter((need) => state.get(need) !== 'done')
        const back = missing.find((need) => state.get(need) === 'open')
        if (back !== undefined) circle ??= stack.slice(stack.indexOf(back)).filter((each) => state.get(each) === 'open')
        stack.push(...missing.filter((need) => state.get(need) === undefined).reverse())
        continue
      }
      stack.pop()
      if (state.get(one) === 'open') order.push(one)
      state.set(one, 'done')
    }
  }
  return { order, circle }
}
