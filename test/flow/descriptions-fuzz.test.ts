/**
 * API descriptions with mistakes that nobody thought of: each is refused with its place, or judges answers. The seed is new each
 * time, and the name of the test has it: FUZZ_SEED=… repeats that run. FUZZ=full, which .ci/run sets, makes ten times as many.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { lint } from '../../src/flow/lint/index.ts'
import { findOperation, readApiDescription } from '../../src/flow/openapi/description.ts'
import type { Schema } from '../../src/flow/openapi/schema.ts'
import { faultsOf, faultsOfComponents, problemOf } from '../../src/flow/openapi/used.ts'
import { judgeValue } from '../../src/flow/openapi/validator.ts'
import { plannedEffect } from '../../src/plan/effect.ts'
import { type Problem, ToolError } from '../../src/record/errors.ts'
import { ROOT } from '../support/cli.ts'

const SEED = process.env.FUZZ_SEED ?? randomBytes(6).toString('hex')
const MUTATIONS = process.env.FUZZ === 'full' ? 1000 : 100
/** One of so many goes through lint, with the flow that names it. */
const LINTED = process.env.FUZZ === 'full' ? 5 : 50

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'thredd-descriptions-')))
cpSync(join(ROOT, 'flows'), join(folder, 'flows'), { recursive: true })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
const shipped = readdirSync(join(ROOT, 'flows', 'apis'))
  .sort()
  .map((file) => [file, parse(readFileSync(join(ROOT, 'flows', 'apis', file), 'utf8')) as Json] as const)

const small = shipped.filter(([file]) => file !== 'authorization.openapi.yaml')

/** Whole numbers below a bound, the same for the same seed. */
function dice(seed: string): (sides: number) => number {
  let number = 0
  return (sides) => createHash('sha256').update(`${seed}/${number++}`).digest().readUInt32BE(0) % sides
}

/** Marks what JSON cannot write: taken out of its quotes in the text. */
const raw = (text: string) => `\u0001${text}\u0001`
const ODD_VALUES: readonly Json[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    '',
    'x',
    'NaN',
    '1e400',
    '2024-01-01',
    [],
    {},
    [[]],
    [null],
    { a: {} },
    'x'.repeat(5000),
  ],
  raw('['.repeat(5000) + ']'.repeat(5000)),
  ...['1e400', '-1e400', '.nan', '.inf', '9007199254740993123', '-0', '0x1F', '~', '2024-01-01', '!!binary aGk='].map(
    raw,
  ),
]
const ODD_NAMES = [
  '',
  '__proto__',
  'constructor',
  'toString',
  '$ref',
  '$id',
  '$dynamicRef',
  'x'.repeat(1000),
  ' 200',
  '~1/',
  '200',
  'get',
  '\u202e',
  'length',
  '0',
]
const ODD_PATTERNS = [
  '(',
  '(?=a)b',
  '(?<!a)b',
  'a{1000}{1000}',
  'a{99999}',
  '(a+)+$',
  '[z-a]',
  '\\',
  '\\p{L}',
  '\\p{Nope}',
  '^(?:a|a)*$',
  '(?<n>a)\\k<n>',
  'a'.repeat(5000),
  '\ud800',
  '(?:',
  '*',
  '',
]
const ODD_FORMATS: readonly Json[] = [
  '',
  'regex',
  'uri ',
  '__proto__',
  'constructor',
  'date-time',
  'uuid',
  'ipv6',
  5,
  null,
  ['uri'],
]
const ODD_REFERENCES: readonly Json[] = [
  '#',
  '#/',
  '',
  'other.yaml#/a',
  '#/%zz',
  '#/paths/~2',
  '#/components',
  '#/components/schemas',
  '#/paths',
  '#anchor',
  'https://a.example/',
  5,
  null,
  {},
  '#/info/title',
  '#/__proto__',
  '#/components/schemas/constructor',
]

interface Place {
  readonly owner: Json[] | { [name: string]: Json }
  readonly key: string | number
  readonly path: readonly (string | number)[]
}

function placesIn(value: Json, path: readonly (string | number)[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.keys(value).flatMap((name) => {
    const key = Array.isArray(value) ? Number(name) : name
    return [{ owner: value, key, path: [...path, key] }, ...placesIn(valueAt({ owner: value, key }), [...path, key])]
  })
}

function valueAt({ owner, key }: Pick<Place, 'owner' | 'key'>): Json {
  return (owner as { [name: string]: Json })[key] ?? null
}

function put({ owner, key }: Place, value: Json): void {
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true })
}

const pointerOf = (path: readonly (string | number)[]) =>
  `#${path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`

type Roll = (sides: number) => number
const oneOf = <T>(roll: Roll, list: readonly T[]): T => list[roll(list.length)] as T

/** Each spoils one place of a description. */
const SPOILERS: Readonly<Record<string, (place: Place, roll: Roll, all: readonly Place[]) => void>> = {
  delete: ({ owner, key }) => {
    if (Array.isArray(owner)) owner.splice(Number(key), 1)
    else delete owner[key]
  },
  retype: (place, roll) => put(place, oneOf(roll, ODD_VALUES)),
  rename: (place, roll) => {
    if (Array.isArray(place.owner)) return
    const value = valueAt(place)
    delete place.owner[place.key]
    put({ ...place, key: oneOf(roll, ODD_NAMES) }, value)
  },
  // "\u0002" is taken out of names in the text, so that the member is there twice.
  duplicate: (place) => put({ ...place, key: Array.isArray(place.owner) ? 0 : `${place.key}\u0002` }, valueAt(place)),
  nest: (place, roll) => {
    const depth = oneOf(roll, [3, 20, 40, 60, 200])
    const kind = oneOf(roll, ['items', 'allOf', 'not', 'properties'] as const)
    let value = valueAt(place)
    for (let level = 0; level < depth; level += 1)
      value =
        kind === 'allOf' ? { allOf: [value] } : kind === 'properties' ? { properties: { a: value } } : { [kind]: value }
    put(place, value)
  },
  refer: (place, roll, all) => {
    const away = [pointerOf(place.path), pointerOf(place.path.slice(0, -1)), pointerOf(oneOf(roll, all).path)]
    put(place, { $ref: oneOf(roll, [...ODD_REFERENCES, ...away]) })
  },
  // Two that lead to each other.
  circle: (place, roll, all) => {
    const other = oneOf(roll, all)
    put(place, { $ref: pointerOf(other.path) })
    put(other, { $ref: pointerOf(place.path) })
  },
  pattern: (place, roll) => put(place, { type: 'string', pattern: oneOf(roll, ODD_PATTERNS) }),
  patterns: (place, roll) =>
    put(place, { patternProperties: { [oneOf(roll, ODD_PATTERNS)]: oneOf(roll, ODD_VALUES) } }),
  format: (place, roll) => put(place, { type: 'string', format: oneOf(roll, ODD_FORMATS) }),
  keyword: (place, roll) =>
    put(place, { [oneOf(roll, KEYWORDS)]: oneOf(roll, ODD_VALUES), [oneOf(roll, KEYWORDS)]: oneOf(roll, ODD_VALUES) }),
  swap: (place, roll, all) => {
    const other = oneOf(roll, all)
    const [one, two] = [valueAt(place), valueAt(other)].map((value) => structuredClone(value)) as [Json, Json]
    put(place, two)
    put(other, one)
  },
}
const KEYWORDS = [
  'type',
  'enum',
  'const',
  'minLength',
  'maximum',
  'multipleOf',
  'required',
  'properties',
  'items',
  'prefixItems',
  'contains',
  'minContains',
  'uniqueItems',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'not',
  'oneOf',
  'anyOf',
  'allOf',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'additionalProperties',
  '$ref',
  '$id',
  '$defs',
  'nullable',
  'exclusiveMinimum',
  'style',
  'explode',
  'in',
  'name',
  'content',
  'default',
  'x-dcr',
  'example',
]

/** The text of a shipped description that was spoilt in one to three places, and what was done. */
function mutated(seed: string): { readonly file: string; readonly text: string; readonly done: string } {
  const roll = dice(seed)
  // The largest takes as long as all others together.
  const [file, original] = oneOf(roll, roll(10) === 0 ? shipped : small)
  const data = structuredClone(original)
  const done: string[] = []
  for (let times = 1 + roll(3); times > 0; times -= 1) {
    const places = placesIn(data)
    const place = oneOf(roll, places)
    const kind = oneOf(roll, Object.keys(SPOILERS))
    SPOILERS[kind]?.(place, roll, places)
    done.push(`${kind} ${pointerOf(place.path)}`)
  }
  const text = JSON.stringify(data, null, 1)
    .replaceAll(/"\\u0001(.*?)\\u0001"/g, '$1')
    .replaceAll('\\u0002', '')
  return { file, text, done: `${file}: ${done.join(', ')}` }
}

/** What a server may answer, whatever the description says. */
const ANSWERS: readonly unknown[] = [
  ...[
    null,
    true,
    1,
    9007199254740993123n,
    '',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaa!',
    [],
    {},
    [[[]]],
    [1, 1],
    { a: { a: {} } },
  ],
  JSON.parse(readFileSync(join(ROOT, 'fixtures', 'thredd', 'dcr-response-2024-08.json'), 'utf8')),
  JSON.parse('{"__proto__": {"a": 1}, "constructor": 1, "keys": [{"kty": 1}], "error": null}'),
]

/** How a description ends: refused with the problems, or judged, with what was said of the answers. */
async function ending(file: string): Promise<{ readonly problems: readonly Problem[]; readonly judged: number }> {
  const problems: Problem[] = []
  const at = { file: 'flow', line: 1, column: 1 }
  const description = await readApiDescription(file, at, problems).catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error
    problems.push(...error.problems)
  })
  if (description === undefined) return { problems, judged: 0 }
  const faults = [...description.places.values()].flatMap((one) => faultsOf(description, one))
  problems.push(...[...faults, ...faultsOfComponents(description)].map((fault) => problemOf(description, fault)))
  findOperation(description, 'noSuchOperation')
  let judged = 0
  for (const { responses } of description.places.values()) {
    for (const schema of [...responses.values()].flatMap((types) => [...types.values()])) {
      for (const answer of ANSWERS) judged += checked(judgeValue(schema as Schema, answer, description.document.data))
    }
  }
  return { problems, judged }
}

/** Every violation and every reason is a sentence. */
function checked({ violations, unjudged }: ReturnType<typeof judgeValue>): number {
  for (const { pointer, expected, actual } of violations)
    for (const text of [pointer, expected, actual])
      if (typeof text !== 'string') throw new Error(`${String(text)} is no text`)
  if (unjudged.some((reason) => reason === '')) throw new Error('a reason without words')
  return 1
}

const CODES = ['FLOW_STRUCTURE', 'FLOW_REFERENCE', 'FLOW_SYNTAX', 'FLOW_UNSUPPORTED']

test(`seed ${SEED}: ${MUTATIONS} spoilt descriptions are refused with their place, or judge answers`, async () => {
  const counts = { refused: 0, judged: 0 }
  for (let number = 0; number < MUTATIONS; number += 1) {
    const seed = `${SEED}/${number}`
    const { file, text, done } = mutated(seed)
    const path = join(folder, 'flows', 'apis', file)
    writeFileSync(path, text)
    try {
      const { problems, judged } = await ending(path)
      for (const { code, at, message } of problems) {
        expect(CODES, message).toContain(code)
        expect(at, message).toMatchObject({ file: path, line: expect.any(Number), column: expect.any(Number) })
      }
      if (problems.length > 0) counts.refused += 1
      // A description without an operation judges nothing, which is no mistake of it.
      else if (judged > 0) counts.judged += 1
      if (number % LINTED === 0) {
        const { findings } = await lint({
          paths: ['flows/register.arazzo.yaml'],
          folders: [folder],
          effectOf: plannedEffect,
        })
        expect(findings.filter(({ message }) => message === '')).toEqual([])
      }
    } catch (error) {
      throw new Error(`FUZZ_SEED=${SEED}, mutation ${number}: ${done}`, { cause: error })
    } finally {
      cpSync(join(ROOT, 'flows', 'apis', file), path)
    }
  }
  expect(counts.refused).toBeGreaterThan(0)
  expect(counts.judged).toBeGreaterThan(0)
}, 600_000)
