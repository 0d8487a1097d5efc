/** Passphrases, from a file or from a person. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { fail } from '../../record/errors.ts'
import { readTextFile, whyUnread } from '../../record/regular-file.ts'
import { Secret } from '../../secret/index.ts'
import type { Program } from './command.ts'

/** In bytes. */
const LARGEST_PASSPHRASE = 1024 * 1024

type Terminal = Pick<Program, 'stdin' | 'warn'>

/** As `readPassphrase`, of what is to be encrypted: a person types it twice, since a slip would lock it for good. */
export async function readNewPassphrase(question: string, file: string | undefined, at: Terminal): Promise<Secret> {
  const passphrase = await readPassphrase(question, file, at)
  if (file === undefined && (await readPassphrase('passphrase again: ', file, at)).reveal() !== passphrase.reveal())
    fail({ code: 'USAGE', message: 'the two passphrases differ; nothing was written', hint: 'run it again' })
  return passphrase
}

/** The first line of a file, or what a person types without echo. */
export async function readPassphrase(
  question: string,
  file: string | undefined,
  { stdin, warn }: Terminal,
): Promise<Secret> {
  if (file !== undefined) return new Secret(passphraseIn(file), 'passphrase')
  if (!stdin.isTTY) {
    fail({ code: 'USAGE', message: 'no terminal to ask for the passphrase', expected: '--passphrase-file <file>' })
  }
  warn(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: true })
  try {
    return new Secret(await lines.question(''), 'passphrase')
  } finally {
    lines.close()
    warn('\n')
  }
}

/** Its first line. */
function passphraseIn(file: string): string {
  try {
    return readTextFile(file, LARGEST_PASSPHRASE).split(/\r?\n/)[0] ?? ''
  } catch (cause) {
    return fail({ code: 'USAGE', message: `--passphrase-file "${file}" cannot be read: ${whyUnread(cause)}` }, cause)
  }
}
