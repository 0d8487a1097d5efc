/** A project of a customer that depends on this package and on vitest. */
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Cli, ROOT } from './cli.ts'

export async function projectWith(
  files: Readonly<Record<string, string>>,
  install: (folder: string) => void = installLinked,
): Promise<Cli> {
  const project = await Cli.make({
    'package.json': '{ "type": "module", "devDependencies": { "thredd-dcr": "*" } }',
    ...files,
  })
  const modules = join(project.folder, 'node_modules')
  mkdirSync(modules)
  install(join(modules, 'thredd-dcr'))
  symlinkSync(join(ROOT, 'node_modules', 'vitest'), join(modules, 'vitest'))
  return project
}

/** As npm installs a folder. */
function installLinked(folder: string): void {
  symlinkSync(ROOT, folder)
}

/** As npm installs a tarball: nothing but what is packed, and no dependency. */
export function installPacked(folder: string): void {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: readonly string[] }
  for (const name of ['package.json', ...files]) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
}
