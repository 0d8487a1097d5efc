/** Reads one client at its registration_client_uri, for commands that ask the server what has become of it. */
import type { Environment } from '../environment/index.ts'
import { type Identity, loadAuthorities, loadIdentity } from '../identity/certificate.ts'
import { identityOf } from '../plan/identity.ts'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import type { Probe } from '../vault/index.ts'
import type { Caller } from './caller.ts'
import { connect, proxyOf, usesTwin } from './connect.ts'
import { thumbprintOf } from './credentials.ts'

/** With the certificate that a token was issued to, where the environment has it, else with its transport certificate. The embedded twin has no clients outside a run and cannot be asked. */
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
  const usual = usualOf(environment)
  const [{ identities }, authorities] = await Promise.all([
    identitiesOf(environment, usual),
    environment.ca === undefined ? [] : loadAuthorities(environment.ca),
  ])
  const transport = connect(environment, { identities, authorities, proxy: proxyOf(proxy), counterparty: undefined })
  const thumbprint = (name: string) => thumbprintIn(identities, name)
  const isOnly = environment.identities.size <= 1
  return {
    probe: async (url, token, wanted) => {
      const headers = [
        ['accept', 'application/json'],
        ['user-agent', `thredd-dcr/${version}`],
        ['authorization', `Bearer ${token.reveal()}`],
      ] as const
      const identity = withThumbprint(identities, usual, wanted) ?? usual
      const delivery = await transport.send(
        { method: 'GET', url, headers },
        { identity, timeoutMs: environment.timeoutMs, signal: new AbortController().signal },
      )
      return delivery.kind === 'failed'
        ? { kind: 'failed', problem: delivery.problem }
        : {
            kind: 'answered',
            status: delivery.answer.status,
            headers: delivery.answer.headers,
            body: delivery.answer.body,
            coding: delivery.answer.headers.find(([name]) => name.toLowerCase() === 'content-encoding')?.[1],
            presented: { identity, thumbprint: thumbprint(identity), isOnly },
          }
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

/** The identity that the authorization server is shown, and the one that has the certificate of this thumbprint. */
export async function identityWith(
  environment: Environment,
  wanted: string | undefined,
): Promise<{
  readonly usual: string
  /** undefined where none that can be loaded has it */
  readonly identity: string | undefined
  readonly unloaded: Loaded['unloaded']
}> {
  const usual = usualOf(environment)
  if (wanted === undefined) return { usual, identity: usual, unloaded: new Map() }
  const { identities, unloaded } = await identitiesOf(environment, usual)
  return { usual, identity: withThumbprint(identities, usual, wanted), unloaded }
}

function usualOf(environment: Environment): string {
  return identityOf({ identity: 'transport', source: 'authorization' }, environment)
}

function withThumbprint(identities: ReadonlyMap<string, Identity>, usual: string, wanted: string | undefined) {
  return [usual, ...identities.keys(), 'none'].find((name) => thumbprintIn(identities, name) === wanted)
}

function thumbprintIn(identities: ReadonlyMap<string, Identity>, name: string): string {
  const identity = identities.get(name)
  return identity === undefined ? 'none' : thumbprintOf(identity)
}

interface Loaded {
  readonly identities: ReadonlyMap<string, Identity>
  /** why, by name */
  readonly unloaded: ReadonlyMap<string, Problem>
}

/** A client may have been registered with any of them. One that cannot be loaded is left out, but for the usual one. */
async function identitiesOf(environment: Environment, usual: string): Promise<Loaded> {
  const unloaded = new Map<string, Problem>()
  const loading = [...environment.identities].map(async ([name, spec]): Promise<[string, Identity][]> => {
    try {
      return [[name, (await loadIdentity(spec, new Date())).identity]]
    } catch (error) {
      if (name === usual || !(error instanceof ToolError)) throw error
      unloaded.set(name, error.problems[0])
      return []
    }
  })
  return { identities: new Map((await Promise.all(loading)).flat()), unloaded }
}
