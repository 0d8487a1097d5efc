/** Finds what is documented at an address: the operations of its host and path, whatever their method. */
import { RouteHandler } from './handler.ts'
import { apiRoutes } from './handlers/apis.ts'
import { authorizationRoutes } from './handlers/authorization.ts'
import { directoryRoutes } from './handlers/directory.ts'
import { directoryApiRoutes } from './handlers/directory-api.ts'
import { keystoreRoutes } from './handlers/keystore.ts'
import { hostOf, MTLS_DIRECTORY } from './hosts.ts'
import type { Call, Route } from './route.ts'
import type { Switches } from './switches.ts'

/** The order does not matter: at most one route matches a path and method. */
const ROUTES = [...directoryRoutes, ...directoryApiRoutes, ...keystoreRoutes, ...authorizationRoutes, ...apiRoutes].map(
  (route: Route) => ({ route, handler: new RouteHandler<Call>(route.operation, (call) => route.handle(call)) }),
)

/** A parsed address and the routes that match its host and path. */
export interface Target {
  readonly url: URL
  /** the address as it is logged: without the values of its query */
  readonly printed: string
  readonly matches: readonly Match[]
}

export interface Match {
  readonly route: Route
  readonly handler: RouteHandler<Call>
  readonly params: Call['params']
}

export interface Router {
  /** The documented operations, each with the hosts that offer it. */
  readonly operations: ReadonlyMap<string, readonly string[]>
  /** Undefined where the text is no address that a web request can have. */
  targetOf(address: string): Target | undefined
}

export function createRouter(switches: Switches): Router {
  const offered = ROUTES.flatMap(({ route, handler }) =>
    route.hosts.map((host) => ({ host: answeringHost(host, switches), route, handler })),
  )
  const byHost = Map.groupBy(offered, ({ host }) => host)
  const byOperation = Map.groupBy(offered, ({ route }) => route.operation)
  return {
    operations: new Map(
      [...byOperation].map(([operation, list]) => [operation, [...new Set(list.map(({ host }) => host))]]),
    ),
    targetOf(address) {
      const url = URL.parse(address)
      // https://fetch.spec.whatwg.org/#dom-request: a URL with a user or password is refused.
      if (url === null || url.username !== '' || url.password !== '') return undefined
      const matches = (byHost.get(url.hostname) ?? []).flatMap(({ route, handler }) => {
        const match = route.path.exec(url.pathname)
        return match === null ? [] : [{ route, handler, params: { ...match.groups } }]
      })
      return { url, printed: withoutValues(address), matches }
    },
  }
}

/** A switch decides which host answers for the directory's API. */
function answeringHost(host: string, { directoryApiHost }: Switches): string {
  return directoryApiHost === 'matls-auth' && hostOf(host)?.server === 'directory-api' ? MTLS_DIRECTORY : host
}

/** The address as sent, with the names of its query only: a token in a query must not get into a log (RFC 6750 5.3). */
function withoutValues(address: string): string {
  if (!address.includes('?')) return address
  const [path, query = ''] = address.split('?', 2)
  return `${path}?${query.replace(/=[^&]*/g, '=…')}`
}
