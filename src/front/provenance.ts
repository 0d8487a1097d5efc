/** Facts for a run from the process and the package: the proxy, the version and commit of the tool, who runs it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Caller, Provenance } from '../run/index.ts'

/** The environment variables of the process. */
type Variables = Readonly<Record<string, string | undefined>>

export function proxyOf(variables: Variables): NonNullable<Caller['proxy']> {
  return {
    httpsProxy: variables.HTTPS_PROXY ?? variables.https_proxy,
    noProxy: variables.NO_PROXY ?? variables.no_proxy,
  }
}

/** The machine of this process. */
export function machineOf(variables: Variables): NonNullable<Caller['machine']> {
  const home = variables.HOME === '' ? undefined : homedir()
  const isWritable = (path: string) => {
    try {
      accessSync(path, constants.W_OK)
      return true
    } catch {
      return false
    }
  }
  return { variables, home, temporary: [tmpdir(), '/tmp', '/var/tmp', '/dev/shm'], exists: existsSync, isWritable }
}

/** `root` is the folder of the package. */
export function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
}

/** What is said of a run beside the variables of the process. */
interface Said {
  /** the ticket or change that the run belongs to */
  readonly ticket?: string | undefined
  /** the account of the operating system */
  readonly account?: string | undefined
}

/** Commit, lockfile, operator, job: each is left out where unknown. `root` is the folder of the package. */
export async function provenanceOf(root: string, variables: Variables, said: Said = {}): Promise<Provenance> {
  const commit = commitOf(root)
  const lockfile = join(root, 'package-lock.json')
  const { createHash } = await import('node:crypto')
  const lockfileSha256 = existsSync(lockfile)
    ? createHash('sha256').update(readFileSync(lockfile)).digest('hex')
    : undefined
  return { tool: { ...(await commit), lockfileSha256 }, origin: originOf(variables, said) }
}

async function commitOf(root: string): Promise<Pick<Provenance['tool'], 'commit' | 'dirty'>> {
  // An installed package may be inside another repository, whose commit is not that of the package.
  if (!existsSync(join(root, '.git'))) return {}
  const { execFile } = await import('node:child_process')
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', root, 'status', '--porcelain=v2', '--branch'], {
      timeout: 5_000,
    })
    const commit = /^# branch\.oid ([0-9a-f]{40,64})$/m.exec(stdout)?.[1]
    return commit === undefined ? {} : { commit, dirty: /^[^#]/m.test(stdout) }
  } catch {
    return {}
  }
}

/** The name of the account that this process runs under, without that of the machine; undefined where it has none. */
export function accountName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}

/** Who started a job and where it can be seen, in the variables of each CI system. */
const CI_SYSTEMS: readonly { readonly operator: readonly string[]; readonly job: string; readonly image?: string }[] = [
  { operator: ['GITHUB_ACTOR'], job: '{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}' },
  { operator: ['GITLAB_USER_LOGIN'], job: '{CI_JOB_URL}', image: 'CI_JOB_IMAGE' },
  // Jenkins; the user comes from its plugin "build user vars".
  { operator: ['BUILD_USER_ID', 'BUILD_USER'], job: '{BUILD_URL}' },
  // Azure Pipelines
  {
    operator: ['BUILD_REQUESTEDFOR'],
    job: '{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}',
  },
]

function originOf(variables: Variables, { ticket, account }: Said): Provenance['origin'] {
  const operators = CI_SYSTEMS.flatMap(({ operator }) => operator.map((name) => variables[name]))
  return {
    operator: first(variables.THREDD_OPERATOR, ...operators, account),
    organisation: first(variables.THREDD_ORGANISATION),
    reference: first(ticket, variables.THREDD_REFERENCE),
    supersedes: first(variables.THREDD_SUPERSEDES),
    image: first(variables.THREDD_IMAGE, ...CI_SYSTEMS.map(({ image = '' }) => variables[image])),
    job: first(...CI_SYSTEMS.map(({ job }) => filled(job, variables))),
  }
}

/** The text with the values of the variables that it names in braces; undefined where one has none. */
function filled(template: string, variables: Variables): string | undefined {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  if (names.some((name) => !variables[name])) return undefined
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURI(variables[name] ?? ''))
}

function first(...values: readonly (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== '')
}
