/**
 * Other people's clients against `thredd mock`: oauth4webapi, newman with the documented Postman requests and with an exported
 * flow, and curl, each in a process of its own, with both forms of registration_client_uri. `npm ci --prefix test/outside` comes first.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { serveMock } from '../../src/front/cli/mock.ts'

const OUTSIDE = fileURLToPath(new URL('../outside', import.meta.url))
const EXPORTED = 'register.postman_collection.json'
const FORMS = [
  ['raw', 'custom'],
  ['encoded', 'old'],
] as const

process.exitCode = await prove()

async function prove(): Promise<number> {
  if (!existsSync(join(OUTSIDE, 'node_modules'))) {
    process.stdout.write('the clients are not installed: npm ci --prefix test/outside\n')
    return 2
  }
  const folder = await mkdtemp(join(tmpdir(), 'thredd-clients-'))
  let failures = 0
  try {
    for (const [uriForm, uriHost] of FORMS) {
      process.stdout.write(`registration_client_uri ${uriForm}, on the ${uriHost} name\n`)
      const stop = new AbortController()
      let log = ''
      const ready = Promise.withResolvers<void>()
      const served = serveMock(
        { folder, port: '0', switches: [`uriForm=${uriForm}`, `uriHost=${uriHost}`] },
        {
          write(text) {
            log += text
            ready.resolve()
          },
          signal: stop.signal,
        },
      )
      await Promise.race([ready.promise, served])
      await exported(folder)
      for (const [name, command, args] of clients(folder)) {
        const missing = ['curl', 'openssl'].filter((tool) => name === 'curl' && !isInstalled(tool))
        if (missing.length > 0) {
          process.stdout.write(`skipped ${name}: ${missing.join(' and ')} is not installed\n`)
          continue
        }
        const before = log.length
        try {
          const { stdout } = await promisify(execFile)(command, args, { timeout: 60_000 })
          const told = name === 'curl' ? '' : stdout.trim().replace(/^/gm, '    ')
          process.stdout.write(`passed ${name}\n${told === '' ? '' : `${told}\n`}`)
        } catch (error) {
          failures += 1
          const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
          process.stdout.write(`FAILED ${name}\n${stdout}${stderr}what the twin saw:\n${log.slice(before)}`)
        }
      }
      stop.abort()
      await served
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return failures === 0 ? 0 : 1
}

function clients(folder: string): readonly (readonly [name: string, command: string, args: readonly string[]])[] {
  const at = (file: string) => join(OUTSIDE, 'clients', file)
  return [
    ['oauth4webapi', process.execPath, [at('oauth4webapi.js'), folder]],
    ['newman', process.execPath, [at('newman.js'), folder]],
    ['curl', join(folder, 'curl.sh'), []],
    // The last one, since it leaves its client registered.
    ['newman with the exported flow', process.execPath, [at('newman.js'), folder, join(folder, EXPORTED)]],
  ]
}

/** The flow register as a collection of Postman, for the twin that listens. */
async function exported(folder: string): Promise<void> {
  const thredd = fileURLToPath(new URL('../../bin/thredd.js', import.meta.url))
  const args = [
    'export',
    'postman',
    'register',
    '--env',
    join(folder, '.env.twin'),
    '--out',
    join(folder, EXPORTED),
    '--yes',
  ]
  await promisify(execFile)(process.execPath, [thredd, ...args], { timeout: 60_000 })
}

function isInstalled(tool: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((place) => existsSync(join(place, tool)))
}
