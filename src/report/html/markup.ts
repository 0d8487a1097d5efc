/**
 * HTML from templates in which every value is escaped: what comes from a server can be shown and nothing else. Markup
 * is made by the tag alone.
 */
export class Markup {
  readonly #html: string

  private constructor(html: string) {
    this.#html = html
  }

  /** The tag of a template: its text is markup, its values are not, unless a template made them. */
  static of(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
    return new Markup(strings.reduce((html, text, index) => `${html}${rendered(values[index - 1])}${text}`))
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
  return escaped(String(value))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Whatever is changed below; most texts have none of it. */
const REMARKABLE = /[&<>"'\p{Cc}\p{Cs}\p{Bidi_Control}]/u

/** Control characters and those that turn the direction of writing are shown by number: a text looks like what it is. */
function escaped(text: string): string {
  if (!REMARKABLE.test(text)) return text
  return text
    .toWellFormed()
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
    .replace(
      /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu,
      (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
    )
}
