/** The command line is tested as users have it: bundled. Built once before the tests, so that it is never stale. */
import { build } from 'rolldown'
import config from '../../rolldown.config.ts'

export default async function setup(): Promise<void> {
  await build(config)
}
