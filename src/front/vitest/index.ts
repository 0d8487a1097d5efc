/**
 * The vitest front end for a configuration: projects in which flow files are test files, and a reporter that writes the same files
 * as `thredd run`.
 */
import { randomUUIDv7 } from 'node:crypto'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin, TestProjectInlineConfiguration } from 'vitest/config'
import type { Reporter, Vitest } from 'vitest/node'
import type { Problem } from '../../record/errors.ts'
import type { FlowTests, Settings } from './tests.ts'

export interface FlowProjectsOptions {
  /** globs of flow files (default: flows/ and all folders in it); what lies in a folder "parts" is never one */
  readonly include?: readonly string[]
  /** a name or path as of `--env`; its project has that name (default: THREDD_ENV; without it there is none) */
  readonly environment?: string
}

/**
 * The projects of a vitest configuration that run flow files: `offline` on the twin in this process, `mtls` on the twin
 * with a client certificate, and one for the named environment, in which only flows that are named on the command line may
 * change something.
 */
export function flowProjects(options: FlowProjectsOptions = {}): TestProjectInlineConfiguration[] {
  const { include = ['flows/**/*.arazzo.yaml'], environment = process.env.THREDD_ENV ?? '' } = options
  const project = (name: string, settings: ProjectSettings): TestProjectInlineConfiguration => ({
    plugins: [flows(settings)],
    test: {
      name,
      include: [...include],
      exclude: [...EXCLUDED],
      // One application has one client: where it is real, flows wait for each other.
      fileParallelism: settings.twin !== undefined,
      // No flow leaves anything in the worker that could affect the next one.
      isolate: false,
      // The bundle is complete: vite has nothing to transform in it.
      ...(SELF.endsWith('.js') && { server: { deps: { external: [join(SELF, '..')] } } }),
    },
  })
  const named = environment === '' || environment === 'mock' ? undefined : environment
  return [
    project('offline', { environment: 'mock', twin: 'twin-in-process' }),
    project('mtls', { environment: 'mock', twin: 'twin' }),
    ...(named === undefined ? [] : [project(basename(named).replace(/^\.env\./, ''), { environment: named })]),
  ]
}

export interface FlowReporterOptions {
  /** the reports folder (default: reports) */
  readonly out?: string
  /** files to write beside record, HTML and JUnit: "md", "ctrf", "har" */
  readonly formats?: readonly ('md' | 'ctrf' | 'har')[]
}

/** A vitest reporter that writes the same files as `thredd run`, a folder for each project. */
export function flowReporter({ out = 'reports', formats }: FlowReporterOptions = {}): Reporter {
  let vitest: Vitest | undefined
  return {
    onInit: (started) => {
      vitest = started
    },
    onTestRunEnd: async (modules) => {
      if (vitest === undefined) return
      const { report } = await import('./reporter.ts')
      const { config, logger } = vitest
      const projects = vitest.projects.map(({ name }) => name)
      await report(modules, { projects, root: config.root, out, formats, log: (text) => logger.log(text) })
    },
  }
}

/** For the test modules that flow files become. @internal */
export async function flowTests(settings: Settings): Promise<FlowTests> {
  const { FlowTests } = await import('./tests.ts')
  return new FlowTests(settings)
}

/** For the test modules of files that are not flows. @internal */
export async function flowProblems(problems: readonly Problem[], settings: Settings): Promise<Error> {
  return (await import('./tests.ts')).errorOf(problems, settings)
}

/** As vitest has it, and what flows share: that runs as a step of them and never alone. */
const EXCLUDED = ['**/node_modules/**', '**/.git/**', '**/parts/*.arazzo.yaml']

type ProjectSettings = Pick<Settings, 'environment' | 'twin'>

const FLOW = /\.arazzo\.yaml$/

const SELF = fileURLToPath(import.meta.url)

function flows(project: ProjectSettings): Plugin {
  const runId = randomUUIDv7()
  let settingsOf: ((file: string) => Settings) | undefined
  return {
    name: 'thredd-flows',
    async configureVitest({ vitest, defineCacheKeyGenerator }) {
      endOnSignal(vitest)
      const { root: folder, watch } = vitest.config
      const root = packageFolder(SELF)
      const { accountName, provenanceOf, versionOf } = await import('../provenance.ts')
      const tool = {
        version: versionOf(root),
        provenance: await provenanceOf(root, process.env, { account: accountName() }),
      }
      // While watching, each run has an id of its own.
      const known = { ...project, ...tool, folder, root, runId: watch ? undefined : runId }
      settingsOf = (file) => ({ ...known, file, isNamed: isNamed(file, vitest) })
      // The text of a flow's module depends on the command line too, so it is not cached.
      defineCacheKeyGenerator(({ id }) => (FLOW.test(id) ? false : undefined))
    },
    transform: {
      filter: { id: FLOW },
      async handler(_, file) {
        if (settingsOf === undefined) return undefined
        const { moduleOf } = await import('./module.ts')
        const { code, files } = await moduleOf(settingsOf(file), SELF)
        for (const other of files) this.addWatchFile(other)
        return { code, map: null }
      },
    },
  }
}

/** Whether the command line names the flow, by whole name or path as for `thredd run`. While watching no flow counts as named, so that saving a file changes no client. */
function isNamed(file: string, vitest: Vitest): boolean {
  const { filenamePattern = [] } = vitest as { readonly filenamePattern?: readonly string[] }
  const name = basename(file).replace(FLOW, '')
  return !vitest.config.watch && filenamePattern.some((one) => one === name || resolve(one) === file)
}

const listening = new WeakSet<Vitest>()

/** On a signal vitest would end at once. Here the run is cancelled first, so that its `finally` steps run; a second signal ends the process. */
function endOnSignal(vitest: Vitest): void {
  if (listening.has(vitest)) return
  listening.add(vitest)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const others = process.listeners(signal)
    process.removeAllListeners(signal)
    process.once(signal, async () => {
      for (const other of others) process.once(signal, other)
      await vitest.cancelCurrentRun('keyboard-input')
      process.exitCode = 130
      await vitest.exit(true)
    })
  }
}

/** The folder of the package, both for src/front/vitest and for dist. */
function packageFolder(self: string): string {
  return self.endsWith('.ts') ? resolve(self, '../../../..') : join(self, '../..')
}
