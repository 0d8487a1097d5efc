/** Variables of Postman and what they stand for: an environment comes before a folder, a folder before the collection, that before globals. */
import { enumerated, fail } from '../../record/errors.ts'
import { pointerTo } from './leaves.ts'
import { type Fields, isObject, listOf, type Source, textOf } from './source.ts'

/** A name and a value that count in Postman: a variable, a header, a parameter, a field of a form. */
export interface Entry {
  readonly name: string
  readonly value: string
  readonly source: Source
  /** the pointer of the whole entry */
  readonly at: string
  readonly fields: Fields
}

export type Variable = Entry

const REFERENCE = /\{\{([^{}]{1,256})\}\}/g
/** References within references. */
const DEEPEST = 10
/** Of a value with all that it refers to. */
const LONGEST = 1024 * 1024

/** Those that are disabled or have no name are listed. */
export function entriesIn(source: Source, list: unknown, at: string): readonly Entry[] {
  return listOf(list).flatMap((entry, index) => {
    const place = pointerTo(at, index)
    if (!isObject(entry)) return []
    const name = (textOf(entry.key) ?? textOf(entry.id) ?? '').trim()
    if (entry.enabled === false || entry.disabled === true || name === '') {
      source.account.list(place, name === '' ? 'an entry without a name' : 'disabled in Postman')
      return []
    }
    const value = entry.value ?? ''
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    return [{ name, value: text, source, at: place, fields: entry }]
  })
}

export class Variables {
  /** the nearest first */
  readonly #layers: readonly ReadonlyMap<string, Variable>[]

  constructor(layers: readonly ReadonlyMap<string, Variable>[]) {
    this.#layers = layers
  }

  get(name: string): Variable | undefined {
    const trimmed = name.trim()
    // As Postman has it, a variable without a value is set all the same; where a wider one has a value, that is of more use.
    const all = this.#layers.flatMap((layer) => layer.get(trimmed) ?? [])
    return all.find(({ value }) => value !== '') ?? all[0]
  }

  /** With all references resolved that have a value. */
  resolved(text: string, depth = 0): string {
    if (depth > DEEPEST || !text.includes('{{')) return text
    return text
      .replace(REFERENCE, (whole, name: string) => {
        const value = this.get(name)?.value
        return value === undefined || value === '' ? whole : this.resolved(value, depth + 1)
      })
      .slice(0, LONGEST)
  }

  /** A narrower layer over these. */
  within(list: readonly Variable[]): Variables {
    if (list.length === 0) return this
    // Below the environments, which are the first layer.
    const [environments = new Map(), ...others] = this.#layers
    return new Variables([environments, byName(list), ...others])
  }

  /** Each variable that counts, once. */
  *all(): Generator<Variable> {
    const names = new Set(this.#layers.flatMap((layer) => [...layer.keys()]))
    for (const name of names) {
      const variable = this.get(name)
      if (variable !== undefined) yield variable
    }
  }
}

/** Of a name that is set twice the last one counts; one without a value takes nothing away from another file. */
function byName(list: readonly Variable[]): ReadonlyMap<string, Variable> {
  const names = new Map<string, Variable>()
  for (const variable of list) {
    const before = names.get(variable.name)
    if (before !== undefined && before.source === variable.source)
      before.source.account.list(before.at, `"${variable.name}" is set again further down, and that one counts`)
    const isEmptyBeside = variable.value === '' && before !== undefined && before.source !== variable.source
    if (!isEmptyBeside) names.set(variable.name, variable)
  }
  return names
}

/** @throws ToolError IMPORT where two environments contradict each other */
export function variablesOf(sources: readonly Source[]): Variables {
  const environments = sources.filter(({ kind }) => kind === 'environment')
  const lists = environments.map((source) => entriesIn(source, source.data.values, `${source.at}/values`))
  demandAgreement(environments, lists.map(byName))
  const of = (kind: Source['kind'], member: string) =>
    sources
      .filter((source) => source.kind === kind)
      .flatMap((source) => entriesIn(source, source.data[member], `${source.at}/${member}`))
  return new Variables([byName(lists.flat()), byName(of('collection', 'variable')), byName(of('globals', 'values'))])
}

function demandAgreement(sources: readonly Source[], maps: readonly ReadonlyMap<string, Variable>[]): void {
  const [first, ...others] = maps
  if (first === undefined) return
  const differing = others.flatMap((map) =>
    [...map].flatMap(([name, { value }]) => {
      const one = maps.find((each) => each !== map && (each.get(name)?.value ?? '') !== '')?.get(name)?.value
      return value !== '' && one !== undefined && one !== value ? [name] : []
    }),
  )
  const names = [...new Set(differing)]
  if (names.length === 0) return
  fail({
    code: 'IMPORT',
    message: `${enumerated(sources.map(({ name }) => `"${name}"`))} contradict each other: ${names.length} variable(s) have different values`,
    found: enumerated(
      names.map((name) => `"${name}"`),
      10,
    ),
    hint: 'give the one environment that is meant',
  })
}

/** The names that a text refers to. */
export function referencesIn(text: string): readonly string[] {
  return [...text.matchAll(REFERENCE)].map(([, name = '']) => name.trim())
}

/** A text in the pieces that stand as written and those that are variables. */
export function variableParts(text: string): readonly (string | { readonly variable: string })[] {
  return text
    .split(/(\{\{[^{}]{1,256}\}\})/)
    .filter((part) => part !== '')
    .map((part) => (/^\{\{[^{}]+\}\}$/.test(part) ? { variable: part.slice(2, -2).trim() } : part))
}
