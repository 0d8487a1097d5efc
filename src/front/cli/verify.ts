/** `thredd verify`: whether an evidence pack is whole and unchanged, and who signed it. Reads nothing but the pack. */
import { relative, resolve } from 'node:path'
import { fail } from '../../record/errors.ts'
import { verifyPack } from '../../report/pack.ts'
import type { Invocation, Program } from './command.ts'

/** Resolves to 0 for a pack that is whole and unchanged, to 1 for any other. */
export async function performVerify(
  invocation: Invocation,
  { here, write }: Pick<Program, 'here' | 'write'>,
): Promise<number> {
  const [pack, ...rest] = invocation.words
  if (pack === undefined || rest.length > 0)
    return fail({ code: 'USAGE', message: 'thredd verify takes one evidence pack, a folder or a zip archive' })
  const kid = invocation.text('signer')
  const { problems, files, runId, verdict, createdAt, signer } = await verifyPack(resolve(here, pack), { kid })
  const name = relative(here, resolve(here, pack)) || '.'
  if (problems.length > 0) {
    write(`${name} is not what was signed\n${problems.map((problem) => `  ${problem}`).join('\n')}\n`)
    return 1
  }
  write(
    [
      `${name} is whole and unchanged: ${files} files`,
      `run ${runId}, ${verdict}, packed ${createdAt}`,
      `signed by ${signer?.kid} (${signer?.alg})`,
      ...(kid === undefined ? ['compare that key with the one its maker names, or give it as --signer'] : []),
      '',
    ].join('\n'),
  )
  return 0
}
