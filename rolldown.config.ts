import type { BuildOptions } from 'rolldown'

/** One bundle with lazy parts: what a command does not use is not loaded. Sources stay readable; start-up is the reason. */
export default {
  input: { cli: 'src/cli/main.ts' },
  platform: 'node',
  output: {
    dir: 'dist',
    format: 'esm',
    cleanDir: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  },
} satisfies BuildOptions
