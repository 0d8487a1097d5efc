import { globSync, readFileSync } from 'node:fs'
import type { BuildOptions, Plugin } from 'rolldown'
import { isolatedDeclarationSync } from 'rolldown/experimental'
import { readDocument } from './src/flow/document/document.ts'

const VITEST = 'src/front/vitest/index.ts'

/** The API descriptions of this package as data: to parse them takes longer than the calls that they describe. */
const documents: Plugin = {
  name: 'documents',
  async generateBundle() {
    for (const file of globSync('flows/apis/*.yaml')) {
      const { sha256, data } = await readDocument(file, 'API description')
      this.emitFile({ type: 'asset', fileName: `documents/${sha256}.json`, source: JSON.stringify(data) })
    }
  },
}

/** What TypeScript must know of the package's entry. */
const types: Plugin = {
  name: 'types',
  generateBundle() {
    const { code } = isolatedDeclarationSync(VITEST, readFileSync(VITEST, 'utf8'), { stripInternal: true })
    this.emitFile({ type: 'asset', fileName: 'vitest.d.ts', source: code })
  },
}

/** Bundles with lazy parts: what a command does not use is not loaded. Sources stay readable; start-up is the reason. */
export default {
  input: { cli: 'src/front/cli/main.ts', vitest: VITEST, mocks: 'mocks/index.ts' },
  platform: 'node',
  plugins: [documents, types],
  output: {
    dir: 'dist',
    format: 'esm',
    cleanDir: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  },
} satisfies BuildOptions
