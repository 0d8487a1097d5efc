/**
 * The commands of the pages as a person types them: which lines of a fenced block are commands, what the page says of each,
 * and a terminal to type them into.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { shellWord } from '../../src/record/hints.ts'
import { type Cli, type Ended, ROOT } from './cli.ts'
import { CLIENT_ID } from './twin.ts'

export interface TypedCommand {
  /** as it stands in the page, with its comment */
  readonly line: string
  /** the lines that the page shows below it */
  readonly shows: readonly string[]
  /** what its comment says; 0 where it says nothing */
  readonly exitCode: number
}

export interface Block {
  /** file and line of the fence */
  readonly place: string
  /** `sh` is commands alone, `console` has each behind "$ " with what it prints; anything else is no shell */
  readonly language: string
  /** why it is not run, as the comment before it says; empty where the comment gives no reason */
  readonly notRun: string | undefined
  readonly commands: readonly TypedCommand[]
}

/** The fenced blocks of a page, by its path from the root of the repository. */
export function blocksOf(page: string): readonly Block[] {
  const lines = readFileSync(join(ROOT, page), 'utf8').split('\n')
  const blocks: Block[] = []
  for (let start = 0; start < lines.length; start++) {
    const [fence, language = ''] = /^ *```(\w*)/.exec(lines[start] ?? '') ?? []
    if (fence === undefined) continue
    const end = lines.findIndex((line, index) => index > start && line.trim() === '```')
    const before = lines.slice(0, start).findLast((line) => line.trim() !== '') ?? ''
    const inner = lines.slice(start + 1, end).map((line) => line.trim())
    blocks.push({
      place: `${page}:${start + 1}`,
      language,
      notRun: /^ *<!-- not run:? ?(.*?) ?-->$/.exec(before)?.[1],
      commands:
        language === 'sh' ? inner.flatMap(commandAlone) : language === 'console' ? commandsWithOutput(inner) : [],
    })
    start = end
  }
  return blocks
}

/** The commands of a page that are run, in their order. */
export function commandsOf(page: string): readonly TypedCommand[] {
  return blocksOf(page).flatMap(({ notRun, commands }) => (notRun === undefined ? commands : []))
}

function commandAlone(line: string): TypedCommand[] {
  if (line === '' || line.startsWith('#')) return []
  const [, comment = ''] = /\s#\s(.*)$/.exec(line) ?? []
  return [{ line, shows: [], exitCode: Number(/exit code (\d+)/.exec(comment)?.[1] ?? 0) }]
}

function commandsWithOutput(lines: readonly string[]): TypedCommand[] {
  const starts = lines.flatMap((line, index) => (line.startsWith('$ ') ? [index] : []))
  return starts.flatMap((start, index) =>
    commandAlone((lines[start] ?? '').slice(2)).map((command) => ({
      ...command,
      shows: lines.slice(start + 1, starts[index + 1]).filter((line) => line !== ''),
    })),
  )
}

/** The lines of a page that a command did not print, in their order; "…" in the page stands for any number of lines. */
export function notPrinted(shows: readonly string[], said: string): readonly string[] {
  const printed = said.split('\n').map(comparable)
  let from = 0
  let isNext = false
  return shows.filter((line) => {
    if (line === '…') {
      isNext = false
      return false
    }
    const at = isNext ? (printed[from] === comparable(line) ? from : -1) : printed.indexOf(comparable(line), from)
    if (at === -1) return true
    from = at + 1
    isNext = true
    return false
  })
}

/** Without what differs from run to run: times, ids, numbers, and the widths that follow from them. */
function comparable(line: string): string {
  return line
    .replace(/\b[0-9a-f]{8}(?:-?[0-9a-f]{4,}){0,4}\b/g, '0')
    .replace(/\d[\d.,:TZ-]*/g, '0')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Commands that end by themselves only when a person ends them: what they print once they are ready, and the key. */
const ENDLESS: readonly (readonly [command: RegExp, ready: RegExp, key: string])[] = [
  [/^npx thredd mock(?! compare)/, /for Postman/, '\u0003'],
  [/^(?:\S+=\S+ )*npx vitest(?! run)/, /press q to quit/, 'q'],
]

/** What a person answers, by what is asked. */
const ANSWERS: readonly (readonly [question: RegExp, answer: string | RegExp])[] = [
  // What is to be repeated stands above the question.
  [/Type the number and the hash of the list/, /\d+-[0-9a-f]{12}/],
  [/Type its client id/, CLIENT_ID],
  [/[Pp]assphrase.*: ?$/, 'a passphrase of the tests'],
  [/Type yes/, 'yes'],
  [/Type (?:its|the) name/, 'uat'],
]

/** In the folder a `thredd` and an `npx` that lead to this repository's commands. */
export async function installCommands(cli: Cli): Promise<void> {
  const node = shellWord(process.execPath)
  const thredd = `${node} ${shellWord(join(ROOT, 'bin', 'thredd.js'))} "$@"`
  // The documented port may be taken by another test.
  const anyPort = 'case "$*" in mock|mock\\ -*) set -- "$@" --port 0;; esac'
  await cli.write('bin/thredd', `#!/bin/sh\n${anyPort}\nexec ${thredd}\n`)
  const vitest = `${node} ${shellWord(join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'))} "$@"`
  await cli.write(
    'bin/npx',
    `#!/bin/sh\nname=$1; shift\ncase $name in thredd) exec "$(dirname "$0")/thredd" "$@";; vitest) exec ${vitest};; esac\nexit 127\n`,
  )
  for (const name of ['thredd', 'npx']) await chmod(join(cli.folder, 'bin', name), 0o755)
}

const LONGEST_MS = 120_000

/** Types a line into a terminal of 200 columns, answers what is asked, and ends what does not end by itself. */
export async function typeLine(
  line: string,
  folder: string,
  variables: Readonly<Record<string, string>>,
): Promise<Pick<Ended, 'code'> & { readonly said: string }> {
  const script = `stty cols 200; ${line.replaceAll('<client_id>', CLIENT_ID)}`
  const child = spawn('script', ['-qec', `exec bash -c ${shellWord(script)}`, '/dev/null'], {
    cwd: folder,
    env: {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      HOME: join(folder, 'home'),
      NO_COLOR: '1',
      ...variables,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const [, ready, key] = ENDLESS.find(([command]) => command.test(line)) ?? []
  let said = ''
  let answered = 0
  let ends = false
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const news = said.slice(answered)
      const [, answer] = ANSWERS.find(([question]) => question.test(news)) ?? []
      if (answer !== undefined) {
        answered = said.length
        child.stdin.write(`${typeof answer === 'string' ? answer : answer.exec(news)?.[0]}\n`)
      }
      if (!ends && key !== undefined && ready?.test(said)) {
        ends = true
        child.stdin.write(key)
      }
    })
  // A question that nobody answers would wait for ever.
  const tooLong = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(tooLong)
  return { said: stripVTControlCharacters(said).replaceAll('\r', ''), code }
}
