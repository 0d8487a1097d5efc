/** Writes a file whole or not at all, never where a link leads that lies under its name. */
import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'

/** What was there under the name, a link too, is replaced. @throws an error of the file system */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const part = `${file}.${randomUUID()}.part`
  try {
    await writeFile(part, text, { mode, flag: 'wx' })
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
