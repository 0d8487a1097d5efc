import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BuildOptions, Plugin } from 'rolldown'
import { isolatedDeclarationSync } from 'rolldown/experimental'
import { compile, compiledFile } from './src/flow/document/compiled.ts'
import { readDocument } from './src/flow/document/document.ts'

const VITEST = 'src/front/vitest/index.ts'

/** The flows and API descriptions of this package as data. */
const documents: Plugin = {
  name: 'documents',
  async generateBundle() {
    for (const file of globSync('flows/**/*.yaml')) {
      const document = await readDocument(file, 'document', undefined, { exactNumbers: file.endsWith('.arazzo.yaml') })
      this.emitFile({ type: 'asset', fileName: compiledFile(document.sha256), source: compile(document) })
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

/**
 * undici as far as it is used: loading all of it (mocks, caches, fetch, web sockets) takes longer than a call. The client is for
 * proxies, and its `connect` one of the methods that the package gives its dispatchers.
 */
const undici: Plugin = {
  name: 'undici',
  load: (id) =>
    /[\\/]undici[\\/]index\.js$/.test(id)
      ? `exports.Agent = require('./lib/dispatcher/agent')
         Object.defineProperty(exports, 'Client', {
           get() {
             Object.assign(require('./lib/dispatcher/dispatcher').prototype, require('./lib/api'))
             return require('./lib/dispatcher/client')
           },
         })`
      : undefined,
}

/** The licences of the libraries that are in the bundle: each asks to stand beside what it allows to be passed on. */
const licences: Plugin = {
  name: 'licences',
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? Object.keys(part.modules) : []))
    const folders = modules.flatMap((id) => /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id)?.[0] ?? [])
    const texts = [...new Set(folders)].sort().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      if (typeof license !== 'string') this.error(`${name} is in the bundle and does not say its licence`)
      const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one))
      const text =
        file === undefined
          ? 'It comes without the text of its licence.'
          : readFileSync(join(folder, file), 'utf8').trim()
      return `${name} ${version} (${license})\n\n${text}\n`
    })
    this.emitFile({ type: 'asset', fileName: 'LICENCES.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) })
  },
}

/** Bundles with lazy parts: what a command does not use is not loaded. Sources stay readable; start-up is the reason. */
export default {
  input: { cli: 'src/front/cli/main.ts', vitest: VITEST, mocks: 'mocks/index.ts' },
  platform: 'node',
  plugins: [documents, types, undici, licences],
  output: {
    dir: 'dist',
    format: 'esm',
    cleanDir: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  },
} satisfies BuildOptions
