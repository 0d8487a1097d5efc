/** The text of --help, printed from the table of commands. */
import type { Command, Section } from './command.ts'
import { COMMANDS, type CommandName } from './commands.ts'

/** Exit codes of the process; of several outcomes the first of 70, 2, 1, 3, 4, 0 counts. */
export const EXITS = {
  0: 'conformant',
  1: 'non-conformant',
  2: 'the input is wrong',
  3: 'inconclusive: it may be tried again',
  4: 'done, and waiting for Thredd: it must not be tried again',
  70: 'bug',
} as const

export async function helpText(topic: CommandName | undefined, version: string): Promise<string> {
  if (topic === undefined) return overview(version)
  const { usage, about, flags, examples, sections }: Command = COMMANDS[topic]
  const further = (await sections?.()) ?? []
  return [
    usage,
    about,
    '',
    ...section({
      title: 'Flags',
      rows: Object.entries(flags).map(([name, { short, value, about: meaning, many }]) => [
        `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`,
        `${meaning}${many ? ' (may be repeated)' : ''}`,
      ]),
    }),
    ...section({ title: 'Examples', rows: examples }),
    ...further.flatMap(section),
  ].join('\n')
}

function overview(version: string): string {
  const codes = Object.entries(EXITS).map(([code, means]) => `${code} ${means}`)
  return [
    `thredd ${version} — register, update, delete and prove OAuth clients on Thredd's platform`,
    '',
    ...section({ title: 'Commands', rows: Object.entries(COMMANDS).map(([name, { about }]) => [name, about]) }),
    'thredd <command> --help explains each with examples.',
    `Exit codes: ${codes.join(', ')}.`,
    '',
  ].join('\n')
}

function section({ title, rows }: Section): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return [title, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`), '']
}
