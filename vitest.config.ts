import { enableCompileCache } from 'node:module'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// Types are stripped and modules compiled once, and not by each worker of each project.
process.env.NODE_COMPILE_CACHE ??= new URL('node_modules/.cache/modules', import.meta.url).pathname
enableCompileCache(process.env.NODE_COMPILE_CACHE)

// By Node itself: vite would bundle all that it leads to, at each start.
const source = new URL('src/front/vitest/index.ts', import.meta.url).href
const { flowProjects, flowReporter } = (await import(source)) as typeof import('./src/front/vitest/index.ts')

export default defineConfig({
  test: {
    projects: [
      tests('unit', ['test/*.test.ts', 'test/!(processes)/*.test.ts']),
      // Many processes each, started, stopped and killed: minutes of their own, by npm run prove:processes.
      tests('processes', ['test/processes/*.test.ts']),
      // Every flow, over both transports; with THREDD_ENV=uat on UAT too. Those of flows/conformance run by prove:conformance.
      ...flowProjects({ include: ['flows/*.arazzo.yaml'] }),
    ],
    reporters: ['default', flowReporter()],
    // Most tests wait for sockets and processes: one worker more than there are cores keeps all cores busy.
    maxWorkers: availableParallelism() + 1,
  },
})

function tests(name: string, include: string[]) {
  // Nothing here changes its process, so files share one: loading everything anew for each took a fifth of the time.
  const globalSetup = ['test/support/build.ts']
  // Long: no limit is there to judge a machine that has other work to do.
  const limits = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000 } } }
  // Node loads the files itself, as for a user: vite's loader rewrites each stack trace, a tenth of the time of all tests.
  const experimental = { viteModuleRunner: false, nodeLoader: false }
  return { test: { name, include, globalSetup, isolate: false, experimental, ...limits } }
}
