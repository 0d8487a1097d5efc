/** `thredd verify`: who signed an evidence pack, and whether it is whole and unchanged. Reads nothing but the pack. */
import { relative, resolve } from 'node:path'
import { fail } from '../../record/errors.ts'
import { line } from '../../record/foreign.ts'
import { verifyPack } from '../../report/pack.ts'
import type { Invocation, Program } from './command.ts'

/**
 * Exit code: 0 for a pack that is whole and signed by the key that was asked for, 1 for one that was changed, 3 for one that is
 * whole but was checked without --signer: anyone can make a key, and sign a pack with it.
 */
export async function performVerify(
  invocation: Invocation,
  { here, write }: Pick<Program, 'here' | 'write'>,
): Promise<number> {
  const [pack, ...rest] = invocation.words
  if (pack === undefined || rest.length > 0)
    return fail({ code: 'USAGE', message: 'thredd verify takes one evidence pack, a folder or a zip archive' })
  const kid = invocation.text('signer')
  const { problems, manifest, signer } = await verifyPack(resolve(here, pack), { kid })
  const name = relative(here, resolve(here, pack)) || '.'
  // Before any text of the pack, which its maker chose: a line of it could look like this one.
  write(signer === undefined ? 'the signature is not valid\n' : line`signed by ${signer.kid} (${signer.alg})\n`)
  if (problems.length > 0) {
    write([line`${name} is not what was signed\n`, ...problems.map((problem) => line`  ${problem}\n`)].join(''))
    return 1
  }
  const { runId, verdict, createdAt, counts, files, accepted = [] } = manifest
  const inWords = (group: Readonly<Record<string, number>>) =>
    Object.entries(group)
      .filter(([, number]) => number > 0)
      .map(([status, number]) => `${number} ${status}`)
      .join(', ')
  write(line`${name} is whole and unchanged: ${files.length} files\n`)
  write(line`run ${runId}, ${verdict}, packed ${createdAt}\n`)
  if (accepted.length > 0) write(line`accepted deviations: ${accepted.length} (${accepted.join(', ')})\n`)
  write(line`steps: ${inWords(counts.steps) || 'none'}; checks: ${inWords(counts.checks) || 'none'}\n`)
  if (kid !== undefined) return 0
  // With "=", since one fingerprint in 64 begins with "-".
  write(
    line`compare the key with the one that the maker of the pack names elsewhere; if it is the same: thredd verify ${name} --signer=${signer?.kid}\n`,
  )
  return 3
}
