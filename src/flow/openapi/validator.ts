/**
 * Judges a value by a JSON Schema (2020-12) of a description or an input. Never throws: a keyword that cannot be read or run
 * is not judged, which is neither a pass nor a failure. The work for one value is bounded.
 */

import { FILE_LIMITS } from '../../record/limits.ts'
import type { Pattern } from '../expression/pattern.ts'
import { JUDGES } from './judges.ts'
import { type Answer, type Application, describe, type Judging, type Place, type Spot } from './judging.ts'
import { reachable, type Schema, type SchemaNode, schemasOf } from './schema.ts'

export interface Violation {
  /** JSON Pointer to the member, "" for the root */
  readonly pointer: string
  readonly expected: string
  readonly actual: string
}

export interface Judgement {
  /** the innermost ones, one for each member that has any, in the order in which they were found */
  readonly violations: readonly Violation[]
  /** number of further members with a violation */
  readonly beyond: number
  /** why there is no verdict, in plain words; empty where there is one */
  readonly unjudged: readonly string[]
}

/** Judges `value`; `root` is the document that `#/…` references of the schema point into. */
export function judgeValue(schema: Schema, value: unknown, root: unknown): Judgement {
  return new Session().judge(schemasOf(root).read(schema, []), value)
}

const MOST_VIOLATIONS = FILE_LIMITS.violations.value
/** Applications of a keyword: less than half a second of work, and more than an answer within the limits needs. */
const MOST_STEPS = FILE_LIMITS.schemaSteps.value
/** To note a violation takes as long as so many keywords. */
const STEPS_OF_VIOLATION = 4
/** Instructions of compiled patterns times UTF-16 units of the texts they are tried on. */
const MOST_PATTERN_WORK = FILE_LIMITS.patternWork.value
/** Schemas within each other; the stack holds several times as many. */
const DEEPEST = FILE_LIMITS.schemaDepth.value

/** The judging of one value. */
class Session implements Judging {
  readonly #violations = new Map<string, Violation>()
  readonly #reasons = new Set<string>()
  #beyond = 0
  #steps = 0
  #patternWork = 0
  #depth = 0
  #stopped = false

  judge(node: SchemaNode, value: unknown): Judgement {
    const answer = this.evaluate(node, { value, seen: asksForOthers(node) ? new Set() : undefined }, false)
    return {
      violations: [...this.#violations.values()],
      beyond: this.#beyond,
      unjudged: answer === undefined || this.#stopped ? [...this.#reasons] : [],
    }
  }

  evaluate(node: SchemaNode, spot: Spot, silent: boolean): Answer {
    if (!node.open) return this.refuse({ spot, silent }, 'the member to be absent')
    if (this.#depth >= DEEPEST) return this.#stop('the value and its schema are nested too deep')
    if (this.#stopped) return undefined
    this.#depth += 1
    let answer: Answer = node.unjudged.length === 0 ? true : this.open(node.unjudged)
    for (const rule of node.rules.values()) {
      this.spend(1)
      if (this.#stopped) break
      const judge = JUDGES[rule.keyword]
      const one = judge === undefined || judge(this, { rule, node, spot, silent })
      if (one === false) answer = false
      else if (one === undefined && answer === true) answer = undefined
      if (answer === false && silent) break
    }
    this.#depth -= 1
    return this.#stopped && answer === true ? undefined : answer
  }

  below({ spot, silent }: Application, node: SchemaNode, key: string | number): Answer {
    spot.seen?.add(key)
    const value = (spot.value as Readonly<Record<string | number, unknown>>)[key]
    return this.evaluate(node, { value, above: spot, key, seen: spot.seen && new Set() }, silent)
  }

  inPlace({ spot, silent }: Place, node: SchemaNode): Answer {
    if (spot.seen === undefined) return this.evaluate(node, spot, silent)
    const seen = new Set<string | number>()
    const answer = this.evaluate(node, { ...spot, seen }, silent)
    if (answer !== false) for (const key of seen) spot.seen.add(key)
    return answer
  }

  test(pattern: Pattern, text: string): boolean | undefined {
    this.#patternWork += pattern.size * text.length
    if (this.#patternWork > MOST_PATTERN_WORK) return this.#stop('its patterns take too much work on this value')
    return pattern.test(text)
  }

  refuse(
    { spot, silent }: Place,
    expected: string,
    { key, actual }: { readonly key?: string; readonly actual?: string } = {},
  ): false {
    if (silent) return false
    this.spend(STEPS_OF_VIOLATION)
    if (this.#stopped) return false
    const pointer = pointerOf(key === undefined ? spot : { value: undefined, above: spot, key })
    if (this.#violations.has(pointer)) return false
    if (this.#violations.size < MOST_VIOLATIONS)
      this.#violations.set(pointer, { pointer, expected, actual: actual ?? describe(spot.value) })
    else this.#beyond += 1
    return false
  }

  open(reasons: readonly string[]): undefined {
    for (const reason of reasons) this.#reasons.add(reason)
    return undefined
  }

  spend(steps: number): void {
    this.#steps += steps
    if (this.#steps > MOST_STEPS) this.#stop('its schema takes too much work on this value')
  }

  #stop(reason: string): undefined {
    this.#stopped = true
    return this.open([reason])
  }
}

const asking = new WeakMap<SchemaNode, boolean>()

/** Whether a keyword about members or items that no other keyword judges can be reached. */
function asksForOthers(node: SchemaNode): boolean {
  const known = asking.get(node)
  if (known !== undefined) return known
  const found = [...reachable([node])].some(
    ({ rules }) => rules.has('unevaluatedProperties') || rules.has('unevaluatedItems'),
  )
  asking.set(node, found)
  return found
}

function pointerOf(spot: Spot): string {
  const tokens: string[] = []
  for (let at: Spot | undefined = spot; at?.above !== undefined; at = at.above)
    tokens.push(String(at.key).replaceAll('~', '~0').replaceAll('/', '~1'))
  return tokens
    .toReversed()
    .map((token) => `/${token}`)
    .join('')
}
