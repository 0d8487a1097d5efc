/** How this program is called where the user is: a command that a person copies must be found by the shell. */
import { existsSync } from 'node:fs'
import { delimiter, dirname, join, sep } from 'node:path'
import { shellWord } from '../../record/hints.ts'
import type { Program } from './command.ts'

/** The text with the commands in it as they work here: `thredd`, `npx thredd`, or the launcher by its path. */
export function calledHere(text: string, program: Pick<Program, 'root' | 'here' | 'variables'>): string {
  return text.replace(/(?<![\w./-])thredd (?=[a-z])/g, `${nameHere(program)} `)
}

function nameHere({ root, here, variables }: Pick<Program, 'root' | 'here' | 'variables'>): string {
  // npx and npm put the folders of the project before the user's own.
  const own = (variables.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  if (own.some((folder) => folder !== '' && isIn(folder))) return 'thredd'
  const isInstalled =
    `${here}${sep}`.startsWith(`${root}${sep}`) ||
    parentsOf(here).some((folder) => isIn(join(folder, 'node_modules', '.bin')))
  return isInstalled ? 'npx thredd' : `node ${shellWord(join(root, 'bin', 'thredd.js'))}`
}

function isIn(folder: string): boolean {
  return ['thredd', 'thredd.cmd'].some((name) => existsSync(join(folder, name)))
}

function parentsOf(folder: string): readonly string[] {
  const parent = dirname(folder)
  return parent === folder ? [folder] : [folder, ...parentsOf(parent)]
}
