/** A person with an environment "uat" whose hosts are the twin's: the real command line, killed, stopped or cut off in the middle. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { HttpResponse, http } from 'msw'
import { onTestFinished } from 'vitest'
import type { Fault } from '../../mocks/index.ts'
import type { Switches } from '../../mocks/switches.ts'
import { shellWord } from '../../src/record/hints.ts'
import { Vault } from '../../src/vault/vault.ts'
import { Cli, type Ended, ROOT, type Situation } from './cli.ts'
import { type Network, startNetwork } from './network.ts'
import { CLIENT_ID } from './twin.ts'

export type Person = Awaited<ReturnType<typeof person>>

export const CONFIRM = ['--confirm', CLIENT_ID]

/** A person's folder with an environment "uat" whose hosts are the twin's. */
export async function person(switches: Partial<Switches> = {}) {
  const network = await startNetwork(switches)
  const cli = await Cli.make({ '.env.uat': network.environment })
  onTestFinished(async () => {
    await network[Symbol.asyncDispose]()
    await cli[Symbol.asyncDispose]()
  })
  const situation: Situation = { variables: network.variables }
  return {
    network,
    cli,
    start: (...args: string[]) => cli.start([...args, '--env', 'uat'], situation),
    thredd: (...args: string[]) => cli.run([...args, '--env', 'uat'], situation),
    vault: () =>
      new Vault({
        folder: join(cli.folder, 'vault'),
        key: network.vaultKey,
        environment: 'uat',
        now: () => new Date(),
      }),
  }
}

export function spoil({ twin }: Network, ...faults: readonly Fault[]): void {
  for (const fault of faults) twin.use(...fault.handlers(twin))
}

/** From now on the operation is answered only when `release` is called; it takes effect before that, or never. */
export function hold({ twin }: Network, operation: string, takesEffect = true) {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  onTestFinished(() => released.resolve())
  let arrivals = 0
  twin.use(
    http.all(
      ({ request }) => twin.operationOf(request) === operation,
      async ({ request }) => {
        arrivals += 1
        const response = takesEffect ? await twin.pass(request) : HttpResponse.error()
        arrived.resolve()
        await released.promise
        return response
      },
    ),
  )
  return { arrived: arrived.promise, release: () => released.resolve(), arrivals: () => arrivals }
}

/** A run that is killed while it waits for the answer of this operation. */
export async function killedAt(who: Person, operation: string, takesEffect = true): Promise<void> {
  const held = hold(who.network, operation, takesEffect)
  const running = who.start('run', 'lifecycle')
  await held.arrived
  running.process.kill('SIGKILL')
  await running.ended
  held.release()
  who.network.twin.reset()
}

/** A PATH on which `thredd` is found. */
export async function installed(cli: Pick<Cli, 'write' | 'folder'>): Promise<{ readonly PATH: string }> {
  await cli.write(
    'bin/thredd',
    `#!/bin/sh\nexec ${shellWord(process.execPath)} ${shellWord(join(ROOT, 'bin', 'thredd.js'))} "$@"\n`,
  )
  await chmod(join(cli.folder, 'bin', 'thredd'), 0o755)
  return { PATH: `${join(cli.folder, 'bin')}:${process.env.PATH}` }
}

/** The line as it is copied into a terminal, where the client id is typed when it is asked for. */
export async function shell(
  { cli, network }: Pick<Person, 'cli' | 'network'>,
  line: string,
  variables: Readonly<Record<string, string | undefined>> = {},
) {
  const env = {
    ...network.variables,
    ...variables,
    ...(await installed(cli)),
    HOME: join(cli.folder, 'home'),
    THREDD_VAULT_DIR: 'vault',
  }
  const child = spawn('script', ['-qec', line, '/dev/null'], { cwd: cli.folder, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (text.includes('Type its client id')) child.stdin.write(`${CLIENT_ID}\n`)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { stdout, stderr, code } satisfies Ended
}
