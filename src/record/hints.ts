/**
 * The commands that messages and reports tell a person to run, in one table. Each is printed whole, with the flags of the
 * environment that it is about: without them it would run on the offline twin, and say that all is well. Pure.
 */

interface Hint {
  /**
   * the words after `thredd`. `<env>` becomes the flags of the environment, `<environment>` its name, `<client>`, `<flow>` and
   * `<file>` what the message is about; what the message does not know stays, for the user to replace
   */
  readonly words: string
  /** what it does depends on the application that the environment names, so that one about a row must name that of the row */
  readonly of?: 'application'
  /** the situation in which it is printed */
  readonly when: string
}

export const HINTS = {
  register: {
    words: 'run register <env>',
    of: 'application',
    when: 'a workflow is given a registration, and the vault holds none',
  },
  import: {
    words: 'vault import <file> <env>',
    when: 'the client was registered with Postman or on another machine, and the vault holds no registration',
  },
  importOne: {
    words: 'vault import <file> <client> <env>',
    when: 'a file that is imported does not say which client is meant',
  },
  dropKeys: {
    words: 'vault rotate-key --drop-earlier --confirm <environment> <env>',
    when: 'the vault has a new key, and the earlier ones are kept for copies of it',
  },
  showFlow: {
    words: 'show <flow> <env>',
    when: 'flows are listed',
  },
  update: {
    words: 'run add-scope-with-put <env>',
    of: 'application',
    when: 'the client is registered, or lacks a scope, and the vault holds its registration',
  },
  recreate: {
    words: 'run delete-and-recreate <env>',
    of: 'application',
    when: 'the client is registered, and the vault holds its registration',
  },
  askToDelete: {
    words: 'message delete <env>',
    of: 'application',
    when: 'the registration access token is lost for good, so that only Thredd can delete the client',
  },
  askAfterRefusal: {
    words: 'message delete <client> --token-refused <env>',
    of: 'application',
    when: 'the server refuses every token that the vault holds, so that only Thredd can delete the client',
  },
  deletedByThredd: {
    words: 'vault recover <client> --deleted-by-thredd <env>',
    when: 'Thredd has confirmed that it deleted the client',
  },
  checkTokens: {
    words: 'vault check --online <env>',
    when: 'the server refuses the registration access token',
  },
  compareKeys: {
    words: 'run discover <env>',
    of: 'application',
    when: 'the authorization server does not accept the client assertion',
  },
  addRole: {
    words: 'run add-role-then-put <env>',
    of: 'application',
    when: 'the server left out scopes that no role covers',
  },
  awaitMetadata: {
    words: 'run wait-for-metadata <env>',
    of: 'application',
    when: 'an API refuses the client until Thredd has set its metadata',
  },
  proveCertificate: {
    words: 'run rotate-transport-certificate <env>',
    of: 'application',
    when: 'a server refuses the transport certificate',
  },
  showOpen: {
    words: 'vault list <env>',
    when: 'a call that may have changed the client got no answer',
  },
  showLeft: {
    words: 'cleanup --dry-run <env>',
    when: 'the record of a run that was killed is asked for',
  },
  cleanUp: {
    words: 'cleanup <env>',
    when: 'the vault holds a client that its run was to delete and did not',
  },
  readClient: {
    words: 'vault recover <client> --online <env>',
    of: 'application',
    when: 'a call without an answer is open, and the vault holds a token to look with',
  },
  makeRecord: {
    words: 'run <env>',
    when: 'a report is asked for, and there is no run yet',
  },
  compareRuns: {
    words: 'report --baseline <run> <env>',
    when: 'the runs of an environment are joined, and no run is named to compare them with',
  },
  runNamed: {
    words: 'run <flow> <env>',
    of: 'application',
    when: 'no flow is named, and each would change the client',
  },
  takeCertificate: {
    words: 'csr <kind> --certificate <file> <env>',
    when: 'a certificate signing request was made, and Thredd CA will issue its certificate',
  },
  csr: {
    words: 'csr <kind> <env>',
    when: 'a certificate is missing or ends soon',
  },
  list: {
    words: 'list <env>',
    when: 'not every flow is ready',
  },
  doctor: {
    words: 'doctor <env>',
    when: 'certificates or settings of an environment were changed',
  },
  runOnTwin: {
    words: 'run <flow> --env mock',
    when: 'a flow is for the offline twin alone',
  },
} as const satisfies Readonly<Record<string, Hint>>

export type HintId = keyof typeof HINTS

/** What the words of a hint are about. */
interface About {
  readonly client?: string
  readonly flow?: string
  readonly file?: string
  readonly environment?: string
  readonly kind?: string
}

/** The whole command of a hint, ready for a POSIX shell. */
export type Command = (hint: HintId, about?: About) => string

/** The flags where the environment is not known: the user puts its name there. */
export const ANY_ENVIRONMENT: readonly string[] = ['--env', '<name>']

const ALLOW_ENV = '--allow-env'
const ASSIGNMENT = /^(THREDD_\w+)=(.*)$/s

/** `flags` are those of the environment, as Environment has them; of a row with `settingsAsFlags` before them. */
export function commandsFor(flags: readonly string[]): Command {
  const assigned = flags.flatMap((flag) => {
    const [, name, value = ''] = ASSIGNMENT.exec(flag) ?? []
    return name === undefined ? [] : [`${name}=${shellWord(value)}`]
  })
  const ofEnvironment = flags.filter((flag) => flag !== ALLOW_ENV && !ASSIGNMENT.test(flag))
  return (hint, about = {}) => {
    const isOfApplication = 'of' in HINTS[hint]
    const isOther = isOfApplication && flags.includes(ALLOW_ENV)
    const known = Object.entries(about).map(([name, text]) => [`<${name}>`, shellWord(text)] as const)
    const values: Readonly<Record<string, string>> = {
      '<env>': [...ofEnvironment, ...(isOther ? [ALLOW_ENV] : [])].map(shellWord).join(' '),
      ...Object.fromEntries(known),
    }
    const words = HINTS[hint].words.split(' ').map((word) => values[word] ?? word)
    return [...(isOfApplication ? assigned : []), 'thredd', ...words].filter((word) => word !== '').join(' ')
  }
}

/** The commands about an environment, or about one of its rows. */
export function commandsAbout(
  row: { readonly flags?: readonly string[] | undefined } | undefined,
  { flags = [] }: { readonly flags?: readonly string[] | undefined },
): Command {
  return commandsFor([...(row?.flags ?? []), ...flags])
}

/** What turns a command about an environment into one about another application, by the names of settings. */
export function settingsAsFlags(
  settings: Iterable<readonly [name: string, value: string]>,
  { isOtherClient }: { readonly isOtherClient: boolean },
): readonly string[] {
  return [...Array.from(settings, ([name, value]) => `THREDD_${name}=${value}`), ...(isOtherClient ? [ALLOW_ENV] : [])]
}

/** One word of a command as it is printed: `shellWord`, or a placeholder. */
const WORD = String.raw`(?:'(?:[^']|'\\'')*'|[\w@%+=:,./<>-]*[\w@%+=/<>-])`
/** Longest first, so that none is found as the beginning of another. */
const PRINTED = new RegExp(
  Object.values(HINTS)
    .map(({ words }) =>
      words
        .split(' ')
        .map((word) =>
          word === '<env>'
            ? `(?: (?:--env|--server) ${WORD}| ${ALLOW_ENV})*`
            : ` ${/^</.test(word) ? `(?!-)${WORD}` : word}`,
        ),
    )
    .map((words) => `(?:THREDD_\\w+=${WORD} )*thredd${words.join('')}`)
    .toSorted((one, other) => other.length - one.length)
    .join('|'),
  'g',
)

/** The commands of this table that a text tells a person to run. */
export function commandsIn(text: string): readonly string[] {
  return [...text.matchAll(PRINTED)].map(([command]) => command)
}

/** A text as one word of a POSIX shell; a placeholder stays as it is. */
export function shellWord(text: string): string {
  return /^(?:[\w@%+=:,./-]+|<\w+>)$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
