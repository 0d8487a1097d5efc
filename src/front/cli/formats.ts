/** Reads --format: which report files to write. */
import { fail, nearest } from '../../record/errors.ts'
import { FORMATS, type FormatName } from '../../report/index.ts'
import type { Invocation } from './command.ts'

/** Empty where none is named. Throws USAGE. */
export function formatsOf(invocation: Pick<Invocation, 'texts'>): readonly FormatName[] {
  const names = invocation.texts('format').flatMap((text) => text.split(','))
  const known = Object.keys(FORMATS)
  for (const name of names) {
    if (known.includes(name)) continue
    const meant = nearest(name, known)
    fail({
      code: 'USAGE',
      message: `there is no format "${name}"`,
      hint: meant === undefined ? `formats: ${known.join(', ')}` : `did you mean "${meant}"?`,
    })
  }
  return [...new Set(names)] as FormatName[]
}
