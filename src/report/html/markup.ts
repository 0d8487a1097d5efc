/**
 * HTML from template literals in which every value is escaped, so that text from a server is shown and never read as markup.
 * Only the tag `markup` makes markup.
 */
import { html } from '../../record/foreign.ts'

export class Markup {
  readonly #html: string

  private constructor(html: string) {
    this.#html = html
  }

  /** The template tag: the template's own text is markup; a value is escaped unless this tag made it. */
  static of(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
    return new Markup(strings.reduce((whole, text, index) => `${whole}${rendered(values[index - 1])}${text}`))
  }

  toString(): string {
    return this.#html
  }
}

export type Content = Markup | string | number | undefined | false | readonly Content[]

export const markup = Markup.of

function rendered(value: Content): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Markup) return value.toString()
  if (Array.isArray(value)) return value.map(rendered).join('')
  return html(String(value))
}
