import { defineConfig } from 'vitest/config'

// By Node itself: vite would bundle all that it leads to, at each start.
const source = new URL('src/vitest/index.ts', import.meta.url).href
const { flowProjects, flowReporter } = (await import(source)) as typeof import('./src/vitest/index.ts')

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/outside/**', 'node_modules/**'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 30_000,
        },
      },
      // Every flow, over both transports; with THREDD_ENV=uat on UAT too.
      ...flowProjects(),
    ],
    reporters: ['default', flowReporter()],
    // Most tests wait for sockets and processes; all cores keep the whole run within minutes.
    maxWorkers: '100%',
  },
})
