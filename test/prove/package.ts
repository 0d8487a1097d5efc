/**
 * The package as a dependency: packs it, installs the tarball into empty projects and does there what docs/how-to/as-a-dependency.md
 * says, by real processes: once with Node 24 alone, once with the older Node of the machine where there is one. Fails where a
 * command does otherwise than said, and where anything below node_modules has changed. Packages come from npm's cache or the
 * registry that is configured on the machine.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ROOT } from '../support/cli.ts'

const LONGEST_MS = 240_000
const { version, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const TARBALL = `thredd-dcr-${version}.tgz`
/** What the project has beside this package, at the versions of the tests, so that npm's cache has them. */
const BESIDE = ['vitest', 'msw', 'typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`)
/** Where vitest and vite, not this package, keep their caches. */
const OF_VITEST = /^node_modules\/\.(?:vite|vite-temp|vitest-cache)\//

/** PATH without the programs of this repository. */
const PLAIN_PATH = (process.env.PATH ?? '').split(delimiter).filter((one) => !/[\\/]node_modules[\\/]/.test(one))
/** The same after the Node that runs this file. */
const WITH_NODE = [dirname(process.execPath), ...PLAIN_PATH].join(delimiter)

interface Expected {
  /** default: 0; null where a signal ends it */
  readonly code?: number | null
  /** what stdout and stderr together must say */
  readonly says?: RegExp
  /** the process is ended by SIGINT once it has said this */
  readonly until?: RegExp
}

interface Place {
  readonly folder: string
  /** the folders of PATH that hold Node and npm */
  readonly path: string
}

let failures = 0

async function prove(): Promise<number> {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'thredd-package-')))
  try {
    const packed = await run({ folder: ROOT, path: WITH_NODE }, 'npm', ['pack', '--pack-destination', base])
    if (packed.code !== 0) return report('npm pack', packed, {})
    await onNode24({ folder: await emptyProject(base, 'node-24'), path: WITH_NODE })
    await onOlderNode(base)
  } finally {
    await rm(base, { recursive: true, force: true })
  }
  process.stdout.write(failures === 0 ? 'the package works as a dependency\n' : `${failures} failed\n`)
  return failures === 0 ? 0 : 1
}

async function onNode24(place: Place): Promise<void> {
  process.stdout.write(`Node ${process.version} alone\n`)
  const installed = await check(place, 'npm', ['install', '--save-dev', '--ignore-scripts', `../${TARBALL}`, ...BESIDE])
  if (!installed) return
  const before = modulesOf(place)
  const npx = async (args: readonly string[], expected: Expected) => await check(place, 'npx', args, expected)

  await npx(['thredd', '--version'], { says: new RegExp(`^${version.replaceAll('.', '\\.')}$`, 'm') })
  const licences = readFileSync(join(place.folder, 'node_modules/thredd-dcr/dist/LICENCES.txt'), 'utf8')
  const libraries = ['undici', 'jose', 'zod', 'yaml', 'json-p3', 're2js', 'msw', '@peculiar/x509']
  const named = libraries.filter((one) => licences.includes(`\n${one} `) || licences.startsWith(`${one} `))
  say(named.length === libraries.length, 'the licences of the libraries come along', named.join(', '))
  await npx(['thredd', 'list'], { says: /^✓ register /m })
  await npx(['thredd', 'run', 'register'], { says: /^conformant /m })
  await npx(['thredd', 'doctor'], { says: /^0 to mend/m })
  await npx(['thredd', 'completion', 'bash'], { says: /^_thredd\(\)/m })
  await npx(['thredd', 'mock', '--port', '0'], { code: null, until: /listens on https:/, says: /^stopped$/m })
  await npx(['thredd', 'run', 'register', '--env', 'node_modules/thredd-dcr/.env.mock'], { says: /^conformant /m })
  await initialised(place)
  await typed(place)

  unchanged(place, before)
}

/** `thredd init`, and each command that it prints as the next one. */
async function initialised(place: Place): Promise<void> {
  await check(place, 'npx', ['thredd', 'init', '--dry-run'], { says: /^nothing was written$/m })
  say(!existsSync(join(place.folder, 'flows')), 'a dry run writes nothing')
  const { stdout, ...ended } = await run(place, 'npx', ['thredd', 'init'])
  report('npx thredd init', { stdout, ...ended }, { says: /^vitest\.config\.mts$/m })
  const next = [...stdout.matchAll(/^next: (.*)$/gm)].map(([, command = '']) => command)
  say(next.length === 3, 'it names three commands', stdout)
  for (const command of next) {
    // Certificates and ids of the environment are not there.
    await check(place, 'sh', ['-c', command], / doctor /.test(command) ? { code: 1, says: /to mend/ } : {})
  }
  const made = ['flows/ready-to-register.arazzo.yaml', 'vitest.config.mts', '.env.uat.local']
  const texts = () => made.map((file) => readFileSync(join(place.folder, file), 'utf8')).join('\0')
  await writeFile(join(place.folder, made[0] ?? ''), `${texts().split('\0')[0]}# mine\n`)
  const before = texts()
  await check(place, 'npx', ['thredd', 'init'])
  say(texts() === before, 'a second init changes nothing')
  await check(place, 'npx', ['thredd', 'run', 'ready-to-register'], { says: /^conformant /m })
}

const PROGRAM = `import { setupServer } from 'msw/node'
import { createTwin, ensurePki, HOSTS, threddHandlers } from 'thredd-dcr/mocks'
import { type FlowReporterOptions, flowProjects, flowReporter } from 'thredd-dcr/vitest'

const options: FlowReporterOptions = { formats: ['md', 'har'] }
const pki = await ensurePki('fixtures/pki', { hosts: HOSTS })
const twin = createTwin({ pki, switches: { scopeMode: 'strict' } })
setupServer(...threddHandlers(twin)).listHandlers()
console.log(flowProjects({ include: ['flows/*.arazzo.yaml'] }).length, typeof flowReporter(options))
`

/** A program in TypeScript: its types with both ways of resolution, wrong ones too, and that it runs. */
async function typed(place: Place): Promise<void> {
  await writeFile(join(place.folder, 'program.mts'), PROGRAM)
  await writeFile(join(place.folder, 'wrong.mts'), PROGRAM.replace("'strict'", "'soft'").replace("'har'", "'pdf'"))
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ] as const) {
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--types', 'node', '--target', 'es2024']
    const compile = ['tsc', ...options, '--module', module, '--moduleResolution', resolution]
    await check(place, 'npx', [...compile, '--lib', 'es2024,esnext.disposable', 'program.mts'])
    const wrong = { code: 1, says: /(?:TS2322[\s\S]*){2}/ }
    await check(place, 'npx', [...compile, '--lib', 'es2024,esnext.disposable', 'wrong.mts'], wrong)
  }
  await check(place, 'node', ['program.mts'], { says: /^2 object$/m })
}

/** What npm brings along for a machine whose own Node is older, and what is said where it brings nothing. */
async function onOlderNode(base: string): Promise<void> {
  const path = PLAIN_PATH.join(delimiter)
  const { stdout } = await run({ folder: base, path }, 'node', ['--version'])
  if (!/^v(?:20|22)\./.test(stdout)) {
    process.stdout.write(`skipped: the Node of this machine is ${stdout.trim() || 'not there'}, and not 20 or 22\n`)
    return
  }
  process.stdout.write(`Node ${stdout.trim()} of the machine\n`)
  const without = { folder: await emptyProject(base, 'without'), path }
  await check(without, 'npm', ['install', '--save-dev', '--omit=optional', `../${TARBALL}`])
  await check(without, 'npx', ['thredd', 'list'], { code: 2, says: /^thredd needs Node 24 or newer; this is v2/m })
  const place = { folder: await emptyProject(base, 'with'), path }
  await check(place, 'npm', ['install', '--save-dev', `../${TARBALL}`])
  if (!existsSync(join(place.folder, 'node_modules', 'node', 'bin', 'node'))) {
    process.stdout.write('skipped: npm brought no Node 24 along\n')
    return
  }
  const before = modulesOf(place)
  await check(place, 'npx', ['thredd', 'run', 'register'], { says: /^conformant /m })
  unchanged(place, before)
}

async function emptyProject(base: string, name: string): Promise<string> {
  const folder = join(base, name)
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
  return folder
}

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
}

async function check(
  place: Place,
  command: string,
  args: readonly string[],
  expected: Expected = {},
): Promise<boolean> {
  return report([command, ...args].join(' '), await run(place, command, args, expected.until), expected) === 0
}

/** 0 where it ended as expected. */
function report(what: string, { stdout, stderr, code }: Ended, { code: wanted = 0, says }: Expected): number {
  const said = `${stdout}${stderr}`
  return say(code === wanted && (says?.test(said) ?? true), what, `exit code ${code}\n${said}`)
}

function say(isAsExpected: boolean, what: string, otherwise = ''): number {
  process.stdout.write(isAsExpected ? `passed ${what}\n` : `FAILED ${what}\n${otherwise}\n`)
  if (!isAsExpected) failures += 1
  return isAsExpected ? 0 : 1
}

/** In a process group of its own, which ends with it, at the latest after LONGEST_MS. */
async function run(place: Place, command: string, args: readonly string[], until?: RegExp): Promise<Ended> {
  const child = spawn(command, args, {
    cwd: place.folder,
    env: variables(place),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const end = (signal: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal)
  }
  const timer = setTimeout(() => end('SIGKILL'), LONGEST_MS)
  let [stdout, stderr, isEnding] = ['', '', false]
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (until?.test(stdout) !== true || isEnding) return
    isEnding = true
    end('SIGINT')
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return await new Promise((resolve) => {
    const finish = (code: number | null) => {
      clearTimeout(timer)
      resolve({ stdout, stderr, code })
    }
    child.once('error', ({ message }) => {
      stderr += message
      finish(null)
    })
    child.once('close', finish)
  })
}

/** Those of this process, without what npm sets for the script that it runs and for the folder it runs in. */
function variables({ path }: Place): NodeJS.ProcessEnv {
  const own =
    /^(?:npm_(?!config_(?:cache|registry|userconfig|globalconfig|.*proxy)$)|INIT_CWD$|NODE_OPTIONS$|VITEST|THREDD_)/
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name))
  const npm = { npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false', npm_config_fund: 'false' }
  return { ...Object.fromEntries(kept), ...npm, PATH: path, NO_COLOR: '1' }
}

function unchanged(place: Place, before: ReadonlySet<string>): void {
  const after = modulesOf(place)
  const different = [...new Set([...before, ...after])].filter((line) => !before.has(line) || !after.has(line))
  say(different.length === 0, 'nothing below node_modules has changed', different.join('\n'))
}

/** Every file below node_modules: its path, its time, the SHA-256 of its content; and every link with its aim. */
function modulesOf({ folder }: Place): Set<string> {
  const lines = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
    .map((entry) => [entry, join(entry.parentPath, entry.name).slice(folder.length + 1)] as const)
    .filter(([, name]) => !OF_VITEST.test(name))
    .flatMap(([entry, name]) => {
      const file = join(folder, name)
      if (entry.isSymbolicLink()) return [`${name} -> ${readlinkSync(file)}`]
      return entry.isFile() ? [`${name} ${statSync(file).mtimeMs} ${hashOf(file)}`] : []
    })
  return new Set(lines)
}

function hashOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

process.exitCode = await prove()
