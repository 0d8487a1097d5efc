/**
 * Compares opening a vault with opening the lines of its log by hand: read the file, decipher each line with node:crypto, parse
 * it. Processor time, each time in a new process, in turns.
 * `node bench/vault.ts [--turns 9] [--lives 120]`; a life of a client is POST, PUT and DELETE: seven lines.
 */
import { execFile } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { Vault } from '../src/vault/vault.ts'

const KEY = new Uint8Array(Buffer.from('a key of the bench, thirty-two b'))
const CLIENT_ID = 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639-cdeb-425b-a310-450d3d293fd4'
const URI = 'https://localhost/oauth2/register/client'

const CONTESTANTS = {
  vault: async (folder: string) => void (await vaultIn(folder).current(CLIENT_ID)),
  'by hand': async (folder: string) => {
    const [, ...lines] = (await readFile(join(folder, 'bench.log'), 'latin1')).split('\n').slice(0, -1)
    for (const line of lines) JSON.parse(opened(line))
  },
}
type Name = keyof typeof CONTESTANTS

const { values, positionals } = parseArgs({
  options: { turns: { type: 'string', default: '9' }, lives: { type: 'string', default: '120' } },
  allowPositionals: true,
})
const [contestant, place = ''] = positionals
if (contestant === undefined) await compare(Number(values.turns), Number(values.lives))
else {
  const before = process.cpuUsage()
  await CONTESTANTS[contestant as Name](place)
  const { user, system } = process.cpuUsage(before)
  console.log((user + system) / 1000)
}

async function compare(turns: number, lives: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
  try {
    const { lines, bytes } = await filled(folder, lives)
    const used: Record<Name, number[]> = { vault: [], 'by hand': [] }
    for (let turn = 0; turn < turns; turn += 1) {
      for (const name of Object.keys(used) as Name[]) {
        const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), name, folder])
        used[name].push(Number(stdout))
      }
    }
    const [vault, byHand] = [median(used.vault), median(used['by hand'])]
    const each = `${vault.toFixed(0)} ms of processor, by hand ${byHand.toFixed(0)} ms`
    console.log(`a log of ${lines + 1} lines, ${bytes} bytes, opened: ${each}; ratio ${(vault / byHand).toFixed(2)}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Answers are as large as the documented sample. */
async function filled(folder: string, lives: number): Promise<{ readonly lines: number; readonly bytes: number }> {
  const sample = await readFile(new URL('../fixtures/thredd/dcr-response-2024-08.json', import.meta.url), 'utf8')
  const body = (token: string) =>
    JSON.stringify({
      ...JSON.parse(sample),
      ...{ client_id: CLIENT_ID, registration_access_token: token, registration_client_uri: URI },
    })
  const vault = vaultIn(folder)
  for (let life = 0; life < lives; life += 1) {
    for (const [effect, status, text] of [
      ['register', 201, body(`first ${life}`)],
      ['update', 200, body(`second ${life}`)],
      ['delete', 204, ''],
    ] as const) {
      const about = { method: 'POST', url: URI, step: effect, runId: 'bench', clientId: CLIENT_ID }
      await using call = await vault.begin({ effect, ...about })
      await call.keep({ status, body: text })
      await call.close('answered')
      if (effect === 'register') await vault.worked(CLIENT_ID)
    }
  }
  const { lines } = await vault.check()
  await vault.close()
  return { lines, bytes: vault.size }
}

function vaultIn(folder: string): Vault {
  return new Vault({ folder, key: KEY, environment: 'bench', now: () => new Date() })
}

function opened(line: string): string {
  const [header = '', , vector = '', content = '', tag = ''] = line.split('.')
  const decipher = createDecipheriv('aes-256-gcm', KEY, Buffer.from(vector, 'base64url'))
    .setAAD(Buffer.from(header))
    .setAuthTag(Buffer.from(tag, 'base64url'))
  return decipher.update(content, 'base64url', 'utf8') + decipher.final('utf8')
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
