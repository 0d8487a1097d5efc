/** The command line as a person has it: a process of its own, in a folder of its own, with nothing of this one's variables. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { RunRecord } from '../../src/record/index.ts'
import { runRecord } from '../../src/record/schema.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Ended {
  readonly stdout: string
  readonly stderr: string
  /** null where a signal ended the process */
  readonly code: number | null
}

export interface Situation {
  /** on top of PATH, a HOME in the folder and a vault in the folder; undefined removes one */
  readonly variables?: Readonly<Record<string, string | undefined>>
  /** default: the Node that runs the tests */
  readonly node?: string
  /** default: the launcher of the repository */
  readonly launcher?: string
}

export interface Running {
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  readonly ended: Promise<Ended>
}

export class Cli implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** `files` by their path in the folder. */
  static async make(files: Readonly<Record<string, string>> = {}): Promise<Cli> {
    const cli = new Cli(await realpath(await mkdtemp(join(tmpdir(), 'thredd-cli-'))))
    await Promise.all(Object.entries(files).map(([name, text]) => cli.write(name, text)))
    return cli
  }

  async write(name: string, text: string): Promise<void> {
    const file = join(this.folder, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }

  async run(args: readonly string[], situation: Situation = {}): Promise<Ended> {
    return await this.start(args, situation).ended
  }

  /** Presses Ctrl-C, and waits until the process says that it has noticed: the first time "stopping", the second "cutting off". */
  static async interrupt({ process: child }: Running, word: 'stopping' | 'cutting off'): Promise<void> {
    const noticed = new Promise<void>((resolve) => {
      let said = ''
      child.stderr.on('data', (text: string) => {
        said += text
        if (said.includes(`${word}: `)) resolve()
      })
    })
    child.kill('SIGINT')
    await noticed
  }

  start(args: readonly string[], situation: Situation = {}): Running {
    const { variables = {}, node = process.execPath, launcher = join(ROOT, 'bin', 'thredd.js') } = situation
    const all: Record<string, string | undefined> = {
      PATH: process.env.PATH,
      HOME: join(this.folder, 'home'),
      THREDD_VAULT_DIR: 'vault',
      THREDD_OPERATOR: 'the tests',
      ...variables,
    }
    const env = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
    const child = spawn(node, [launcher, ...args], { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ stdout, stderr, code }))
    })
    return { process: child, ended }
  }

  /** The newest record; its shape is checked. */
  async record(): Promise<RunRecord> {
    return runRecord.parse(JSON.parse(await readFile(join(this.folder, 'reports', 'latest', 'record.json'), 'utf8')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
