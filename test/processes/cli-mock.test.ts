/** `thredd mock` and `thredd run` as two processes, as somebody uses them who tests his own service. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Cli } from '../support/cli.ts'

test.for(['SIGINT', 'SIGTERM'] as const)(
  'a twin in another process is registered at, remembers it, and stops on %s',
  async (signal) => {
    await using cli = await Cli.make({})
    const twin = cli.start(['mock', '--port', '0', '--out', 'twin'])
    let said = ''
    twin.process.stdout.on('data', (text: string) => (said += text))
    while (!said.includes('run flows against it with')) {
      if (twin.process.exitCode !== null) throw new Error(`the twin ended: ${said}`)
      await sleep(20)
    }
    const environment = /--env (\S+)/.exec(said)?.[1] ?? ''

    const first = await cli.run(['run', 'register', '--env', environment])
    const second = await cli.run(['run', 'register', '--env', environment, '--register-again'])
    twin.process.kill(signal)
    await once(twin.process, 'close')
    const { code, stdout } = await twin.ended

    // Thredd, whom this twin stands for, was not asked for the metadata.
    expect(first).toMatchObject({ code: 4, stderr: '' })
    expect(first.stdout).toContain('kept in the vault')
    // One application has one client: the server knows it already.
    expect(second.code).toBe(1)
    expect(second.stdout).toContain('✗ register')
    expect(code).toBe(0)
    expect(stdout).toMatch(/201 POST \S+\/oauth2\/register \[CN=\S+\] .+/)
    expect(stdout).toMatch(/400 POST \S+\/oauth2\/register \[CN=\S+\] .+/)
    expect(stdout.trim().endsWith('stopped')).toBe(true)
  },
)

test('the help of the twin lists every switch and fault of its tables', async () => {
  await using cli = await Cli.make({})
  const { SWITCHES, FAULTS } = await import('../../mocks/index.ts')

  const { stdout } = await cli.run(['mock', '--help'])

  for (const name of [...Object.keys(SWITCHES), ...Object.keys(FAULTS)])
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
})

test.each([
  ['--switch', 'scopemode=strict', 'scopeMode'],
  ['--fault', 'answer-los', 'answer-lost'],
  ['--fault', 'answer-lost:registerclient', 'registerClient'],
])('%s %s is refused with the name that was meant', async (flag, value, meant) => {
  await using cli = await Cli.make({})

  const { code, stderr } = await cli.run(['mock', flag, value, '--port', '0'])

  expect(code).toBe(2)
  expect(stderr).toContain(`did you mean "${meant}"?`)
})
