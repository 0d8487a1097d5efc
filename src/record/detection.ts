/** The detection matrix that is shipped: which fault turns which requirement red, and with which files that was shown. */
import matrix from '../../fixtures/requirements/detection.json' with { type: 'json' }

/** A fault of the twin, and what it does to the requirements. */
export interface DetectionLine {
  /** as for `thredd mock --fault` */
  readonly fault?: string
  /** in place of a fault: a switch of the twin, `name=value` */
  readonly switch?: string
  /** switches that hold with and without the fault */
  readonly given?: readonly string[]
  /** settings of the client that hold with and without the fault, by name */
  readonly settings?: Readonly<Record<string, string>>
  /** it shows on connections alone */
  readonly over?: 'tls'
  /** the part of an answer that no longer is as documented, because a requirement is about just that */
  readonly about?: 'status' | 'type' | 'schema'
  /** further places, `<workflowId>/<stepId>`, where an answer is not as documented or of another class, and why */
  readonly answers?: readonly { readonly at: readonly string[]; readonly because: string }[]
  readonly flows: readonly string[]
  /** the only step, or case of one, at which the fault is there; what comes after it is not run */
  readonly at?: string
  /** the requirements whose rule it breaks: each must turn red */
  readonly breaks: readonly string[]
  /** the others that turn red with them, and why */
  readonly also?: readonly { readonly requirements: readonly string[]; readonly because: string }[]
}

export const DETECTION: readonly DetectionLine[] = matrix.faults as readonly DetectionLine[]

const PARTS = ['flows', 'catalogue', 'mocks'] as const

/** SHA-256 in hexadecimal, by what was hashed. */
export type DetectionHashes = Readonly<Record<(typeof PARTS)[number], string>>

/** With these files the proof has last held. */
export const DETECTED_WITH: DetectionHashes = matrix.hashes

/** SHA-256 in hexadecimal of each flow file that it has last held with, by its path. */
export const DETECTED_FLOWS: Readonly<Record<string, string>> = matrix.flowFiles

/** What has changed since the proof last held: of that the matrix is stale. */
export function staleParts(now: Partial<DetectionHashes>): readonly (keyof DetectionHashes)[] {
  return PARTS.filter((part) => now[part] !== undefined && now[part] !== DETECTED_WITH[part])
}
