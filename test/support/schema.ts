/** The JSON Schema of flow files as this tool reads them, made from the tables of the reader, for editors. */

import { ARAZZO, type Members, X_DCR } from '../../src/flow/arazzo/structure.ts'
import { decisionsFile } from '../../src/record/decisions.ts'
import { z } from '../../src/record/shape.ts'

type Json = Readonly<Record<string, unknown>>

const to = (name: string): Json => ({ $ref: `#/$defs/${name}` })
const each = (...names: readonly string[]): Json => {
  const [only = ''] = names
  return { items: names.length === 1 ? to(only) : { anyOf: names.map(to) } }
}
const named = (...names: readonly string[]): Json => ({ additionalProperties: each(...names).items })

const PARAMETERS = each('parameter', 'reusable')
const OUTPUTS: Json = { propertyNames: { pattern: '^[A-Za-z0-9._-]+$' } }

/** What a member that holds other objects holds, by object and member. */
const CONTENTS: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  document: {
    info: to('info'),
    sourceDescriptions: each('source'),
    workflows: each('workflow'),
    components: to('components'),
  },
  workflow: {
    inputs: to('inputs'),
    steps: each('step'),
    successActions: each('successAction', 'reusable'),
    failureActions: each('failureAction', 'reusable'),
    parameters: PARAMETERS,
    outputs: OUTPUTS,
    'x-dcr': to('x-dcr-workflow'),
  },
  step: {
    parameters: PARAMETERS,
    requestBody: to('requestBody'),
    'x-operation': to('x-operation'),
    successCriteria: each('criterion'),
    onSuccess: each('successAction', 'reusable'),
    onFailure: each('failureAction', 'reusable'),
    outputs: OUTPUTS,
    'x-dcr': to('x-dcr-step'),
  },
  inputs: { properties: named('input') },
  requestBody: { replacements: each('replacement') },
  successAction: { parameters: PARAMETERS, criteria: each('criterion') },
  failureAction: { parameters: PARAMETERS, criteria: each('criterion') },
  criterion: { 'x-dcr': to('x-dcr-criterion') },
  components: {
    inputs: named('input'),
    parameters: named('parameter'),
    successActions: named('successAction'),
    failureActions: named('failureAction'),
  },
  'x-dcr-step': { alter: each('x-dcr-alteration'), cases: each('x-dcr-case') },
  'x-dcr-case': { alter: each('x-dcr-alteration'), criteria: each('criterion') },
}

/** A JSON Schema, which may say how its value is made. */
const INPUT: Json = { type: ['object', 'boolean'], properties: { 'x-dcr': to('x-dcr-input') } }

export function flowSchema(): string {
  const defs = {
    ...Object.fromEntries(Object.entries(ARAZZO).map(([name, members]) => [name, objectOf(name, members)])),
    input: INPUT,
    ...Object.fromEntries(
      Object.entries(X_DCR).map(([name, members]) => [`x-dcr-${name}`, objectOf(`x-dcr-${name}`, members)]),
    ),
  }
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $comment:
      'Printed from src/flow/structure.ts. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts. Arazzo 1.0 and 1.1 documents as thredd runs them; what it does not run is left out.',
    title: 'Flow',
    ...to('document'),
    $defs: defs,
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

function objectOf(object: string, members: Members): Json {
  const run = Object.entries(members).filter(([, { unsupported }]) => !unsupported)
  const required = run.filter(([, member]) => member.required).map(([name]) => name)
  return {
    type: 'object',
    properties: Object.fromEntries(
      run.map(([name, member]) => [name, { ...memberOf(member), ...(CONTENTS[object]?.[name] ?? {}) }]),
    ),
    ...(required.length === 0 ? {} : { required }),
    // "Any properties added MUST be ignored": a Reusable Object alone is open.
    ...(object === 'reusable' ? {} : { patternProperties: { '^x-(?!dcr$)': true }, additionalProperties: false }),
  }
}

const TYPES: Readonly<Record<string, Json>> = {
  string: { type: 'string' },
  integer: { type: 'integer' },
  number: { type: 'number' },
  boolean: { type: 'boolean' },
  object: { type: 'object' },
  array: { type: 'array' },
  texts: { type: 'array', items: { type: 'string' } },
  any: {},
}

function memberOf({ type, oneOf, least, required, about }: Members[string]): Json {
  return {
    ...(about === undefined ? {} : { description: about }),
    ...TYPES[type],
    ...(oneOf === undefined ? {} : type === 'texts' ? { items: { enum: oneOf } } : { enum: oneOf }),
    ...(least === undefined ? {} : { minimum: least }),
    ...(required && type === 'array' ? { minItems: 1 } : {}),
  }
}

/** The JSON Schema of decisions.<environment>.yaml. */
export function decisionsSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(decisionsFile)
  const about = {
    $comment:
      'Printed from src/record/decisions.ts. Renew with: UPDATE_GOLDEN=1 npx vitest run test/docs.test.ts. What the users of a project decided about requirements.',
    title: 'Decisions',
  }
  return `${JSON.stringify({ $schema, ...about, ...schema }, null, 2)}\n`
}
