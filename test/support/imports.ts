/** What a source file imports, by whatever way, and cycles among files. Read off the syntax tree, so that types count. */
import { dirname, join, normalize } from 'node:path'
import { lineOf, type Node, nameOf, nodesOf } from './syntax.ts'

export interface Import {
  /** as it is written; undefined where it is worked out at run time, so that nobody can say what is imported */
  readonly specifier: string | undefined
  readonly line: number
  /** whether what is imported is loaded with the file that imports it: neither a type nor `import()` is */
  readonly isLoadedAtOnce: boolean
}

/**
 * Imports, re-exports, side-effect imports, `import()` of values and of types, `import x = require()`, and what a function
 * made with `createRequire` or `process.getBuiltinModule` loads.
 *
 * @throws where the text is not TypeScript
 */
export function importsOf(text: string, file: string): readonly Import[] {
  const nodes = nodesOf(text, file)
  const loaders = namesOfLoaders(nodes)
  return nodes.flatMap((node) => {
    const source = sourceOf(node, loaders)
    if (source === undefined) return []
    const specifier = typeof source.value === 'string' ? source.value : undefined
    return [{ specifier, line: lineOf(node, text), isLoadedAtOnce: isLoadedAtOnce(node) }]
  })
}

/** Where a relative specifier leads, from the root of the repository; undefined for a package or a module of Node. */
export function pathOf(specifier: string, file: string): string | undefined {
  return specifier.startsWith('.') ? normalize(join(dirname(file), specifier)).replaceAll('\\', '/') : undefined
}

/**
 * Cycles of a graph, each as its path with the first node repeated at the end; at least one for each knot of nodes that
 * reach one another. A node that leads to itself is a cycle too.
 */
export function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (node: string): void => {
    const start = path.indexOf(node)
    if (start >= 0) cycles.push([...path.slice(start), node].join(' -> '))
    if (start >= 0 || done.has(node)) return
    path.push(node)
    for (const next of graph.get(node) ?? []) visit(next)
    path.pop()
    done.add(node)
  }
  for (const node of graph.keys()) visit(node)
  return cycles
}

/**
 * The floor of each node of a graph without cycles: 1 for what leads nowhere, else one above the highest that it leads to.
 */
export function floorsOf(graph: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, number> {
  const floors = new Map<string, number>()
  const floorOf = (node: string): number => {
    const floor = floors.get(node) ?? 1 + Math.max(0, ...(graph.get(node) ?? []).map(floorOf))
    floors.set(node, floor)
    return floor
  }
  for (const node of graph.keys()) floorOf(node)
  return floors
}

/** The nodes that a way leads to from `start`, itself among them. */
export function reachedFrom(start: string, graph: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const reached = new Set([start])
  // A set takes in what is added while it is walked.
  for (const node of reached) for (const next of graph.get(node) ?? []) reached.add(next)
  return reached
}

function isLoadedAtOnce({ type, importKind, exportKind }: Node): boolean {
  if (type === 'ImportExpression' || type === 'TSImportType') return false
  return importKind !== 'type' && exportKind !== 'type'
}

/** The node that holds the specifier, if this one imports anything. */
function sourceOf(node: Node, loaders: ReadonlySet<string>): Node | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return (node.source as Node | null) ?? undefined
    case 'TSExternalModuleReference':
      return node.expression as Node
    case 'CallExpression': {
      const { callee, arguments: given } = node as unknown as { callee: Node; arguments: readonly Node[] }
      const loads = isCallOf(callee, LOADER_MAKERS) || loaders.has(nameOf(callee))
      return loads ? (given[0] ?? node) : undefined
    }
    default:
      return undefined
  }
}

const LOADER_MAKERS: ReadonlySet<string> = new Set(['createRequire'])
const LOADERS: readonly string[] = ['require', 'getBuiltinModule']

/** Names that load what they are called with: those known to everybody, and variables made with createRequire. */
function namesOfLoaders(nodes: readonly Node[]): ReadonlySet<string> {
  const made = nodes.flatMap((node) => {
    if (node.type !== 'VariableDeclarator' || !isCallOf(node.init, LOADER_MAKERS)) return []
    return [nameOf(node.id)]
  })
  return new Set([...LOADERS, ...made])
}

function isCallOf(node: unknown, names: ReadonlySet<string>): boolean {
  const { type, callee } = (node ?? {}) as Partial<Node>
  return type === 'CallExpression' && names.has(nameOf(callee))
}
