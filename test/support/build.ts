/** The command line is tested as users have it: bundled. Built before the tests where a file is newer than it. */
import { globSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'
import config from '../../rolldown.config.ts'

const cwd = fileURLToPath(new URL('../..', import.meta.url))
/** What goes into the bundles; folders too, since they tell of files that are gone. */
const SOURCES = ['src', 'mocks', 'flows', 'fixtures/!(pki)', 'rolldown.config.ts', 'package-lock.json']

export default async function setup(): Promise<void> {
  const [built] = timesOf(['dist/cli.js'])
  const newest = Math.max(...timesOf(SOURCES.flatMap((one) => [one, `${one}/**`])))
  if (built === undefined || newest >= built) await build(config)
}

function timesOf(globs: readonly string[]): number[] {
  return globSync(globs, { cwd }).map((path) => statSync(new URL(path, new URL('../..', import.meta.url))).mtimeMs)
}
