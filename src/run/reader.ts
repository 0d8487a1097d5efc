/** Reads one client at its registration_client_uri, for commands that ask the server what has become of it. */
import type { Environment } from '../environment/index.ts'
import { loadAuthorities, loadIdentity } from '../identity/certificate.ts'
import { identityOf } from '../plan/identity.ts'
import { fail } from '../record/errors.ts'
import type { Probe } from '../vault/index.ts'
import type { Caller } from './caller.ts'
import { connect, proxyOf, usesTwin } from './connect.ts'

/** With the environment's transport certificate. The embedded twin has no clients outside a run and cannot be asked. */
export async function openReader(
  environment: Environment,
  { version, proxy }: Pick<Caller, 'version' | 'proxy'>,
): Promise<AsyncDisposable & { readonly probe: Probe }> {
  if (usesTwin(environment)) {
    fail({
      code: 'TWIN',
      message: `environment "${environment.name}" is of class mock: no server has its clients once a run has ended`,
      hint: 'start one that stays, with thredd mock, and name its environment file',
    })
  }
  const identity = identityOf({ identity: 'transport', source: 'authorization' }, environment)
  const spec = environment.identities.get(identity)
  const [loaded, authorities] = await Promise.all([
    spec === undefined ? undefined : loadIdentity(spec, new Date()),
    environment.ca === undefined ? [] : loadAuthorities(environment.ca),
  ])
  const transport = connect(environment, {
    identities: new Map(loaded === undefined ? [] : [[identity, loaded.identity]]),
    authorities,
    proxy: proxyOf(proxy),
    counterparty: undefined,
  })
  return {
    probe: async (url, token) => {
      const headers = [
        ['accept', 'application/json'],
        ['user-agent', `thredd-dcr/${version}`],
        ['authorization', `Bearer ${token.reveal()}`],
      ] as const
      const delivery = await transport.send(
        { method: 'GET', url, headers },
        { identity, timeoutMs: environment.timeoutMs, signal: new AbortController().signal },
      )
      return delivery.kind === 'failed'
        ? { kind: 'failed', problem: delivery.problem }
        : {
            kind: 'answered',
            status: delivery.answer.status,
            body: delivery.answer.body,
            coding: delivery.answer.headers.find(([name]) => name.toLowerCase() === 'content-encoding')?.[1],
          }
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
