/** The syntax tree of a source file, flat: what tests of the sources walk. */
import { parseSync } from 'rolldown/utils'

export interface Node {
  readonly type: string
  /** where it begins in the text */
  readonly start: number
  readonly [member: string]: unknown
}

/**
 * All nodes, each before those inside it.
 *
 * @throws where the text is not TypeScript
 */
export function nodesOf(text: string, file: string): readonly Node[] {
  const { program, errors } = parseSync(file, text)
  if (errors[0] !== undefined) throw new Error(`${file} cannot be parsed: ${errors[0].message}`)
  const nodes: Node[] = []
  collect(program, nodes)
  return nodes
}

export function lineOf(node: Node, text: string): number {
  return text.slice(0, node.start).split('\n').length
}

/** The last name of `a` or of `b.a`; empty where there is none. */
export function nameOf(node: unknown): string {
  const { type, name, property } = node as Node
  if (type === 'MemberExpression') return nameOf(property)
  return type === 'Identifier' ? String(name) : ''
}

function collect(value: unknown, nodes: Node[]): void {
  if (typeof value !== 'object' || value === null) return
  if ('type' in value && typeof value.type === 'string') nodes.push(value as Node)
  for (const one of Object.values(value)) collect(one, nodes)
}
