/** Collects the findings of one file in the order they are added, up to a limit. */
import type { SourceLocation } from '../../record/errors.ts'
import type { Document, Path } from '../document/model.ts'
import { type Level, RULES, type RuleName } from './rules.ts'

export interface Finding {
  /** a rule of the table, or the error code of reading the flow */
  readonly rule: string
  readonly level: Level
  /** lower-case, names in double quotes, no full stop; never a secret */
  readonly message: string
  readonly at?: SourceLocation | undefined
  readonly expected?: string | undefined
  readonly found?: string | undefined
  readonly hint?: string | undefined
}

interface More {
  readonly level?: Level
  readonly expected?: string | undefined
  readonly found?: string | undefined
  /** default: the remedy of the rule */
  readonly hint?: string | undefined
  /** characters into the text at the place */
  readonly offset?: number | undefined
  /** the place is the member's name, not its value */
  readonly key?: true
}

/** More than a person reads of one file; limits the output for hostile files. */
export const MOST_FINDINGS = 200

export class Findings {
  readonly list: Finding[] = []
  /** found beyond MOST_FINDINGS and not listed */
  beyond = 0
  readonly document: Document

  constructor(document: Document) {
    this.document = document
  }

  add(rule: RuleName, place: Path | SourceLocation, message: string, { level, offset, key, ...more }: More = {}): void {
    if (this.list.length >= MOST_FINDINGS) {
      this.beyond++
      return
    }
    const at = 'line' in place ? place : key ? this.document.keyAt(place) : this.document.at(place, offset)
    this.list.push({ rule, level: level ?? RULES[rule].level, message, at, hint: RULES[rule].remedy, ...more })
  }
}
