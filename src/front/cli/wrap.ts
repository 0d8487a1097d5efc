/** Breaks lines of text where the screen ends. Pure. */
import { stripVTControlCharacters } from 'node:util'
import { commandsIn } from '../../record/hints.ts'

/** Within a command that must stay whole; no text that is printed has it, since control characters are escaped. */
const JOINT = '\0'

/** Columns of a terminal that says how many it has, 80 of one that does not; everything else has no end of line. */
export function columnsOf(stream: NodeJS.WritableStream): number {
  const { isTTY = false, columns } = stream as Partial<NodeJS.WriteStream>
  return isTTY ? columns || 80 : Number.POSITIVE_INFINITY
}

/**
 * The line as several of at most `width` columns, the further ones indented by two more than the first. Only a word that is
 * longer, or a command that a person will copy, stands out.
 */
export function wrapped(line: string, width: number): readonly string[] {
  if (columnsTaken(line) <= width) return [line]
  const text = commandsIn(line).reduce((all, command) => all.replaceAll(command, command.replaceAll(' ', JOINT)), line)
  const indentation = /^ *(?:= )?/.exec(stripVTControlCharacters(text))?.[0].length ?? 0
  const margin = ' '.repeat(Math.min(indentation + 2, Math.floor(width / 3)))
  const lines: string[] = []
  let current = ''
  for (const [, gap = '', word = ''] of text.matchAll(/( *)([^ ]+)/g)) {
    const longer = current + gap + word
    const isFirst = current.trim() === ''
    if (isFirst || columnsTaken(longer) <= width) current = longer
    else {
      lines.push(current)
      current = margin + word
    }
  }
  return [...lines, current].map((one) => one.replaceAll(JOINT, ' '))
}

/** Styles take none. */
function columnsTaken(text: string): number {
  return stripVTControlCharacters(text).length
}
