/**
 * HTML from template literals in which every value is escaped, so that text from a server is shown and never read as markup.
 * Only the tag `markup` makes markup.
 */
export class Markup {
  readonly #html: string

  private constructor(html: string) {
    this.#html = html
  }

  /** The template tag: the template's own text is markup; a value is escaped unless this tag made it. */
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

/** What `escaped` changes; most texts have none of it. */
const CHANGED = /[&<>"'\p{Cc}\p{Cs}\p{Bidi_Control}]/u

/** Control characters, and those that change the direction of writing, are shown as \uXXXX. */
function escaped(text: string): string {
  if (!CHANGED.test(text)) return text
  return text
    .toWellFormed()
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
    .replace(
      /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu,
      (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
    )
}
