/**
 * Runs Arazzo documents with the runner of Redocly: files as arguments, one JSON object on standard output that names each
 * file's outcome: passed, failed, or refused with the reason.
 */
import { readFile } from 'node:fs/promises'
import { createConfig } from '@redocly/openapi-core'
import { run } from '@redocly/respect-core/run'

const silent = {
  info() {},
  warn() {},
  error() {},
  output() {},
  printNewLine() {},
  indent: (text) => text,
  printSeparator() {},
}
const config = await createConfig({})
const outcomes = {}
for (const file of process.argv.slice(2)) {
  try {
    const [result] = await run({
      files: [file],
      config,
      maxSteps: 100,
      maxFetchTimeout: 10_000,
      requestFileLoader: { getFileBody: async (path) => new Blob([await readFile(path)]) },
      logger: silent,
      fetch,
      skipLint: true,
    })
    outcomes[file] = result.hasProblems ? 'failed' : 'passed'
  } catch (error) {
    outcomes[file] = `refused: ${String(error?.message ?? error).split('\n')[0]}`
  }
}
process.stdout.write(JSON.stringify(outcomes))
// The runner leaves timers behind.
process.exit(0)
