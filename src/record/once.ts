/** What follows from a thing that never changes is worked out once, and forgotten with the thing. */
export function onceForEach<E extends object, T>(work: (thing: E) => T): (thing: E) => T {
  const known = new WeakMap<E, T>()
  return (thing) => {
    const there = known.get(thing)
    if (there !== undefined) return there
    const made = work(thing)
    known.set(thing, made)
    return made
  }
}
