/** Which folder holds the user's files: environment files, flows, reports and the vault. */
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { readTextFile } from '../record/regular-file.ts'

const PACKAGE = 'thredd-dcr'

/**
 * The nearest folder, from `start` upwards, whose package.json is this package's or depends on it, or that holds `.vault`;
 * without one, `start`. The search ends with a repository's root and before the home folder or a folder of another owner, so
 * that nothing above the user's own work is taken for it. A folder inside node_modules is never one: an upgrade deletes it.
 */
export function projectFolder(start: string, { home }: { readonly home: string }): string {
  const from = outsideModules(start)
  const owner = ownerOf(from)
  for (let folder = from; ; folder = dirname(folder)) {
    if (folder === home || ownerOf(folder) !== owner) return from
    if (isProject(folder)) return folder
    if (existsSync(join(folder, '.git')) || dirname(folder) === folder) return from
  }
}

/** The folder of a package, of this one by default, as a project reaches it: a link or a folder in node_modules, of the project or above it. */
export function installedFolder(project: string, name = PACKAGE): string | undefined {
  for (let folder = project; ; folder = dirname(folder)) {
    const installed = join(folder, 'node_modules', name)
    if (existsSync(join(installed, 'package.json'))) return installed
    if (dirname(folder) === folder) return undefined
  }
}

/** Where what belongs to `folder` may be written: there, or in the project where `folder` is of an installed package. */
export function placeToWrite(folder: string, project: string): string {
  return outsideModules(folder) === folder ? folder : project
}

function isProject(folder: string): boolean {
  if (basename(folder) !== '.vault' && existsSync(join(folder, '.vault'))) return true
  try {
    const parsed: unknown = JSON.parse(readTextFile(join(folder, 'package.json')))
    const { name, ...rest } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>
    return (
      name === PACKAGE ||
      ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].some(
        (kind) => typeof rest[kind] === 'object' && rest[kind] !== null && PACKAGE in rest[kind],
      )
    )
  } catch {
    return false
  }
}

function outsideModules(folder: string): string {
  const parts = folder.split(sep)
  const at = parts.indexOf('node_modules')
  return at < 0 ? folder : parts.slice(0, at).join(sep) || sep
}

/** undefined where it cannot be read, and on systems without owners it is 0 everywhere */
function ownerOf(folder: string): number | undefined {
  return statSync(folder, { throwIfNoEntry: false })?.uid
}
