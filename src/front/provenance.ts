/** Facts for a run from the process and the package: the proxy, the version and commit of the tool, who runs it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
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

/** Commit, lockfile, operator, job: each is left out where unknown. `root` is the folder of the package. */
export async function provenanceOf(root: string, variables: Variables): Promise<Provenance> {
  const commit = commitOf(root)
  const lockfile = join(root, 'package-lock.json')
  const { createHash } = await import('node:crypto')
  const lockfileSha256 = existsSync(lockfile)
    ? createHash('sha256').update(readFileSync(lockfile)).digest('hex')
    : undefined
  return { tool: { ...(await commit), lockfileSha256 }, origin: originOf(variables) }
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

function originOf(variables: Variables): Provenance['origin'] {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = variables
  const job = server && repository && run ? `${server}/${repository}/actions/runs/${run}` : undefined
  return {
    operator: first(variables.THREDD_OPERATOR, variables.GITHUB_ACTOR, variables.GITLAB_USER_LOGIN),
    organisation: first(variables.THREDD_ORGANISATION),
    reference: first(variables.THREDD_REFERENCE),
    supersedes: first(variables.THREDD_SUPERSEDES),
    image: first(variables.THREDD_IMAGE, variables.CI_JOB_IMAGE),
    job: first(job, variables.CI_JOB_URL, variables.BUILD_URL),
  }
}

function first(...values: readonly (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== '')
}
