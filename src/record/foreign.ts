/**
 * Text of servers and files, written so that it is read as text: by a terminal, a CI system's log, XML, HTML, Markdown, a shell
 * and dotenv. Every printer takes its functions from here.
 */

/** What steers a terminal or changes how the rest of a line reads: control, format and separator characters, lone halves. */
const STEERING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Commands of Azure, TeamCity and GitHub anywhere in a line, and of GitHub at its start. */
const COMMANDS = /##(?=\[|vso\[|teamcity\[)|(?<=^\s*):(?=:)/gi
/** Of these, the ones that count anywhere in a line; no line of JSON starts with a colon. */
const IN_LINE = /##(?=\[|vso\[|teamcity\[)/gi

/** One line for a terminal, or a log that a CI system reads for commands; a tab stays. */
export function oneLine(text: string): string {
  return text
    .replace(STEERING, (character) => (character === '\t' ? character : inHex(character)))
    .replace(COMMANDS, marked)
}

/** The same for a text whose own line breaks stay. */
export function lines(text: string): string {
  return text.split('\n').map(oneLine).join('\n')
}

/** A template tag for lines of ours: each value in it becomes one line. */
export function line(strings: TemplateStringsArray, ...values: readonly (string | number | undefined)[]): string {
  return strings.reduce((text, part, index) => `${text}${oneLine(String(values[index - 1]))}${part}`)
}

/** Lines that were put together and coloured: what is left in them that steers a terminal beyond colours is escaped. */
export function coloured(text: string): string {
  return text.replace(/\p{Cc}\[[\d;]*m|[\p{Cc}\p{Cs}]/gu, (part) =>
    part === '\n' || part === '\t' || part.startsWith('\u001b[') ? part : marked(part),
  )
}

/** JSON that a terminal may show: valid, and printable throughout. `indent` 0 makes one line of it. */
export function json(value: unknown, indent = 2): string {
  const text = JSON.stringify(value, null, indent)
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, inHex).replace(IN_LINE, marked)
}

/** The message of a GitHub workflow command. */
export function commandMessage(text: string): string {
  const shown = text.split(/\r\n|\r|\n/).map(oneLine)
  return shown.map((one) => one.replaceAll('%', '%25')).join('%0A')
}

/** A property of a GitHub workflow command. */
export function commandProperty(text: string): string {
  return commandMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}

const XML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
}
/** What `xml` changes; most texts have none of it. */
const IN_XML = /[&<>"\p{Cc}\p{Cs}\uFFFE\uFFFF]/u

/** Characters that XML 1.0 cannot hold (section 2.2) become the replacement character, so that the document is always valid. */
export function xml(text: string): string {
  if (!IN_XML.test(text)) return text
  return text
    .toWellFormed()
    .replace(/[&<>"\n\r\t]/g, (character) => XML_ENTITIES[character] ?? character)
    .replace(/[^\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
/** What `html` changes; most texts have none of it. */
const IN_HTML = /[&<>"'\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** Control characters, and those that cannot be seen or change the direction of writing, are shown as \uXXXX. */
export function html(text: string): string {
  if (!IN_HTML.test(text)) return text
  return text
    .replace(/(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, inHex)
    .replace(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? character)
}

/** Prose in Markdown: no tag, link, emphasis or mention of a person comes of it. */
export function markdown(text: string): string {
  return inOneLine(text)
    .replace(/[\\`*_[\]<>#~|&]/g, '\\$&')
    .replace(/@(?=\w)/g, '@\u200B')
}

/** A code span in Markdown: its fence is longer than any row of backticks in the text. */
export function markdownCode(text: string, longest: number): string {
  const whole = inOneLine(text).trim()
  const shown = whole.length <= longest ? whole : `${whole.slice(0, longest).toWellFormed()}…`
  const row = Math.max(0, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(row + 1)
  const pad = row > 0 || shown === '' ? ' ' : ''
  return `${fence}${pad}${shown}${pad}${fence}`
}

/** Values that a .env file and a shell both read back unchanged from single quotes. */
const QUOTABLE = /^[^'\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u

/**
 * A value as dotenv and a POSIX shell both read it back: as it is where a shell finds nothing in it to expand or to run, else
 * in single quotes. Undefined where there is no such form: for a quote, a line break, and what cannot be seen.
 */
export function dotenv(value: string): string | undefined {
  if (/^[\w:/.%@+,-]*$/.test(value)) return value
  return QUOTABLE.test(value) ? `'${value}'` : undefined
}

function inOneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
}

function inHex(text: string): string {
  return Array.from(
    { length: text.length },
    (_, index) => `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('')
}

/** The first of the two characters, so that no command is left. */
function marked(text: string): string {
  return inHex(text.slice(0, 1)) + text.slice(1)
}
