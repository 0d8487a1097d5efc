/** Three kinds of msw handler that msw's own `http` does not make. */
import { getResponse, HttpHandler, RequestHandler } from 'msw'
import type { Rule } from './rules.ts'

/**
 * A handler that the twin has already chosen by host, path and method. It matches everything, and makes neither the copy of the
 * request nor the abort signal that msw's own handlers make for each request: together they take longer than a short answer.
 * In place of the Request it is given the twin's call, which msw passes on unread.
 */
export class RouteHandler<Given extends object> extends RequestHandler {
  readonly #answer: (given: Given) => Promise<Response> | Response
  readonly #alone: [RequestHandler]

  constructor(name: string, answer: (given: Given) => Promise<Response> | Response) {
    super({ info: { header: name }, resolver: ({ request }) => answer(request as unknown as Given) })
    this.#answer = answer
    this.#alone = [this]
  }

  /** The answer, through msw like that of any handler. */
  respond(given: Given): Promise<Response | undefined> {
    return getResponse(this.#alone, given as unknown as Request)
  }

  override async run({ request, requestId }: Parameters<RequestHandler['run']>[0]): ReturnType<RequestHandler['run']> {
    return { handler: this, request, requestId, response: await this.#answer(request as unknown as Given) }
  }

  override predicate(): boolean {
    return true
  }

  override log(): void {}
}

/** Ends the connection of every request to one of `hosts`. Behind TLS the server ends the handshake already. */
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

/** Makes the server break a rule in one operation, for as long as it is in use. Answers nothing itself. */
export class BrokenRule extends HttpHandler {
  readonly rule: Rule
  readonly operation: string

  constructor(rule: Rule, operation: string) {
    super(
      /.+/,
      () => false,
      () => undefined,
    )
    this.rule = rule
    this.operation = operation
  }
}
