/** Follows references of a document within its own file. */
import type { Path } from '../document/model.ts'

export interface Target {
  readonly value: unknown
  readonly path: Path
}

export interface NoTarget {
  readonly code: 'FLOW_REFERENCE' | 'FLOW_UNSUPPORTED'
  readonly message: string
  readonly expected?: string
}

/** What `#/…` points to, a JSON Pointer from `root`, or why it points to nothing. */
export function resolve(root: unknown, reference: string): Target | NoTarget {
  if (reference !== '#' && !reference.startsWith('#/')) {
    return {
      code: 'FLOW_UNSUPPORTED',
      message: `reference "${reference}" leads out of the API description`,
      expected: '#/… within the same file',
    }
  }
  const path: (string | number)[] = []
  let value = root
  for (const name of reference.split('/').slice(1).map(unescaped)) {
    const key = Array.isArray(value) ? Number(name) : name
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) {
      return { code: 'FLOW_REFERENCE', message: `reference "${reference}" leads nowhere` }
    }
    value = (value as Record<string | number, unknown>)[key]
    path.push(key)
  }
  return { value, path }
}

/** A token of a JSON Pointer in a URI fragment (RFC 6901 §6). */
export function unescaped(token: string): string {
  const plain = (text: string) => text.replaceAll('~1', '/').replaceAll('~0', '~')
  try {
    return plain(decodeURIComponent(token))
  } catch {
    return plain(token)
  }
}
