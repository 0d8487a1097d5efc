/** Lines of text on a stream: colours where the stream wants them, and texts of files and servers without control characters. */
import { sep } from 'node:path'
import { styleText } from 'node:util'
import { render } from '../../record/errors.ts'
import { coloured, oneLine } from '../../record/foreign.ts'
import { columnsOf, wrapped } from './wrap.ts'

export interface Screen {
  readonly write: (text: string) => void
  /** the stream that decides about colour (NO_COLOR, FORCE_COLOR, no terminal) */
  readonly stream: NodeJS.WritableStream
  /** the current folder: paths in it are printed relative to it (default: paths are printed whole) */
  readonly here?: string
}

export type Printable = Parameters<typeof render>[0]
type Style = Parameters<typeof styleText>[0]

export class Printer {
  readonly #screen: Screen

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** Infinity where lines have no end. */
  get columns(): number {
    return columnsOf(this.#screen.stream)
  }

  line(...lines: readonly string[]): void {
    if (lines.length === 0) return
    const text = coloured(lines.join('\n'))
    this.#screen.write(
      `${text
        .split('\n')
        .flatMap((one) => wrapped(one, this.columns))
        .join('\n')}\n`,
    )
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#screen.stream as NodeJS.WriteStream })
  }

  /** A text of a file or a server: paths made relative, control characters escaped. */
  plain(text: string): string {
    return oneLine(this.relative(text))
  }

  /** The text with its paths into the current folder made relative. */
  relative(text: string): string {
    const { here } = this.#screen
    return here === undefined ? text : text.replaceAll(`${here}${sep}`, '')
  }

  /** `source` is the text of the file that the problem points into. */
  problem(problem: Printable, source?: string): string {
    const { at, ...more } = problem
    const texts = Object.entries(more).map(([member, text]) => [member, text && this.relative(text)])
    const place = at && { ...at, file: this.relative(at.file) }
    return render({ ...problem, ...Object.fromEntries(texts), at: place }, source, this.columns)
  }

  warnings(warnings: readonly string[]): void {
    for (const warning of warnings) this.line(`${this.paint('yellow', 'warning')} ${this.plain(warning)}`)
  }
}

export function indent(text: string, by: number): string[] {
  return text.split('\n').map((line) => ' '.repeat(by) + line)
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}
