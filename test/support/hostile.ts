/** A text as a hostile server or file writes it, and what a terminal, a log or a reader of markup would make of it. */

export const HOSTILE = [
  'x\n::stop-commands::tok\n::error title=forged::from the server\n  ::set-output name=a::b\n',
  '##[error]forged ##vso[task.complete result=Failed] ##teamcity[buildStatus status=FAILURE]\n',
  'section_start:0:forged\r\u001b[0K\u001b]0;owned\u0007\u001b[2J\u009b2J\u202egnp\u2066\u200b\u00ad\ufeff\u2028\ud800 \u{e0041}',
  `</script><img src=x onerror=alert(1)>--><!--]]>"'&|\`code\` [x](javascript:alert(1)) @everyone`,
].join('')

/** Characters that steer a terminal or cannot be seen, by their numbers; line breaks and tabs are none. */
export function steeringIn(text: string): string[] {
  return [...text]
    .map((character) => character.codePointAt(0) ?? 0)
    .filter((code) => !(code === 9 || code === 10) && STEERING.some(([from, to]) => code >= from && code <= to))
    .map((code) => `U+${code.toString(16)}`)
}

const STEERING: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe0fff],
]

/** What a terminal and the logs of GitHub, Azure and TeamCity would do. */
export function commandsIn(text: string): string[] {
  const commands = text
    .split('\n')
    .filter(
      (one) => one.trimStart().startsWith('::') || ['##[', '##vso[', '##teamcity['].some((mark) => one.includes(mark)),
    )
  return [...steeringIn(text), ...commands.map((one) => one.slice(0, 60))]
}

/** The same in length, and of letters alone: what is printed of it shows what is ours. */
export const HARMLESS = HOSTILE.replaceAll(/[^a-z]/g, 'x')

/** One tag, comment or text, and its attributes: narrower than HTML and XML, so that what is not plainly ours is refused. */
const PIECE =
  /<!doctype html>|<\?xml [^<>]*\?>|<(?<close>\/)?(?<name>[A-Za-z][\w:-]*)(?<attributes>(?:\s+[\w:-]+(?:="[^"<>]*")?)*)\s*(?<empty>\/)?>|(?<text>[^<>]+)/y
const VOID: ReadonlySet<string> = new Set(['meta', 'input', 'br', 'link', 'img', 'hr', 'col'])
/** Their content is ours, whole and known by its hash; nothing of a record stands in it. */
const RAW: ReadonlySet<string> = new Set(['style', 'script'])

/** The elements of a page with the names of their attributes, as an indented list. Throws where it is not well-formed. */
export function elementsOf(page: string): string[] {
  const found: string[] = []
  const open: string[] = []
  let at = 0
  while (at < page.length) {
    PIECE.lastIndex = at
    const groups = PIECE.exec(page)?.groups
    if (groups === undefined) throw new Error(`no markup of ours: ${JSON.stringify(page.slice(at, at + 80))}`)
    at = PIECE.lastIndex
    const { name, close, attributes = '', empty, text } = groups
    if (text !== undefined && /&(?!(?:amp|lt|gt|quot|#\d+);)/.test(text)) throw new Error(`an open & in ${text}`)
    if (name === undefined) continue
    if (close !== undefined) {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing, at ${at}`)
      continue
    }
    const names = [...attributes.matchAll(/([\w:-]+)(?:="[^"]*")?/g)].map((match) => match[1])
    found.push(`${'  '.repeat(open.length)}${name} ${names.join(' ')}`.trimEnd())
    if (RAW.has(name)) at = page.indexOf(`</${name}>`, at) + name.length + 3
    else if (empty === undefined && !VOID.has(name)) open.push(name)
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`)
  return found
}

/** What a reader of Markdown takes for its own: line breaks and marks outside code spans, without those that are escaped. */
export function marksOf(page: string): string[] {
  return page
    .replaceAll(/(?<!\\)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, 'C')
    .replaceAll(/\\[!-/:-@[-`{-~]/g, '')
    .split('\n')
    .map((one) =>
      one
        .replaceAll('@\u200b', '')
        .replace(/^ *(?:[-+]|\d+[.)]) /, '# ')
        .replaceAll(/[^|#*_<>`~[\]&C@]/g, ''),
    )
}
