/** What a source file changes that is not its own: a prototype, a global of the process, what another module exports. */
import { lineOf, type Node, nameOf, nodesOf } from './syntax.ts'

export interface Change {
  readonly line: number
  /** as `tls.DEFAULT_MAX_VERSION`, or the name of the function that changes the process */
  readonly what: string
}

/** A name that the file declares anywhere hides the global of that name in the whole file. */
export function changesIn(text: string, file: string): readonly Change[] {
  const nodes = nodesOf(text, file)
  const imported = new Set(nodes.filter(({ type }) => IMPORTED.has(type)).map(({ local }) => nameOf(local)))
  const declared = new Set(nodes.flatMap(namesDeclaredBy))
  const isForeign = (place: readonly string[]) =>
    place.includes('prototype') ||
    imported.has(place[0] ?? '') ||
    (!declared.has(place[0] ?? '') && Object.hasOwn(globalThis, place[0] ?? ''))
  return nodes.flatMap((node) => {
    const place = placeChangedBy(node)
    if (place === undefined || (place !== PROCESS && !isForeign(place))) return []
    const what = place === PROCESS ? nameOf(node.callee) : place.join('.')
    return [{ line: lineOf(node, text), what }]
  })
}

const IMPORTED = new Set(['ImportSpecifier', 'ImportDefaultSpecifier', 'ImportNamespaceSpecifier'])

/** The process as a whole. */
const PROCESS: readonly string[] = []
const CHANGING_ARGUMENT = new Set(['assign', 'defineProperty', 'defineProperties', 'setPrototypeOf', 'set'])
const CHANGING_PROCESS = new Set([
  'chdir',
  'umask',
  'setFlagsFromString',
  'setDefaultAutoSelectFamily',
  'setDefaultResultOrder',
  'setGlobalDispatcher',
  'stubEnv',
  'stubGlobal',
  'spyOn',
  'useFakeTimers',
  'setSystemTime',
  'setConfig',
])

/** `['a', 'b']` for something that changes `a.b`; undefined where the node changes nothing. */
function placeChangedBy(node: Node): readonly string[] | undefined {
  switch (node.type) {
    case 'AssignmentExpression':
      return memberPath(node.left)
    case 'UpdateExpression':
      return memberPath(node.argument)
    case 'UnaryExpression':
      return node.operator === 'delete' ? memberPath(node.argument) : undefined
    case 'CallExpression': {
      const { callee, arguments: given } = node as unknown as { callee: Node; arguments: readonly Node[] }
      const name = nameOf(callee)
      if (CHANGING_PROCESS.has(name)) return PROCESS
      const owner = callee.type === 'MemberExpression' ? nameOf(callee.object) : ''
      const changes = CHANGING_ARGUMENT.has(name) && (owner === 'Object' || owner === 'Reflect')
      return changes ? pathOf(given[0]) : undefined
    }
    default:
      return undefined
  }
}

/** In brackets, cast, or said to be there. */
const WRAPPED = new Set(['ParenthesizedExpression', 'TSAsExpression', 'TSNonNullExpression'])

/** Of a member alone: to give a variable another value is no change of what it held. */
function memberPath(node: unknown): readonly string[] | undefined {
  return (node as Node).type === 'MemberExpression' ? pathOf(node) : undefined
}

function pathOf(node: unknown): readonly string[] | undefined {
  const { type, name, object, property, expression } = (node ?? {}) as Partial<Node>
  if (type === 'Identifier') return [String(name)]
  if (WRAPPED.has(type ?? '')) return pathOf(expression)
  const owner = type === 'MemberExpression' ? pathOf(object) : undefined
  return owner && [...owner, nameOf(property) || '[…]']
}

function namesDeclaredBy({ type, id, params }: Node): readonly string[] {
  const patterns = [
    ...(type.endsWith('Declarator') || type.endsWith('Declaration') ? [id] : []),
    ...((params as []) ?? []),
  ]
  return patterns.flatMap(namesIn)
}

function namesIn(pattern: unknown): readonly string[] {
  const { type, name, left, argument, elements, properties, value } = (pattern ?? {}) as Partial<Node>
  if (type === 'Identifier') return [String(name)]
  return [left, argument, value, ...((elements as []) ?? []), ...((properties as []) ?? [])]
    .filter((one) => typeof one === 'object' && one !== null)
    .flatMap(namesIn)
}
