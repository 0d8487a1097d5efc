import { defineConfig } from 'vitest/config'

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
    // Most tests wait for sockets and processes; all cores keep the whole run within minutes.
    maxWorkers: '100%',
  },
})

function tests(name: string, include: string[]) {
  // Nothing here changes its process, so files share one: loading everything anew for each took a fifth of the time.
  const globalSetup = ['test/support/build.ts']
  // Long: no limit is there to judge a machine that has other work to do.
  const limits = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000 } } }
  return { test: { name, include, globalSetup, isolate: false, ...limits } }
}
