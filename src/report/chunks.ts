/**
 * Texts that are made piece by piece, since a run may be longer than the memory is large: JSON with one long list in it,
 * pieces of a size worth writing, and the search of a text that is never there as a whole. Knows nothing of what they say.
 */

/** Bytes that are written at once. */
const WRITTEN = 256 * 1024
/** Characters that are searched at once. */
const SEARCHED = 256 * 1024
/**
 * What is searched begins and ends where a line does, so that nothing which stands in one line is ever cut. This much of
 * the end is searched again with what follows: more than the longest secret of several lines, a PEM key, has.
 */
const OVERLAP = 16 * 1024

/**
 * The JSON of `whole`, indented by two, as if its empty list `name` at `depth` held `items`: each a JSON text indented by
 * two, or several with ",\n" between them. The first chunk is what stands before them, each text is one chunk with the comma
 * before it, the last is the rest.
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

/** One text of several items, as `filled` takes it. */
export function jsonItems(items: readonly unknown[]): string {
  return items.map((item) => JSON.stringify(item, null, 2)).join(',\n')
}

/**
 * Encodes texts one after the other in the same memory, which is told to `write` when it is full and at the end: a new
 * buffer for each piece would stay until the next collection of garbage.
 */
export class Encoder {
  readonly #write: (bytes: Uint8Array) => Promise<unknown>
  readonly #memory = Buffer.allocUnsafeSlow(WRITTEN)
  #end = 0

  constructor(write: (bytes: Uint8Array) => Promise<unknown>) {
    this.#write = write
  }

  async add(text: string): Promise<void> {
    const length = Buffer.byteLength(text)
    if (this.#end + length > this.#memory.length) await this.end()
    if (length > this.#memory.length) await this.#write(Buffer.from(text))
    else this.#end += this.#memory.write(text, this.#end)
  }

  async end(): Promise<void> {
    const bytes = this.#memory.subarray(0, this.#end)
    this.#end = 0
    await this.#write(bytes)
  }
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
    // Of a line that is cut the rest may look like what it is not: the decimals of a number like the number of a card.
    const kept = end <= OVERLAP ? 0 : this.#text.lastIndexOf('\n', end - OVERLAP) + 1
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
