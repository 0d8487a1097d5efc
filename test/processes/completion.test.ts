/** Completion in a real shell; a shell that is not installed is skipped, with the reason. */
import { execFileSync, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/front/cli/commands.ts'
import { Cli } from '../support/cli.ts'

const isThere = (shell: string) => spawnSync(shell, ['--version']).error === undefined

/** What bash offers for the last word. */
async function offered(cli: Cli, ...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await cli.run(['completion', 'bash'])
  const script = `${stdout}
COMP_WORDS=(thredd "$@"); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _thredd
[ \${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`
  const said = execFileSync('bash', ['-c', script, 'bash', ...words], { cwd: cli.folder, encoding: 'utf8' })
  return said.split('\n').filter((line) => line !== '')
}

test.skipIf(!isThere('bash'))('bash completes commands, flags, words, flows and environments', async () => {
  await using cli = await Cli.make({ 'flows/my-own.arazzo.yaml': '', 'a file': '' })

  expect(await offered(cli, '')).toEqual(Object.keys(COMMANDS))
  expect(await offered(cli, 'ver')).toEqual(['verify'])
  expect(await offered(cli, 'run', '--dry')).toEqual(['--dry-run'])
  expect(await offered(cli, 'run', 'my')).toEqual(['my-own'])
  expect(await offered(cli, 'run', 'life')).toEqual(['lifecycle'])
  expect(await offered(cli, 'vault', 'rot')).toEqual(['rotate-key'])
  expect(await offered(cli, 'list', '--env', 'u')).toEqual(['uat'])
  expect(await offered(cli, 'verify', 'a')).toEqual(['a file'])
})

test.each(['zsh', 'fish'])('%s reads its script without an error', async (shell) => {
  await using cli = await Cli.make()
  const { stdout, code } = await cli.run(['completion', shell])

  expect(code).toBe(0)
  for (const name of Object.keys(COMMANDS)) expect(stdout).toContain(name)
  await cli.write('script', stdout)
  if (isThere(shell)) execFileSync(shell, ['-n', 'script'], { cwd: cli.folder })
})

test('another shell is refused in a sentence', async () => {
  await using cli = await Cli.make()

  const { code, stderr } = await cli.run(['completion', 'tcsh'])

  expect(code).toBe(2)
  expect(stderr).toContain('thredd completion bash, or zsh, or fish')
})
