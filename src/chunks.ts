/**
 * Texts that are made piece by piece, since a run may be longer than the memory is large: JSON with one long list in it,
 * pieces of a size worth writing, and the search of a text that is never there as a whole. Knows nothing of what they say.
 */

/** Characters that are written or searched at once. */
const PIECE = 512 * 1024
/**
 * What is searched ends where a line does, so that nothing which stands in one line is ever cut. This much of the end is
 * searched again with what follows: more than the longest secret of several lines, a PEM key, has in any encoding.
 */
const OVERLAP = 64 * 1024

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

/** The same text in pieces that are worth a call of the system. */
export function* gathered(chunks: Iterable<string>): Generator<string, void> {
  let gathering: string[] = []
  let length = 0
  for (const chunk of chunks) {
    gathering.push(chunk)
    length += chunk.length
    if (length < PIECE) continue
    yield gathering.join('')
    gathering = []
    length = 0
  }
  if (length > 0) yield gathering.join('')
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
    if (this.#text.length - this.#searched < PIECE) return
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
