/** What a command is: its row in the table of commands.ts, what the user typed, and the parts of the process it works with. */

export interface Flag {
  readonly short?: string
  /** the value's name in help; absent for a switch */
  readonly value?: string
  readonly many?: true
  /** of a switch: the one that it stands for where it is given twice */
  readonly twice?: string
  readonly about: string
}

export interface Command {
  readonly usage: string
  readonly about: string
  readonly flags: Readonly<Record<string, Flag>>
  readonly examples: readonly (readonly [command: string, about: string])[]
  /** how many words may follow the command */
  readonly words: 'any' | 'none'
  /** loads the file that performs the command, so that no command pays for the imports of another */
  readonly handler: () => Promise<Handler>
  /** loads tables that --help prints below the examples */
  readonly sections?: () => Promise<readonly Section[]>
}

/** Performs a command; resolves to the exit code. Rejects with ToolError for what the user has to mend. */
export type Handler = (invocation: Invocation, program: Program) => Promise<number>

/** The words and flags after a command, checked against its row. */
export interface Invocation {
  readonly words: readonly string[]
  has(flag: string): boolean
  text(flag: string): string | undefined
  texts(flag: string): readonly string[]
  /** of a flag with values `name=value` */
  pairs(flag: string): ReadonlyMap<string, string>
}

/** The package and the process that a command runs in. */
export interface Program {
  /** the folder of the package */
  readonly root: string
  readonly version: string
  /** the current folder, where relative paths start */
  readonly here: string
  /** the folder of the user's files: environment files, flows, reports, vault */
  readonly project: string
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** to stdout */
  readonly write: (text: string) => void
  /** to stderr */
  readonly warn: (text: string) => void
}

/** A table below the help of a command. */
export interface Section {
  readonly title: string
  readonly rows: readonly (readonly [string, string])[]
}
