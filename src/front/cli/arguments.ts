/** The command line as the user typed it, checked against the table of commands. Without effect. */
import { parseArgs } from 'node:util'
import { fail, nearest } from '../../record/errors.ts'
import type { Command, Flag, Invocation } from './command.ts'
import { COMMANDS, type CommandName } from './commands.ts'

export type Parsed =
  | { readonly kind: 'help'; readonly topic?: CommandName | undefined }
  | { readonly kind: 'version' }
  | { readonly kind: 'command'; readonly name: CommandName; readonly invocation: Invocation }

/** Throws ToolError USAGE. */
export function parseCommandLine(argv: readonly string[]): Parsed {
  const [first, ...rest] = argv
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    return { kind: 'help', topic: rest[0] === undefined ? undefined : commandNamed(rest[0]) }
  }
  if (first === '--version' || first === '-V' || first === 'version') return { kind: 'version' }
  const name = commandNamed(first)
  const { flags, words }: Command = COMMANDS[name]
  const { values, positionals, tokens } = parseArgs({
    args: rest,
    options: optionsOf(flags),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const options = tokens.filter((token) => token.kind === 'option')
  for (const option of options) checkFlag(name, flags, option)
  for (const same of Map.groupBy(options, (option) => option.name).values()) demandOneValue(flags, same)
  for (const [flag, { twice }] of Object.entries(flags))
    if (twice !== undefined && options.filter((option) => option.name === flag).length > 1) values[twice] = true
  if (values.help === true) return { kind: 'help', topic: name }
  if (words === 'none' && positionals.length > 0)
    fail({ code: 'USAGE', message: `"thredd ${name}" takes no "${positionals[0]}"` })
  return { kind: 'command', name, invocation: invocationOf(flags, positionals, values) }
}

function commandNamed(name: string): CommandName {
  if (Object.hasOwn(COMMANDS, name)) return name as CommandName
  if (name.startsWith('-')) {
    fail({
      code: 'USAGE',
      message: `flag "${name.replace(/=.*/s, '')}" stands before the command`,
      hint: 'write the command first, as in thredd run register --env uat',
    })
  }
  const meant = nearest(name, Object.keys(COMMANDS))
  return fail({
    code: 'USAGE',
    message: `there is no command "${name}"`,
    hint:
      meant === undefined
        ? `there is ${Object.keys(COMMANDS).join(', ')}; see thredd --help`
        : `did you mean "thredd ${meant}"?`,
  })
}

function optionsOf(flags: Command['flags']) {
  return Object.fromEntries(
    Object.entries(flags).map(([name, { short, value, many }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
        ...(many ? { multiple: true } : {}),
      },
    ]),
  )
}

/** An option as node's parser reports it. */
interface Option {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

function checkFlag(command: CommandName, flags: Command['flags'], { name, rawName, value, inlineValue }: Option): void {
  const flag: Flag | undefined = Object.hasOwn(flags, name) ? flags[name] : undefined
  if (flag === undefined) {
    const meant = nearest(name, Object.keys(flags))
    fail({
      code: 'USAGE',
      message: `"thredd ${command}" has no flag "${rawName}"`,
      hint: meant === undefined ? `see thredd ${command} --help` : `did you mean "--${meant}"?`,
    })
  }
  if (flag.value === undefined) {
    if (value !== undefined) fail({ code: 'USAGE', message: `flag "${rawName}" takes no value` })
    return
  }
  // A value that looks like a flag is taken for the next flag, the value having been forgotten; --flag=-x passes "-x".
  const isNextFlag = value !== undefined && inlineValue === false && value.startsWith('-') && value !== '-'
  if (value === undefined || value === '' || isNextFlag) {
    fail({
      code: 'USAGE',
      message: `flag "${rawName}" needs a value`,
      expected: `${rawName} <${flag.value}>`,
      found: isNextFlag ? `"${value}"` : undefined,
    })
  }
}

/** Nobody can tell which of two environments or lists was meant. */
function demandOneValue(flags: Command['flags'], same: readonly Option[]): void {
  const [first, ...others] = same
  if (first === undefined || flags[first.name]?.value === undefined || flags[first.name]?.many) return
  if (others.every(({ value }) => value === first.value)) return
  fail({
    code: 'USAGE',
    message: `flag "${first.rawName}" is given ${same.length} times, with different values`,
    expected: 'one',
    hint: 'leave out all but one',
  })
}

function invocationOf(
  flags: Command['flags'],
  words: readonly string[],
  values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>,
): Invocation {
  const texts = (flag: string) => [values[flag] ?? []].flat().filter((value) => typeof value === 'string')
  return {
    words,
    has: (flag) => values[flag] === true,
    texts,
    text: (flag) => texts(flag).at(-1),
    pairs: (flag) =>
      new Map(texts(flag).map((text, index) => pairOf(text, index, texts(flag).length, flag, flags[flag]))),
  }
}

function pairOf(text: string, index: number, count: number, name: string, flag: Flag | undefined): [string, string] {
  const split = text.indexOf('=')
  if (split < 1)
    fail({
      code: 'USAGE',
      message: `flag "--${name}"${count === 1 ? '' : `, number ${index + 1},`} needs a value with "="`,
      // The text is not quoted: it may be a secret whose name was forgotten.
      expected: `--${name} <${flag?.value}>`,
    })
  return [text.slice(0, split), text.slice(split + 1)]
}
