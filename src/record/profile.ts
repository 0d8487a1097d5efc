/** What Thredd's profile fixes where the standards leave a choice: defaults of settings, by the name of the input that reads them, and levels of criteria. */
import profile from '../../fixtures/requirements/profile.json' with { type: 'json' }

export const PROFILE = profile.settings

/** By the name that a criterion gives as levelOf. */
export const LEVELS = profile.levels as Readonly<Record<string, 'must' | 'should' | 'policy'>>

/** The value where it follows from the address of a server, which `servers` has by its name in lower case. */
export function fromServers(inputName: string, servers: ReadonlyMap<string, string>): string | undefined {
  const written = Object.hasOwn(PROFILE, inputName) ? PROFILE[inputName as keyof typeof PROFILE] : ''
  const [, name = ''] = /\{server_(\w+)\}/.exec(written) ?? []
  const server = servers.get(name)
  return server === undefined ? undefined : written.replace(`{server_${name}}`, () => server)
}
