/**
 * The account of an import: each value of a JSON file is carried over to something, or listed with the reason why it is not. A
 * value is a text, a number, true, false, null, or an empty object or list, by its JSON Pointer.
 */
import { FILE_LIMITS } from '../../record/limits.ts'

/** What becomes of a value. */
export interface Fate {
  readonly is: 'carried' | 'listed'
  /** where it went, or why it went nowhere */
  readonly words: string
}

export interface Leaf extends Fate {
  readonly pointer: string
}

/** RFC 6901 */
export function pointerTo(parent: string, member: string | number): string {
  return `${parent}/${String(member).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** Deeper objects and lists than these stand in no file of Postman. */
export const DEEPEST = FILE_LIMITS.importDepth.value
/** In one file. */
export const MOST_VALUES = FILE_LIMITS.importValues.value

/** The pointers of all values, in the order of the file; undefined where it is deeper or has more values than the limits. */
export function leavesOf(root: unknown): readonly string[] | undefined {
  const leaves: string[] = []
  const open: { readonly value: unknown; readonly pointer: string; readonly depth: number }[] = [
    { value: root, pointer: '', depth: 0 },
  ]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, pointer, depth } = next
    const members = typeof value === 'object' && value !== null ? Object.entries(value) : []
    if (members.length === 0) leaves.push(pointer)
    if (depth > DEEPEST || leaves.length + open.length > MOST_VALUES) return undefined
    for (const [name, member] of members.reverse())
      open.push({ value: member, pointer: pointerTo(pointer, name), depth: depth + 1 })
  }
  return leaves
}

/** Collects what becomes of the values of one file. What is said of a place holds for all values in it but those with a word of their own. */
export class Account {
  readonly #fates = new Map<string, Fate>()

  carry(pointer: string, to: string): void {
    this.#fates.set(pointer, { is: 'carried', words: to })
  }

  list(pointer: string, reason: string): void {
    this.#fates.set(pointer, { is: 'listed', words: reason })
  }

  /** Whether nothing was said of a place yet. */
  isOpen(pointer: string): boolean {
    return !this.#fates.has(pointer)
  }

  /** One entry for each value; `otherwise` is the reason for a place of which nothing was said. */
  settle(leaves: readonly string[], otherwise: (pointer: string) => string): readonly Leaf[] {
    return leaves.map((pointer) => {
      for (let place = pointer; ; place = place.slice(0, place.lastIndexOf('/'))) {
        const fate = this.#fates.get(place)
        if (fate !== undefined) return { pointer, ...fate }
        if (place === '') return { pointer, is: 'listed', words: otherwise(pointer) }
      }
    })
  }
}
