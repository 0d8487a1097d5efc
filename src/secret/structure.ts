/** Where the files of a format may hold a secret. */

/** Where files of a format have values, which may hold secrets; the rest belongs to the format. */
export interface Structure {
  /** matches what separates two values: a range with such a text in it is no secret */
  readonly between: RegExp
  /** no value of such a file goes on beyond it */
  readonly end: '\n' | '<'
  /** the text that a long value between two ends stands for; undefined where it is short, or cannot be told */
  readonly textIn?: (part: string) => string | undefined
  /** whether the byte `place` of a line is within a value; `line` has one character for each byte of UTF-8 */
  readonly isValue: (line: string, place: number) => boolean
}

/** A text in pieces that no value goes beyond, and whether each may hold a secret; without a structure its lines. */
export function piecesOf(
  text: string,
  structure: Structure | undefined,
): readonly { readonly piece: string; readonly isValue: boolean }[] {
  if (structure === undefined) return text.split(/(?<=\n)/).map((piece) => ({ piece, isValue: true }))
  const bytes = Buffer.from(text)
  let end = 0
  return text.split(new RegExp(`(${structure.between.source})`)).map((piece) => {
    const start = end
    end += Buffer.byteLength(piece)
    return { piece, isValue: isInValue(bytes, { start, end }, structure) }
  })
}

/** Whether a range of the bytes of a file lies within one value. */
export function isInValue(
  bytes: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
  { between, isValue }: Structure,
): boolean {
  return !between.test(bytes.toString('latin1', start, end)) && isValue(...placeInLine(bytes, start))
}

/** The line around a place, and the place in this line. */
function placeInLine(bytes: Buffer, place: number): [line: string, place: number] {
  const start = place === 0 ? 0 : bytes.lastIndexOf(10, place - 1) + 1
  const end = bytes.indexOf(10, place)
  return [bytes.toString('latin1', start, end === -1 ? bytes.length : end), place - start]
}
