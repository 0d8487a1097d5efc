/**
 * `thredd vault import <folder>`: takes in all that the vault of another machine holds and this one does not. Events are never
 * replaced: of a client that both have, the newer registration and the newer token count, and the older ones stay with it.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { count } from '../../report/words.ts'
import type { Vault } from '../../vault/index.ts'
import type { VaultCall } from './vault-call.ts'

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

export async function importFolder(
  name: string,
  call: VaultCall & { readonly openFolder: (folder: string) => Vault },
): Promise<number> {
  const { vault, write, environment, folder, openFolder } = call
  const path = resolve(folder, name)
  const other = openFolder(path)
  try {
    const events = await other.events()
    for (const warning of (await other.check()).warnings) call.warn(line`warning ${warning}\n`)
    const { added, clients, changed, open } = await vault.difference(events)
    write(
      line`${name}: ${count(clients.length, 'client')} that this vault does not hold, ${count(open, 'open call')}\n`,
    )
    for (const clientId of changed)
      write(line`  ${clientId}: both have answers; by their times the newer token counts, and the others are kept\n`)
    if (added.length === 0) {
      write('nothing new\n')
      return 0
    }
    demandConfirmed(name, added.length, call)
    for (const warning of await vault.prepare()) call.warn(line`warning ${warning}\n`)
    await vault.merge(events)
    write(
      line`${added.length} entries taken into the vault of "${environment}"; "${name}" is as it was; prove the tokens: ${vault.command('checkTokens')}\n`,
    )
    return 0
  } finally {
    await other.close()
  }
}

/** Many clients at once are confirmed by the name of the environment, as is a new key. */
function demandConfirmed(name: string, added: number, { class: kind, environment, flags }: VaultCall): void {
  if (kind === 'mock' || flags.texts('confirm').includes(environment)) return
  fail({
    code: 'USAGE',
    message: `the import of "${name}" would add ${added} entries to the vault of "${environment}"; nothing was written`,
    expected: `--confirm ${environment}`,
    hint: 'read above what would be done, then repeat the command with --confirm',
  })
}
