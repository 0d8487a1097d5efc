/**
 * One call that changes a registration, in a process of its own that can be killed: transport and vault in the order in
 * which a run uses them. It counts the moments at which it may die, and dies at the one it is told.
 */
import { readFileSync } from 'node:fs'
import { loadAuthorities, loadIdentity } from '../../src/identity.ts'
import { createTransport } from '../../src/transport/index.ts'
import { openVault } from '../../src/vault/index.ts'

export interface Job {
  readonly folder: string
  /** 32 bytes, hexadecimal */
  readonly key: string
  readonly clientId: string
  /** of the twin, on 127.0.0.1 */
  readonly port: number
  readonly caFile: string
  readonly certificateFile: string
  readonly keyFile: string
  readonly effect: 'register' | 'update' | 'delete' | 'race'
  readonly method: string
  /** default: the stored registration_client_uri, with the stored token */
  readonly url?: string
  readonly body?: string
  /** counts from 1; undefined: lives */
  readonly dieAt?: number
  /** names the tokens of a race */
  readonly name?: string
}

const ROUNDS = 100

if (import.meta.main) await perform(JSON.parse(readFileSync(0, 'utf8')) as Job)

async function perform(job: Job): Promise<void> {
  const seen: string[] = []
  const checkpoint = (name: string) => {
    seen.push(name)
    if (seen.length === job.dieAt) process.kill(process.pid, 'SIGKILL')
  }
  const vault = await openVault({
    folder: job.folder,
    key: Buffer.from(job.key, 'hex'),
    environment: 'mock',
    now: () => new Date(),
    checkpoint,
  })
  if (job.effect === 'race') {
    for (let round = 0; round < ROUNDS; round++) {
      const body = JSON.stringify({
        client_id: job.clientId,
        registration_access_token: `${job.name}${round}`,
        registration_client_uri: 'https://localhost/client',
      })
      const kept = await vault.keep({ body, status: 200, step: String(round), runId: job.name ?? '' })
      if (kept?.problem !== undefined) throw new Error(kept.problem.message)
    }
    return
  }

  await vault.prepare(job.clientId)
  checkpoint('prepared')
  const registration = await vault.current(job.clientId)
  const url = job.url ?? registration?.registrationClientUri ?? ''
  const token = job.effect === 'register' ? undefined : registration?.registrationAccessToken?.reveal()
  const { identity } = await loadIdentity(
    { name: 'transport', certificateFile: job.certificateFile, keyFile: job.keyFile },
    new Date(),
  )
  await using transport = createTransport({
    identities: new Map([['transport', identity]]),
    allowedHosts: new Set([new URL(url).host]),
    ca: await loadAuthorities(job.caFile),
    minTlsVersion: 'TLSv1.2',
    connectTo: () => ({ host: '127.0.0.1', port: job.port }),
    maxBodyBytes: 1024 * 1024,
  })

  const { effect, method, clientId } = job
  await using intent = await vault.begin({ effect, method, url, step: effect, runId: 'prove', clientId })
  process.stdout.write('begun\n')
  checkpoint('begun')
  const sending = transport.send(
    {
      method,
      url,
      headers: [
        ['accept', 'application/json'],
        ...(job.body === undefined ? [] : [['content-type', 'application/json'] as const]),
        ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as const]),
      ],
      body: job.body,
    },
    { identity: 'transport', timeoutMs: 10_000, signal: new AbortController().signal },
  )
  checkpoint('sending')
  const delivery = await sending
  checkpoint('answer arrived')
  if (delivery.kind === 'failed') {
    await intent.close(delivery.sent === 'no' ? 'not-sent' : 'unknown')
    throw new Error(delivery.problem.message)
  }
  await intent.keep({ status: delivery.answer.status, body: delivery.answer.body })
  checkpoint('kept')
  await intent.close('answered')
  checkpoint('closed')
  process.stdout.write(`${JSON.stringify({ status: delivery.answer.status, seen })}\n`)
}
