/** Files of other kinds that are named in place of a flow, as one table. Pure. */
import { isRecord } from './fields.ts'

interface OtherKind {
  readonly is: string
  readonly holds: (data: Readonly<Record<string, unknown>>) => boolean
  readonly hint: string
}

const text = (value: unknown, member: string) => (isRecord(value) ? String(value[member] ?? '') : '')

const OTHERS: readonly OtherKind[] = [
  {
    is: 'a Postman collection',
    holds: ({ info }) => text(info, 'schema').includes('getpostman.com') || text(info, '_postman_id') !== '',
    hint: 'thredd import postman <collection> <environment> takes it over: settings, keys, and the requests that no flow makes yet',
  },
  {
    is: 'a Postman environment',
    holds: (data) => Array.isArray(data.values) && '_postman_variable_scope' in data,
    hint: 'thredd import postman <environment> writes its values into .env.<name>.local, and keeps its registration',
  },
  {
    is: 'an OpenAPI description',
    holds: (data) => 'openapi' in data || 'swagger' in data,
    hint: 'name it under sourceDescriptions of a flow, whose steps call its operations (docs/flow-format.md)',
  },
  {
    is: 'a HAR archive',
    holds: ({ log }) => isRecord(log) && Array.isArray(log.entries),
    hint: 'write its calls as steps of a flow (docs/flow-format.md)',
  },
  {
    is: 'the record of a run',
    holds: (data) => 'recordVersion' in data,
    hint: 'thredd report <folder> prints it; name the flow that it ran to run it again',
  },
]

/** Undefined for what is, or may be meant as, an Arazzo document. */
export function otherKindOf(data: unknown): Pick<OtherKind, 'is' | 'hint'> | undefined {
  return isRecord(data) && !('arazzo' in data) ? OTHERS.find(({ holds }) => holds(data)) : undefined
}
