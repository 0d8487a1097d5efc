/** Passphrases that a person types. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { readNewPassphrase, readPassphrase } from '../../src/front/cli/passphrase.ts'

/** A terminal at which somebody answers each question with the next of `lines`. */
function terminalOf(lines: readonly string[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  const asked: string[] = []
  const left = [...lines]
  const warn = (text: string) => {
    if (text === '\n') return
    asked.push(text)
    setImmediate(() => stdin.write(`${left.shift()}\r`))
  }
  return { at: { stdin: stdin as unknown as NodeJS.ReadStream, warn }, asked }
}

test('a new passphrase is typed twice, and a slip writes nothing', async () => {
  const same = terminalOf(['correct horse', 'correct horse'])
  const slip = terminalOf(['correct horse', 'corect horse'])

  const passphrase = await readNewPassphrase('passphrase: ', undefined, same.at)

  expect(passphrase.reveal()).toBe('correct horse')
  expect(same.asked).toEqual(['passphrase: ', 'passphrase again: '])
  await expect(readNewPassphrase('passphrase: ', undefined, slip.at)).rejects.toThrow('the two passphrases differ')
})

test('one that opens something is typed once', async () => {
  const { at, asked } = terminalOf(['correct horse'])

  expect((await readPassphrase('passphrase: ', undefined, at)).reveal()).toBe('correct horse')
  expect(asked).toHaveLength(1)
})
