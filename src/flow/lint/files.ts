/** Which files lint reads: the named files, and the flows below the named folders. */
import { existsSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { nearest, type Problem } from '../../record/errors.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { textIfReadable } from '../../record/regular-file.ts'

export interface Located {
  readonly files: readonly string[]
  readonly problems: readonly Problem[]
}

/** Without an argument, or for a name without a path, searches `flows/` in each of `folders`; the first match wins. */
export async function locate(words: readonly string[], folders: readonly string[]): Promise<Located> {
  const problems: Problem[] = []
  const files = new Set<string>()
  const here = folders[0] ?? '.'
  const flows = folders.map((folder) => join(folder, 'flows')).find(existsSync)
  const wanted = words.length > 0 ? words : [flows ?? join(here, 'flows')]
  for (const word of wanted) {
    const path = resolve(here, word)
    const named = flows === undefined ? undefined : join(flows, `${word}.arazzo.yaml`)
    if (existsSync(path)) {
      const found = statSync(path).isDirectory() ? await flowsBelow(path) : [path]
      if (found.length === 0) {
        problems.push({
          code: 'FLOW_FILE',
          message: `there is no flow below "${path}"`,
          expected: '*.arazzo.yaml, *.arazzo.yml, *.arazzo.json, or a file with a member "arazzo"',
        })
      }
      for (const file of found) files.add(file)
    } else if (named !== undefined && !/[\\/]|\.(?:ya?ml|json)$/.test(word) && existsSync(named)) files.add(named)
    else {
      const known = flows === undefined ? [] : (await flowsBelow(flows)).map((file) => basename(file, '.arazzo.yaml'))
      const meant = nearest(basename(word, '.arazzo.yaml'), known)
      problems.push({
        code: 'FLOW_FILE',
        message: `there is no file, folder or flow "${word}"`,
        hint: meant === undefined ? 'check the path' : `did you mean "${meant}"?`,
      })
    }
  }
  return { files: [...files].sort(), problems }
}

/** A folder nested deeper, or with more files, is not one of flows. */
const DEEPEST = FILE_LIMITS.lintedDepth.value
const MOST_FILES = FILE_LIMITS.lintedFiles.value
/** A flow is not longer; the same bound as for reading one. */
const LARGEST = FILE_LIMITS.flowCharacters.value

/** Symbolic links to folders, hidden folders and installed packages are passed over. */
async function flowsBelow(folder: string): Promise<string[]> {
  const found: string[] = []
  let seen = 0
  for (let open = [folder], depth = 0; open.length > 0 && depth < DEEPEST; depth++) {
    const next: string[] = []
    for (const parent of open) {
      for (const entry of await readdir(parent, { withFileTypes: true })) {
        const path = join(parent, entry.name)
        if (entry.isDirectory()) {
          if (!entry.name.startsWith('.') && entry.name !== 'node_modules') next.push(path)
        } else if (++seen <= MOST_FILES && /\.(?:ya?ml|json)$/.test(entry.name) && (await isFlow(path)))
          found.push(path)
      }
    }
    open = next
  }
  return found
}

async function isFlow(file: string): Promise<boolean> {
  if (/\.arazzo\.(?:ya?ml|json)$/.test(file)) return true
  const { size, isFile } = stats(file)
  if (!isFile || size > LARGEST) return false
  const text = textIfReadable(file)
  if (!text.includes('arazzo')) return false
  if (/^\uFEFF?\s*\{/.test(text)) return hasMember(text)
  return /^\uFEFF?(?:arazzo|"arazzo"|'arazzo')\s*:/m.test(text)
}

function stats(file: string): { readonly size: number; readonly isFile: boolean } {
  const found = statSync(file, { throwIfNoEntry: false })
  return { size: found?.size ?? 0, isFile: found?.isFile() ?? false }
}

function hasMember(text: string): boolean {
  try {
    const data: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof data === 'object' && data !== null && Object.hasOwn(data, 'arazzo')
  } catch {
    // Not JSON, but perhaps meant as a flow: reading it says what is wrong.
    return /^\s*"arazzo"\s*:/m.test(text)
  }
}
