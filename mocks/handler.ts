/** Three kinds of msw handler that msw's own `http` does not make. */
import { getResponse, HttpHandler, RequestHandler } from 'msw'
import type { Answer } from './content.ts'
import type { Rule } from './rules.ts'

/**
 * A handler that the twin has already chosen by host, path and method. It matches everything, and makes neither the copy of the
 * request nor the abort signal that msw's own handlers make for each request: together they take longer than a short answer.
 * In place of the Request it is given the twin's call, and in place of a Response it gives the twin's answer: msw passes both on
 * unread.
 */
export class RouteHandler<Given extends object> extends RequestHandler {
  readonly #answer: (given: Given) => Promise<Answer> | Answer
  readonly #alone: [RequestHandler]

  constructor(name: string, answer: (given: Given) => Promise<Answer> | Answer) {
    super({ info: { header: name }, resolver: () => undefined })
    this.#answer = answer
    this.#alone = [this]
  }

  /** The answer, through msw like that of any handler. */
  respond(given: Given): Promise<Answer | undefined> {
    return getResponse(this.#alone, given as unknown as Request) as Promise<unknown> as Promise<Answer | undefined>
  }

  override async run({ request, requestId }: Parameters<RequestHandler['run']>[0]): ReturnType<RequestHandler['run']> {
    const answer: unknown = await this.#answer(request as unknown as Given)
    return { handler: this, request, requestId, response: answer as Response }
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
