/** The detection matrix as it is shipped; `prove:detection` shows that it is true. */
import { expect, test } from 'vitest'
import { OF_THE_CLIENT, RULES } from '../../mocks/index.ts'
import { DETECTED_WITH, DETECTION, staleParts } from '../../src/record/detection.ts'
import { REQUIREMENTS } from '../../src/record/requirements.ts'

const known = new Set(REQUIREMENTS.map(({ id }) => id))

test('each requirement with a check has a fault that breaks it, and each rule of the twin a line', () => {
  const broken = new Set(DETECTION.flatMap(({ breaks }) => breaks))
  const rules = new Set(DETECTION.map(({ fault = '' }) => /^breaks:\w+=(.*)$/.exec(fault)?.[1]))

  expect(REQUIREMENTS.filter(({ id, proof }) => proof !== undefined && !broken.has(id)).map(({ id }) => id)).toEqual([])
  expect(Object.keys(RULES).filter((rule) => !rules.has(rule))).toEqual([])
})

test('each requirement on the client has a fault of the client that breaks it', () => {
  const ofClient = DETECTION.filter(({ fault = '' }) => OF_THE_CLIENT.some((kind) => fault.startsWith(`${kind}:`)))
  const broken = new Set(ofClient.flatMap(({ breaks }) => breaks))
  const onClient = REQUIREMENTS.flatMap(({ id, subject }) => (subject === 'client' ? [id] : []))

  expect(onClient).toEqual(['MGT-02', 'CLI-01', 'CLI-02', 'CLI-03', 'CLI-04'])
  expect(onClient.filter((id) => !broken.has(id))).toEqual([])
})

test('lines name requirements that there are, each once, and give a reason for the others', () => {
  const named = DETECTION.flatMap(({ breaks, also = [] }) => [
    [...breaks, ...also.flatMap(({ requirements }) => requirements)],
  ])

  expect(named.flat().filter((id) => !known.has(id))).toEqual([])
  expect(named.filter((ids) => new Set(ids).size < ids.length)).toEqual([])
  const reasons = DETECTION.flatMap(({ also = [], answers = [] }) => [...also, ...answers])
  expect(reasons.filter(({ because }) => because.length < 10)).toEqual([])
})

test('only what has changed since the proof held is stale', () => {
  expect(staleParts(DETECTED_WITH)).toEqual([])
  expect(staleParts({ catalogue: DETECTED_WITH.catalogue })).toEqual([])
  expect(staleParts({ ...DETECTED_WITH, mocks: '0' })).toEqual(['mocks'])
})

test('no requirement that a run could decide is without a check', () => {
  const open = REQUIREMENTS.filter(({ by, proof }) => by === 'run' && proof === undefined)

  expect(open.map(({ id }) => id)).toEqual([])
})
