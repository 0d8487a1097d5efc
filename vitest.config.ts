import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/outside/**', 'node_modules/**'],
    globalSetup: ['test/support/build.ts'],
    // Most tests wait for sockets and processes; all cores keep the whole run within minutes.
    maxWorkers: '100%',
    testTimeout: 30_000,
  },
})
