import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/outside/**', 'node_modules/**'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 20_000,
  },
})
