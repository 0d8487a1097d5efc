/** Ctrl-C while the program is at work on an answer that is as large as an answer may be: the run ends as it always does. */
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/record/limits.ts'
import { type Person, person } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))
/** Milliseconds: a machine with much other work takes a minute for seconds of it. */
const LONGEST = 300_000
/** What the answer of the twin holds itself is far less than the rest. */
const MOST = LIMITS.jsonItems.value - 500

const HEAVY: Readonly<Record<string, () => object>> = {
  'members in secret slots': () =>
    Object.fromEntries(many(MOST, (index) => [`part_${index}_secret`, `${index}-kq8Zw9aaBBccDDeeFF`])),
  'nine MiB of text': () => ({ note: 'Zq7R t9LmW2pYk4 '.repeat(9 * 2 ** 16) }),
  'slots within each other': () => {
    let value: unknown = many(200, (index) => `x9Lq-${index}-WmTz4`)
    for (let level = 0; level < 90; level += 1) value = { token: value }
    return { value: many(150, () => value) }
  },
  'archives at every place': () => ({ note: 'H4sI'.repeat(60_000) }),
  'one secret of nine MiB': () => ({ client_secret: 'Zq7Rt9LmW2pYk4'.repeat(9 * 2 ** 16) }),
  'many scopes': () => ({ scopes: many(MOST, (index) => `scope.${index}`) }),
}

const CASES = [
  ...Object.keys(HEAVY).map((what) => ['readClient', what] as const),
  ['registerClient', 'members in secret slots'] as const,
]

test.each(CASES)(
  'Ctrl-C when the answer to %s has come with %s: the client is deleted',
  async (operation, what) => {
    const who = await person()
    const came = answerHeavily(who, operation, HEAVY[what]?.() ?? {})
    const running = who.start('run', 'lifecycle')
    await came()

    running.process.kill('SIGINT')
    const { code } = await running.ended

    const { exitCode, workflows } = await who.cli.record()
    expect([code, exitCode]).toEqual([3, 3])
    expect(workflows.map(({ status, error }) => [status, error?.code])).toEqual([['errored', 'INTERRUPTED']])
    expect(who.network.changes()).toEqual(['POST 201', 'DELETE 204'])
    expect(who.network.twin.state.clients.has(CLIENT_ID)).toBe(false)
    expect((await who.vault().ledger()).map(({ state }) => state)).toEqual(['deleted'])
  },
  LONGEST,
)

/** From now on the operation is answered with these members too. Returns a wait until all of such an answer has left the twin. */
function answerHeavily({ network }: Person, operation: string, more: object): () => Promise<void> {
  const answered = Promise.withResolvers<number>()
  network.twin.use(
    http.all(
      ({ request }) => network.twin.operationOf(request) === operation,
      async ({ request }) => {
        const response = await network.twin.pass(request)
        const text = JSON.stringify({ ...((await response.json()) as object), ...more })
        answered.resolve(network.passedOn() + text.length)
        const headers = [...response.headers].filter(([name]) => name !== 'content-length')
        return new HttpResponse(text, { status: response.status, headers })
      },
    ),
  )
  return async () => {
    const bytes = await answered.promise
    await expect.poll(network.passedOn, { interval: 5 }).toBeGreaterThan(bytes)
  }
}
