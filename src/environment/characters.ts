/** Characters and texts in values that were hardly meant: copied from a document or a template, or invisible. */

interface Oddity {
  readonly pattern: RegExp
  readonly what: string
  readonly remedy: string
}

/** No message repeats the value, since it may be a secret. */
const ODDITIES: readonly Oddity[] = [
  {
    pattern: /\$\{[^}]*\}|\$\([^)]*\)/,
    what: 'a placeholder of a shell',
    remedy: 'write the value itself: nothing replaces variables here',
  },
  {
    pattern: /\{\{[^}]*\}\}/,
    what: 'a placeholder of Postman',
    remedy: 'write the value itself: nothing replaces variables here',
  },
  {
    pattern: /^<[^<>]*>$/,
    what: 'a placeholder in angle brackets',
    remedy: 'write the value itself, without the brackets',
  },
  {
    pattern: /[\u2018-\u201f\u00ab\u00bb]/,
    what: 'a typographic quotation mark',
    remedy: 'type it again with plain quotes (\' or "), or without any',
  },
  {
    pattern: /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/,
    what: 'an invisible character',
    remedy: 'delete the value and type it again',
  },
  {
    pattern: /[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/,
    what: 'a space that is no ordinary one',
    remedy: 'delete the value and type it again',
  },
  {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
    pattern: /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/,
    what: 'a control character',
    remedy: 'delete the value and type it again',
  },
]

/** The first of each kind, with its place in the value: "an invisible character (U+200B) at character 4". */
export function odditiesOf(value: string): readonly { readonly found: string; readonly remedy: string }[] {
  return ODDITIES.flatMap(({ pattern, what, remedy }) => {
    const match = pattern.exec(value)
    if (match === null) return []
    const [text] = match
    const code =
      [...text].length === 1 ? ` (U+${text.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')})` : ''
    return [{ found: `${what}${code} at character ${[...value.slice(0, match.index)].length + 1}`, remedy }]
  })
}
