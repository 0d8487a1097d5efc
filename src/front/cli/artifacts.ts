/** Files made of stored records. */
import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { line } from '../../record/foreign.ts'
import { type Artifacts, createArtifacts } from '../../report/artifacts.ts'
import { Redactor } from '../../secret/index.ts'

/** The secrets of the run are gone with it; its record holds none. */
export async function artifactsIn(folder: string, write: (text: string) => void): Promise<Artifacts> {
  const redactor = new Redactor(randomBytes(32))
  const warn = (text: string) => write(line`warning ${text}\n`)
  return await createArtifacts(dirname(folder), basename(folder), { redactor, warn })
}
