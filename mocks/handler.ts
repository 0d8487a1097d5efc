/** The two kinds of msw handler that msw's own `http` does not make. They know neither routes nor answers. */
import { getResponse, HttpHandler, RequestHandler } from 'msw'

/**
 * Answers whatever it is given: the twin has found it by host and path. So it need not match again, and as it reports
 * nothing, it makes neither the copy of the request nor the abort signal that msw's own handlers make each time; these two
 * cost more than all the rest of a short answer. For the same reason what it is given need not be a Request yet: msw hands
 * it on unread.
 */
export class RouteHandler<Given extends object> extends RequestHandler {
  readonly #answer: (given: Given) => Promise<Response> | Response
  readonly #alone: [RequestHandler]

  constructor(name: string, answer: (given: Given) => Promise<Response> | Response) {
    super({ info: { header: name }, resolver: ({ request }) => answer(request as unknown as Given) })
    this.#answer = answer
    this.#alone = [this]
  }

  /** What answers, asked by msw as it asks any handler. */
  respond(given: Given): Promise<Response | undefined> {
    return getResponse(this.#alone, given as unknown as Request)
  }

  override async run({ request, requestId }: Parameters<RequestHandler['run']>[0]) {
    return { handler: this, request, requestId, response: await this.#answer(request as unknown as Given) }
  }

  override predicate(): boolean {
    return true
  }

  override log(): void {}
}

/** Ends the connection of a request to one of `hosts`; a server that sees the handshake ends that already. */
export class HandshakeRefusal extends HttpHandler {
  readonly hosts: readonly string[]

  constructor(hosts: readonly string[]) {
    super(
      /.+/,
      ({ request }) => hosts.includes(new URL(request.url).hostname),
      () => Response.error(),
    )
    this.hosts = hosts
  }
}
