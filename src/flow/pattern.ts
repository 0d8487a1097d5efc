/**
 * Regular expressions whose time grows with the text and never explodes: a pattern becomes a nondeterministic automaton
 * that is run on all its states at once. What such an automaton cannot do (backreference, lookaround) is refused.
 * Knows nothing of conditions; single characters and classes are judged by the engine's own RegExp.
 */
import { clip, ExpressionError, quote } from './expression.ts'

/** UTF-16 units of a text that is searched. */
const MAX_SUBJECT = 64 * 1024
/** Parts of a pattern, counted repetitions written out. */
const MAX_PARTS = 5_000
const MAX_REPEAT = 1_000
const MAX_DEPTH = 64
/** State transitions of one search, about a second. */
const MAX_WORK = 10_000_000

export interface Pattern {
  /** Whether the pattern is found in the text. Throws ExpressionError where a limit is reached. */
  readonly test: (text: string) => boolean
  /** states of the automaton: a search costs at most this much for each character */
  readonly size: number
}

interface PatternOptions {
  /** the whole text must match, not a part of it */
  readonly whole?: boolean
  /** I-Regexp (RFC 9485) differs in what a dot excludes */
  readonly dialect?: 'ecmascript' | 'i-regexp'
}

/** Parses a pattern in the syntax of ECMAScript with the flag `u`. Throws ExpressionError. */
export function parsePattern(source: string, options: PatternOptions = {}): Pattern {
  const node = new PatternParser(source, options.dialect ?? 'ecmascript').parse()
  const whole: Node = {
    kind: 'sequence',
    items: [{ kind: 'assert', at: 'start' }, node, { kind: 'assert', at: 'end' }],
  }
  const automaton = new Compiler().compile(options.whole === true ? whole : node)
  return { test: (text) => found(automaton, text), size: automaton.states.length }
}

type CharacterTest = (codePoint: number) => boolean
type Assertion = 'start' | 'end' | 'word' | 'not-word'

type Node =
  | { readonly kind: 'character'; readonly test: CharacterTest }
  | { readonly kind: 'assert'; readonly at: Assertion }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | { readonly kind: 'repeat'; readonly item: Node; readonly min: number; readonly max: number }

const QUANTIFIER = /(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/y
const GROUP = /\((?:\?(?::|<[A-Za-z_$][\w$]*>))?/y
const CLASS = /\[(?:\\[\s\S]|[^\]\\])*\]/y
const SYNTAX_ESCAPE = /\\([\^$\\.*+?()[\]{}|/-])/y
const CLASS_ESCAPE =
  /\\(?:[dDwWsStnvfr]|0(?!\d)|c[A-Za-z]|x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]+\}|u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[pP]\{[\w=]+\})/y

class PatternParser {
  readonly source: string
  readonly dialect: 'ecmascript' | 'i-regexp'
  position = 0
  depth = 0

  constructor(source: string, dialect: 'ecmascript' | 'i-regexp') {
    this.source = source
    this.dialect = dialect
  }

  parse(): Node {
    const node = this.choice()
    if (this.position < this.source.length) throw this.mistake('the end', this.source[this.position] ?? '')
    return node
  }

  private choice(): Node {
    const options = [this.sequence()]
    while (this.take('|')) options.push(this.sequence())
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: 'choice', options }
  }

  private sequence(): Node {
    const items: Node[] = []
    while (this.position < this.source.length && !'|)'.includes(this.source[this.position] ?? '')) {
      items.push(this.quantified())
    }
    return { kind: 'sequence', items }
  }

  private quantified(): Node {
    const item = this.atom()
    const start = this.position
    const quantifier = this.match(QUANTIFIER)
    if (quantifier === undefined) return item
    if (item.kind === 'assert') throw this.mistake('something to repeat before the quantifier', quantifier[0], start)
    const [text, least, comma, most] = quantifier
    const min = least === undefined ? (text.startsWith('+') ? 1 : 0) : Number(least)
    const unbounded = text.startsWith('*') || text.startsWith('+') || (comma !== undefined && most === '')
    const bounded = least === undefined ? 1 : most === undefined || most === '' ? min : Number(most)
    const max = unbounded ? Number.POSITIVE_INFINITY : bounded
    if (min > MAX_REPEAT || bounded > MAX_REPEAT) {
      throw this.mistake(`a repetition of at most ${MAX_REPEAT}`, text, start)
    }
    if (max < min) throw this.mistake('a repetition whose first number is the smaller one', text, start)
    return { kind: 'repeat', item, min, max }
  }

  private atom(): Node {
    const start = this.position
    const character = this.source[start] ?? ''
    switch (character) {
      case '^':
      case '$':
        this.position++
        return { kind: 'assert', at: character === '^' ? 'start' : 'end' }
      case '.':
        this.position++
        return { kind: 'character', test: this.dialect === 'ecmascript' ? notLineEnd : notNewline }
      case '(':
        return this.group()
      case '[': {
        const text = this.match(CLASS)?.[0]
        if (text === undefined) throw this.mistake('"]" at the end of the character class', '')
        return { kind: 'character', test: this.native(text, start) }
      }
      case '\\':
        return this.escape()
      case '*':
      case '+':
      case '?':
        throw this.mistake(`something to repeat before "${character}"`, character)
      case ')':
      case ']':
      case '{':
      case '}':
        throw this.mistake(`"\\${character}" for the character itself`, character)
      default: {
        const codePoint = this.source.codePointAt(start) ?? 0
        this.position += codePoint > 0xffff ? 2 : 1
        return literal(codePoint)
      }
    }
  }

  private group(): Node {
    const start = this.position
    const opening = this.match(GROUP)?.[0] ?? '('
    if (opening === '(' && this.source[this.position] === '?') {
      const text = this.source.slice(start, start + 4)
      if (/^\(\?<?[=!]/.test(text)) {
        throw this.unsupported('a lookaround', start, 'a jsonpath criterion can say "not": !search(@.a, \'…\')')
      }
      throw this.mistake('"(?:" or "(?<name>"', text, start)
    }
    if (++this.depth > MAX_DEPTH) throw this.mistake(`groups nested at most ${MAX_DEPTH} deep`, 'a deeper one', start)
    const node = this.choice()
    if (!this.take(')')) throw this.mistake('")"', '')
    this.depth--
    return node
  }

  private escape(): Node {
    const start = this.position
    const next = this.source[start + 1] ?? ''
    if (next === 'b' || next === 'B') {
      this.position += 2
      return { kind: 'assert', at: next === 'b' ? 'word' : 'not-word' }
    }
    const syntax = this.match(SYNTAX_ESCAPE)?.[1]
    if (syntax !== undefined) return literal(syntax.charCodeAt(0))
    const text = this.match(CLASS_ESCAPE)?.[0]
    if (text !== undefined) return { kind: 'character', test: this.native(text, start) }
    if (/[1-9k]/.test(next)) throw this.unsupported('a backreference', start)
    throw this.mistake('an escape of ECMAScript with the flag "u"', `\\${next}`, start)
  }

  /** A class or escape of one character is left to RegExp: on a single character it has nothing to backtrack. */
  private native(text: string, start: number): CharacterTest {
    let single: RegExp
    try {
      single = new RegExp(`^${text}$`, 'u')
    } catch {
      throw this.mistake('a valid character class or escape', text, start)
    }
    const ascii = Array.from({ length: 128 }, (_, codePoint) => single.test(String.fromCharCode(codePoint)))
    return (codePoint) => ascii[codePoint] ?? single.test(String.fromCodePoint(codePoint))
  }

  private take(character: string): boolean {
    if (this.source[this.position] !== character) return false
    this.position++
    return true
  }

  private match(form: RegExp): RegExpExecArray | undefined {
    form.lastIndex = this.position
    const match = form.exec(this.source)
    if (match === null) return undefined
    this.position += match[0].length
    return match
  }

  private mistake(expected: string, found: string, offset = this.position): ExpressionError {
    const message = `"${clip(this.source)}" is not a regular expression`
    return new ExpressionError({ message, offset, expected, found: quote(found) })
  }

  private unsupported(what: string, offset: number, hint?: string): ExpressionError {
    const message = `${what} is not supported: it can take endless time`
    return new ExpressionError({ message, offset, unsupported: true, hint })
  }
}

function literal(expected: number): Node {
  return { kind: 'character', test: (codePoint) => codePoint === expected }
}

function notNewline(codePoint: number): boolean {
  return codePoint !== 0x0a && codePoint !== 0x0d
}

function notLineEnd(codePoint: number): boolean {
  return notNewline(codePoint) && codePoint !== 0x2028 && codePoint !== 0x2029
}

type State =
  | { readonly kind: 'character'; readonly test: CharacterTest; readonly next: number }
  | { readonly kind: 'assert'; readonly at: Assertion; readonly next: number }
  | { readonly kind: 'fork'; readonly to: number[] }
  | { readonly kind: 'found' }

interface Automaton {
  readonly states: readonly State[]
  readonly start: number
}

class Compiler {
  readonly states: State[] = []
  parts = 0

  compile(node: Node): Automaton {
    const end = this.add({ kind: 'found' })
    return { start: this.link(node, end), states: this.states }
  }

  /** Writes the states of a node that go on to `next`; returns where they are entered. */
  private link(node: Node, next: number): number {
    if (++this.parts > MAX_PARTS) {
      throw new ExpressionError({
        offset: 0,
        message: 'the regular expression is too large',
        expected: `at most ${MAX_PARTS} parts with all repetitions written out`,
      })
    }
    switch (node.kind) {
      case 'character':
        return this.add({ kind: 'character', test: node.test, next })
      case 'assert':
        return this.add({ kind: 'assert', at: node.at, next })
      case 'sequence':
        return node.items.reduceRight((following, item) => this.link(item, following), next)
      case 'choice':
        return this.add({ kind: 'fork', to: node.options.map((option) => this.link(option, next)) })
      case 'repeat': {
        let entry = next
        if (node.max === Number.POSITIVE_INFINITY) {
          const to = [next]
          entry = this.add({ kind: 'fork', to })
          to.unshift(this.link(node.item, entry))
        } else {
          for (let count = node.min; count < node.max; count++) {
            entry = this.add({ kind: 'fork', to: [this.link(node.item, entry), next] })
          }
        }
        for (let count = 0; count < node.min; count++) entry = this.link(node.item, entry)
        return entry
      }
      default:
        return node satisfies never
    }
  }

  private add(state: State): number {
    return this.states.push(state) - 1
  }
}

function found({ states, start }: Automaton, text: string): boolean {
  if (text.length > MAX_SUBJECT) {
    throw new ExpressionError({
      offset: 0,
      message: 'the text is too long for a regular expression',
      expected: `at most ${MAX_SUBJECT} characters`,
      found: `${text.length}`,
    })
  }
  /** the round in which a state was last entered, so that it is entered once a round */
  const entered = new Uint32Array(states.length)
  let work = 0
  let current: number[] = []
  let round = 0

  const enter = (first: number, into: number[], position: number): boolean => {
    const open = [first]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (entered[index] === round) continue
      entered[index] = round
      work++
      const state = states[index]
      if (state === undefined || state.kind === 'found') return true
      if (state.kind === 'character') into.push(index)
      else if (state.kind === 'fork') open.push(...state.to)
      else if (holds(state.at, text, position)) open.push(state.next)
    }
    return false
  }

  for (let position = 0; ; ) {
    // The states reached so far and a new start here: a match may begin anywhere.
    if (current.length === 0) round++
    if (enter(start, current, position)) return true
    const codePoint = text.codePointAt(position)
    if (codePoint === undefined) return false
    position += codePoint > 0xffff ? 2 : 1
    const reached: number[] = []
    round++
    for (const index of current) {
      const state = states[index]
      work++
      if (state?.kind === 'character' && state.test(codePoint) && enter(state.next, reached, position)) return true
    }
    if (work > MAX_WORK) {
      throw new ExpressionError({ offset: 0, message: 'the regular expression takes too long on this text' })
    }
    current = reached
  }
}

function holds(at: Assertion, text: string, position: number): boolean {
  if (at === 'start') return position === 0
  if (at === 'end') return position === text.length
  return (isWord(text[position - 1]) !== isWord(text[position])) === (at === 'word')
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /\w/.test(character)
}
