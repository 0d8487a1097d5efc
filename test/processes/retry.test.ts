/** Ctrl-C while a run waits before it calls again. */
import { expect, test } from 'vitest'
import { Cli } from '../support/cli.ts'
import { localFiles, makeLocalPki, writeLocalFiles } from '../support/local.ts'
import { startHttps } from '../support/servers.ts'

test('Ctrl-C during a wait before a retry ends the run at once, with 3 and a record', async () => {
  const pki = await makeLocalPki()
  await using server = await startHttps(pki.server, (_, response) => response.writeHead(503).end())
  const step = {
    stepId: 'call',
    operationId: 'status',
    'x-dcr': { identity: 'none' },
    onFailure: [{ name: 'again', type: 'retry', retryAfter: 100, retryLimit: 9 }],
  }
  await using cli = await Cli.make()
  await writeLocalFiles(cli.folder, localFiles(pki, { port: server.port, steps: [step] }))
  const running = cli.start(['run', 'own'])
  await new Promise<void>((resolve) => {
    let said = ''
    running.process.stdout.on('data', (text: string) => {
      said += text
      if (said.includes('call: retry 1 in 100.0 s')) resolve()
    })
  })

  running.process.kill('SIGINT')

  const { stdout, code } = await running.ended
  expect(code).toBe(3)
  expect(stdout).toContain('INTERRUPTED')
  expect((await cli.record()).workflows).toMatchObject([{ status: 'errored', error: { code: 'INTERRUPTED' } }])
  expect(server.requests).toHaveLength(1)
})
