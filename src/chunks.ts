/**
 * Texts that are made piece by piece, since a run may be longer than the memory is large: JSON with one long list in it,
 * pieces of a size worth writing, and the search of a text that is never there as a whole. Knows nothing of what they say.
 */

/** Bytes that are written at once. */
const WRITTEN = 256 * 1024
/** Characters that are searched at once. */
const SEARCHED = 256 * 1024
/**
 * What is searched ends where a line does, so that nothing which stands in one line is ever cut. This much of the end is
 * searched again with what follows: more than the longest secret of several lines, a PEM key, has.
 */
const OVERLAP = 16 * 1024

/**
 * The JSON of `whole`, indented by two, as if its empty list `name` at `depth` held `items`, each a JSON text indented by
 * two. The first chunk is what stands before them, each item is one chunk with the comma before it, the last is the rest.
 */
export function* filled(
  whole: unknown,
  { name, depth }: { readonly name: string; readonly depth: number },
  items: Iterable<string>,
): Generator<string, void> {
  const text = `${JSON.stringify(whole, null, 2)}\n`
  const indent = `\n${'  '.repeat(depth)}`
  // A line break within a text is escaped: what follows a real one is a member.
  const member = `${indent}"${name}": [`
  const start = text.indexOf(`${member}]`) + member.length
  yield text.slice(0, start)
  let count = 0
  for (const item of items) {
    yield `${count === 0 ? '' : ','}${indent}  ${item.replaceAll('\n', `${indent}  `)}`
    count += 1
  }
  yield `${count === 0 ? '' : indent}${text.slice(start)}`
}

/**
 * Encodes texts one after the other in the same memory, which is told to `write` whenever it is full and at the end: a new
 * buffer for each piece would stay until the next collection of garbage.
 */
export async function encoded(chunks: Iterable<string>, write: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  const memory = Buffer.allocUnsafeSlow(WRITTEN)
  let end = 0
  for (const chunk of chunks) {
    const length = Buffer.byteLength(chunk)
    if (end + length > memory.length) {
      await write(memory.subarray(0, end))
      end = 0
    }
    if (length > memory.length) await write(Buffer.from(chunk))
    else end += memory.write(chunk, end)
  }
  await write(memory.subarray(0, end))
}

/** What `find` finds in a text that comes in pieces of any size: as if it had been searched as a whole. */
export class Search {
  readonly #find: (text: string) => readonly string[]
  readonly #found = new Set<string>()
  #text = ''
  /** how much of the text was searched before */
  #searched = 0

  constructor(find: (text: string) => readonly string[]) {
    this.#find = find
  }

  add(piece: string): void {
    this.#text += piece
    if (this.#text.length - this.#searched < SEARCHED) return
    const end = this.#text.lastIndexOf('\n') + 1
    if (end <= this.#searched) return
    this.#look(this.#text.slice(0, end))
    const kept = Math.max(0, end - OVERLAP)
    this.#text = this.#text.slice(kept)
    this.#searched = end - kept
  }

  /** Names of what was found. */
  end(): readonly string[] {
    this.#look(this.#text)
    return [...this.#found]
  }

  #look(text: string): void {
    for (const name of this.#find(text)) this.#found.add(name)
  }
}
