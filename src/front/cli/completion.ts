/** `thredd completion`: a script that completes commands, flags and flows in a shell. Made from the table of commands. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../record/errors.ts'
import { shellWord } from '../../record/hints.ts'
import type { Command, Flag, Handler, Program } from './command.ts'

interface Completed {
  readonly name: string
  readonly about: string
  readonly flags: readonly (readonly [name: string, flag: Flag])[]
  /** the words that its usage offers, such as those of `thredd vault` */
  readonly words: readonly string[]
  /** flows are named after it */
  readonly takesFlows: boolean
}

/** Performs the command for the table that it is a row of. */
export function completionOf(commands: Readonly<Record<string, Command>>): Handler {
  return async (invocation, program) => {
    const [shell = '', ...more] = invocation.words
    if (!Object.hasOwn(SCRIPTS, shell) || more.length > 0)
      return fail({
        code: 'USAGE',
        message: 'the shell is not named',
        expected: `thredd completion ${Object.keys(SCRIPTS).join(', or ')}`,
        found: invocation.words.join(' ') || undefined,
      })
    const rows = Object.entries(commands).map(([name, command]) => completed(name, command))
    program.write(SCRIPTS[shell as keyof typeof SCRIPTS](rows, flowsIn(program)))
    return 0
  }
}

function completed(name: string, { about, flags, usage }: Command): Completed {
  const [, offered = ''] = new RegExp(`^thredd ${name} \\[?([a-z-]+(?:\\|[a-z-]+)+)`).exec(usage) ?? []
  const words = offered.split('|').filter((word) => word !== '')
  return { name, about, flags: Object.entries(flags), words, takesFlows: /flow…/.test(usage) }
}

/** The flows of the package; those of a project are found by the shell, in its folder `flows`. */
function flowsIn({ root }: Program): readonly string[] {
  const files = readdirSync(join(root, 'flows')).filter((file) => file.endsWith('.arazzo.yaml'))
  return files.map((file) => file.replace('.arazzo.yaml', '')).sort()
}

/** Flags after which a file or a folder is completed, for a `case` of a shell. */
function fileFlags(commands: readonly Completed[]): string {
  const all = commands.flatMap(({ flags }) => flags.filter(([, { value = '' }]) => /^(?:file|folder)\b/.test(value)))
  return [...new Set(all.map(([flag]) => `--${flag}`))].join('|')
}

const SCRIPTS = { bash, zsh, fish } as const

/** What completes the word that follows: names of flows and files, or the words of the command. */
function bash(commands: readonly Completed[], flows: readonly string[]): string {
  const rows = commands.map(
    ({ name, flags, words, takesFlows }) =>
      `    ${name}) words=${shellWord([...flags.map(([flag]) => `--${flag}`), ...words].join(' '))}${takesFlows ? ' flows=yes' : ''} ;;`,
  )
  return `# bash completion of thredd; put into ~/.bashrc: eval "$(thredd completion bash)"
_thredd() {
  local word=\${COMP_WORDS[COMP_CWORD]} words='' flows='' file
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${shellWord(commands.map(({ name }) => name).join(' '))} -- "$word"))
    return
  fi
  case \${COMP_WORDS[COMP_CWORD-1]} in
    --env) COMPREPLY=($(compgen -W "mock uat prod" -- "$word")); return ;;
    ${fileFlags(commands)}) _thredd_files "$word"; return ;;
  esac
  case \${COMP_WORDS[1]} in
${rows.join('\n')}
  esac
  if [ -n "$flows" ]; then
    words="$words ${flows.join(' ')}"
    for file in flows/*.arazzo.yaml; do
      [ -e "$file" ] && file=\${file#flows/} && words="$words \${file%.arazzo.yaml}"
    done
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ \${#COMPREPLY[@]} -eq 0 ] && _thredd_files "$word"
}
_thredd_files() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -f -- "$1"))
}
complete -o filenames -F _thredd thredd
`
}

function zsh(commands: readonly Completed[], flows: readonly string[]): string {
  const described = (name: string, about: string) => shellWord(`${name}:${about.replaceAll(':', ' -')}`)
  const rows = commands.map(({ name, flags, words, takesFlows }) => {
    const all = [...flags.map(([flag, { about }]) => described(`--${flag}`, about)), ...words.map(shellWord)]
    return `    ${name}) words=(${all.join(' ')})${takesFlows ? ` flows=(\${=known} flows/*.arazzo.yaml(N:t:r:r))` : ''} ;;`
  })
  return `#compdef thredd
# zsh completion of thredd; put into ~/.zshrc, after compinit: eval "$(thredd completion zsh)"
_thredd() {
  local -a words_of flows
  local known=${shellWord(flows.join(' '))}
  if (( CURRENT == 2 )); then
    words_of=(${commands.map(({ name, about }) => described(name, about)).join(' ')})
    _describe command words_of
    return
  fi
  case $words[CURRENT-1] in
    --env) compadd mock uat prod; return ;;
    ${fileFlags(commands)}) _files; return ;;
  esac
  case $words[2] in
${rows.join('\n').replaceAll(' words=(', ' words_of=(')}
  esac
  (( \${#flows} )) && compadd -a flows
  _describe flag words_of
  _files
}
compdef _thredd thredd
`
}

function fish(commands: readonly Completed[], flows: readonly string[]): string {
  const names = commands.map(({ name }) => name).join(' ')
  const rows = commands.flatMap(({ name, about, flags, words, takesFlows }) => {
    const after = `complete -c thredd -n '__fish_seen_subcommand_from ${name}'`
    return [
      `complete -c thredd -f -n 'not __fish_seen_subcommand_from ${names}' -a ${name} -d ${shellWord(about)}`,
      ...flags.map(([flag, { value, about: flagAbout }]) => {
        const values = flag === 'env' ? " -x -a 'mock uat prod'" : value === undefined ? '' : ' -r'
        return `${after} -l ${flag}${values} -d ${shellWord(flagAbout)}`
      }),
      ...(words.length === 0 ? [] : [`${after} -f -a ${shellWord(words.join(' '))}`]),
      ...(takesFlows
        ? [
            `${after} -a "${flows.join(' ')} (path basename flows/*.arazzo.yaml 2>/dev/null | string replace .arazzo.yaml '')"`,
          ]
        : []),
    ]
  })
  return `# fish completion of thredd; put into ~/.config/fish/config.fish: thredd completion fish | source\n${rows.join('\n')}\n`
}
