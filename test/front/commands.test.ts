/** Every command that a page or a message shows can be typed: its words and flags exist, and it reaches what the text is about. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseCommandLine } from '../../src/front/cli/arguments.ts'
import { COMMANDS, type CommandName } from '../../src/front/cli/commands.ts'
import { HINTS } from '../../src/record/hints.ts'
import { ROOT } from '../support/cli.ts'
import { blocksOf } from '../support/typed-page.ts'

interface Shown {
  readonly place: string
  /** without a comment behind it */
  readonly line: string
}

const pages = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/**/*.md', { cwd: ROOT })].sort()
const flows = globSync('flows/**/*.yaml', { cwd: ROOT }).sort()
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8')

const fenced: readonly Shown[] = pages.flatMap((file) =>
  blocksOf(file).flatMap(({ commands }) => commands.flatMap(({ line }) => linesOf(line, file))),
)
const spans: readonly Shown[] = pages.flatMap((file) =>
  [
    ...text(file)
      .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
      .matchAll(/`([^`]+)`/g),
  ].flatMap(([, one = '']) => linesOf(one.replaceAll('\n', ' '), file)),
)
/** Of flows: what stands between quotation marks, or after variables that are set for it. */
const ofFlows: readonly Shown[] = flows.flatMap((file) =>
  [...text(file).matchAll(/"(thredd (?:run|vault|token|list)[^"]*)"|(\S+=\S+ thredd [^.\n]*)/g)].flatMap(
    ([, quoted, alone]) => linesOf(quoted ?? alone ?? '', file),
  ),
)
/** Of the recipes for CI systems and of the container: each line that has a command. */
const ofRecipes: readonly Shown[] = [...globSync('docs/ci/*.yml', { cwd: ROOT }), 'Containerfile'].flatMap((file) =>
  text(file)
    .split('\n')
    .flatMap((line) => /(?:npx thredd|docker run .*thredd-dcr) ([a-z].*)$/.exec(line)?.[1] ?? [])
    .map((line) => ({ place: file, line: `thredd ${line.replaceAll('$', '')}` })),
)
const commands = [...fenced, ...spans, ...ofFlows, ...ofRecipes].flatMap(({ place, line }) =>
  threddIn(line).map((args) => ({ place, line, args, title: `${place}: ${line}` })),
)

/** What is shown without `--env` because it is meant for the embedded twin, or for any environment. */
const ON_TWIN: ReadonlySet<string> = new Set([
  'list',
  'report --compare <run>',
  'report --index',
  'report --pack evidence.zip',
  'run register',
  'run lifecycle',
  'run lifecycle --dry-run',
  'run register --data clients.csv --parallel 8',
  'run register --input scopes=cards.read,pin.read',
  'run ./my-flow.arazzo.yaml',
  'run <name>',
  'run --conformance',
  'run --dry-run',
  'run --help',
  'show register',
  'export har --run latest',
  // For UAT unless another environment is named.
  'import postman <collection> <environment>',
  'import postman <collection.json> [environment.json …]',
])

test('pages show commands, and each kind of place has some', () => {
  expect(commands.length).toBeGreaterThan(60)
  expect(new Set(commands.map(({ place }) => place))).toContain('README.md')
  expect(commands.some(({ place }) => place.startsWith('flows/'))).toBe(true)
})

test.each(commands)('$title: its words and flags exist', ({ args }) => {
  expect(parseCommandLine(args).kind).toMatch(/^(?:command|help)$/)
})

test.each(commands)('$title: it names its environment', ({ args: [name = '', ...rest] }) => {
  const { flags } = COMMANDS[name as CommandName]
  // A command by its name alone is spoken of, not shown.
  const isMention = rest.every((word) => /^[a-z-]+\|?[a-z|-]*$/.test(word) && !word.startsWith('-')) && name !== 'run'
  // Without --env a report is of a stored run, whatever its environment was.
  const isShown = 'env' in flags && name !== 'report' && rest.length > 0 && !isMention && !rest.includes('--env')
  expect(isShown && !ON_TWIN.has([name, ...rest].join(' ')) && rest[0] !== '[flow…]' && !isUsage(rest)).toBe(false)
})

const scripts = Object.keys((JSON.parse(text('package.json')) as { scripts: object }).scripts)
const npm = [...fenced, ...spans]
  .flatMap(({ place, line }) => line.split(/\s*(?:&&|;|\|)\s*/).map((part) => ({ place, line: part })))
  .filter(({ line }) => line.startsWith('npm '))

test.each(npm)('$place: $line: the script exists', ({ line }) => {
  const [, what = '', script = ''] = line.split(' ')
  if (what === 'run') expect(scripts.filter((one) => matches(script, one))).not.toEqual([])
  else if (['start', 'test'].includes(what)) expect(scripts).toContain(what)
  else expect(['audit', 'ci', 'cit', 'config', 'install', 'install-scripts', 'pack', 'exec']).toContain(what)
})

test.each(Object.entries(HINTS))('the hint "%s" can be typed', (_, { words }) => {
  const args = words.replace('<env>', '--env uat').split(' ')
  expect(parseCommandLine(args).kind).toBe('command')
})

/** Commands that messages compose by themselves: of files that no environment is about. */
const COMPOSED: Readonly<Record<string, string>> = {
  'src/front/cli/report.ts': 'verify evidence.zip --signer abc',
  'src/front/cli/prune.ts': 'report --prune --older 90d',
  'src/front/cli/init.ts': 'run register --env mock',
  'src/front/cli/verify.ts': 'verify evidence.zip --signer abc',
  'src/front/cli/arguments.ts': 'run register --env uat',
}

test('a message takes a command with flags from the table of hints', () => {
  const composing = globSync('src/**/*.ts', { cwd: ROOT })
    .filter((file) => !/(?:commands|hints)\.ts$/.test(file))
    .filter((file) =>
      text(file)
        .split('\n')
        .some((line) => !/^\s*(?:\*|\/\/|\/\*\*)/.test(line) && /\bthredd [a-z]+ [^'`"]*--\w/.test(line)),
    )
    .map((file) => file.replaceAll('\\', '/'))

  expect(composing.sort()).toEqual(Object.keys(COMPOSED).sort())
  for (const line of Object.values(COMPOSED)) expect(parseCommandLine(line.split(' ')).kind).toBe('command')
})

function linesOf(block: string, place: string): Shown[] {
  return block
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => ({ place, line }))
}

/** The arguments of each `thredd` of a line. */
function threddIn(line: string): string[][] {
  return [...line.matchAll(/(?:^|\s|\$\()thredd ([^)&;]*)/g)].map(([, rest = '']) => wordsOf(rest))
}

function wordsOf(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  )
}

/** The usage of a command, as docs/cli.md and messages have it: `[flow…]`, `<flow…>`, `list|show|…`. */
function isUsage(words: readonly string[]): boolean {
  return words.every((word) => /^[[<]|[\]>|]/.test(word))
}

/** `prove:…` stands for all of that beginning. */
function matches(shown: string, script: string): boolean {
  return shown.endsWith('…') ? script.startsWith(shown.slice(0, -1)) : script === shown
}

test('a flag with one value is not given two, since nobody can tell which was meant', () => {
  const parsed = (line: string) => () => parseCommandLine(line.split(' '))
  expect(parsed('run register --env uat --env prod')).toThrow('flag "--env" is given 2 times, with different values')
  expect(parsed('run register --data a.csv --data b.csv')).toThrow('flag "--data" is given 2 times')
  expect(parsed('run register --env uat --env uat')).not.toThrow()
  expect(parsed('run register --input a=1 --input b=2 -v -v')).not.toThrow()
})
