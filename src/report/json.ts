/** JSON texts that are made piece by piece, since they may be longer than memory is large. */
import type { RecordHead, WorkflowRecord } from '../record/index.ts'

/** The text of record.json. */
export function recordJson(head: RecordHead, workflows: Iterable<WorkflowRecord>): Iterable<string> {
  return jsonWithList({ ...head, workflows: [] }, { name: 'workflows', depth: 1 }, workflows)
}

/**
 * `whole` as JSON.stringify writes it with two spaces and a line break at the end, as if its empty list `name`, a member
 * `depth` levels down, held the items. Each item is a piece of its own.
 */
export function* jsonWithList(
  whole: object,
  { name, depth }: { readonly name: string; readonly depth: number },
  items: Iterable<unknown>,
): Generator<string> {
  const text = `${JSON.stringify(whole, null, 2)}\n`
  const indent = `\n${'  '.repeat(depth)}`
  // It cannot be found inside a string: line breaks are escaped there.
  const list = `${indent}"${name}": [`
  const start = text.indexOf(`${list}]`) + list.length
  yield text.slice(0, start)
  let separator = ''
  for (const item of items) {
    yield `${separator}${indent}  ${JSON.stringify(item, null, 2).replaceAll('\n', `${indent}  `)}`
    separator = ','
  }
  yield `${separator === '' ? '' : indent}${text.slice(start)}`
}
