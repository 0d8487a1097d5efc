/** A document that was read: its data, and where each value stands in its text. */
import type { SourceLocation } from '../../record/errors.ts'

export type Path = readonly (string | number)[]

export interface Document {
  readonly file: string
  readonly text: string
  /** of the text, hex */
  readonly sha256: string
  readonly data: unknown
  /** Line and column of the value at `path`, or of its nearest existing parent; `offset` counts characters into its text. */
  at(path: Path, offset?: number): SourceLocation
  /** Line and column of the last member name of `path`. */
  keyAt(path: Path): SourceLocation
}
