/** What a person sees on screens of several widths, and while a step takes long. */
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { Console } from '../../src/front/cli/console.ts'
import { Printer } from '../../src/front/cli/printer.ts'
import { REAL_TICKER, SignOfLife, type Ticker } from '../../src/front/cli/sign-of-life.ts'
import { wrapped } from '../../src/front/cli/wrap.ts'
import { commandsFor, commandsIn, HINTS, type HintId } from '../../src/record/hints.ts'
import { runOnTwin } from '../support/run.ts'

/** A terminal of so many columns, or none, and what is written to it. */
function terminal(columns: number | undefined) {
  const written: string[] = []
  const stream = Object.assign(new PassThrough(), { isTTY: columns !== undefined, columns })
  return { stream, write: (text: string) => void written.push(text), text: () => written.join('') }
}

/** What the events of a run print on such a screen, without colours. */
function replayed(columns: number | undefined, { events, finished }: Awaited<ReturnType<typeof runOnTwin>>): string[] {
  const screen = terminal(columns)
  const console = new Console({ ...screen, detail: 'wire' })
  for (const event of events) console.show(event)
  console.summary(
    { ...finished.head, warnings: [...finished.head.warnings, WARNING] },
    `reports/${'a-long-folder-'.repeat(8)}/record.json`,
  )
  return stripVTControlCharacters(screen.text()).replaceAll('\r', '').split('\n')
}

const WARNING = `the vault holds a registration of a client that nobody knows; ${commandsFor(['--env', 'uat'])('askAfterRefusal', { client: 'https://rp.directory.sandbox.threddid.com/openid_relying_party/b9f04639' })} asks for its deletion`

/** A word, or a command that is there to be copied. */
function isUnbreakable(line: string): boolean {
  const text = line.trim()
  return !text.includes(' ') || commandsIn(text).some((command) => text === command || text === `${command},`)
}

test('no line is longer than the terminal but for a word or a command that cannot be broken', async () => {
  await using ran = await runOnTwin({ flows: ['register', 'read-registration'], settings: { SIGNING_ALG: 'RS256' } })

  for (const columns of [60, 100]) {
    const lines = replayed(columns, ran)
    expect(lines.filter((line) => line.length > columns && !isUnbreakable(line))).toEqual([])
    expect(lines.some((line) => line.trim() === commandsIn(WARNING)[0])).toBe(true)
  }
  const endless = replayed(undefined, ran)
  expect(endless.some((line) => line.includes(WARNING))).toBe(true)
  const row = (lines: readonly string[]) => lines.find((line) => / read-back /.test(line))?.replace(/\d+ ms/, '<ms>')
  expect([endless, replayed(100, ran), replayed(60, ran)].map(row)).toEqual([
    '  ✓ read-back                           GET    200  auth.uat.threddid.com                      <ms>  6 checks',
    '  ✓ read-back                           GET    200  <ms>  6 checks',
    '  ✓ read-back                           GET    200  6 checks',
  ])
})

test('a terminal that does not say how wide it is has 80 columns', () => {
  const screen = terminal(0)

  new Printer(screen).line('word '.repeat(40).trim())

  expect(
    Math.max(
      ...screen
        .text()
        .split('\n')
        .map((line) => line.length),
    ),
  ).toBe(79)
})

test('further lines are indented, and words keep their gaps', () => {
  expect(wrapped('   = a hint that is longer than the screen', 20)).toEqual([
    '   = a hint that is',
    '      longer than',
    '      the screen',
  ])
  expect(wrapped('\u001b[33mwarning\u001b[39m two  gaps stay', 20)).toEqual([
    '\u001b[33mwarning\u001b[39m two  gaps',
    '  stay',
  ])
})

test.each(Object.keys(HINTS) as HintId[])('the command of the hint %s is found whole in a sentence', (hint) => {
  const command = commandsFor(['--env', 'customer.env'])(hint, {
    client: 'https://rp.example/it',
    file: "my 'file.json",
  })

  expect(commandsIn(`do this: ${command}, or (${command}). Then ${command}; wait.`)).toEqual([
    command,
    command,
    command,
  ])
})

test.each(Object.keys(HINTS) as HintId[])('so is that of %s on the twin, which needs no flags', (hint) => {
  const command = commandsFor([])(hint)

  expect(commandsIn(`do this: ${command}, or wait`)).toEqual([command])
})

const ERASE = '\r\u001b[2K'

/** A clock that is moved by hand. */
function clock() {
  let [now, ticks]: [number, (() => void)[]] = [0, []]
  const ticker: Ticker = {
    now: () => now,
    everySecond: (tick) => {
      ticks.push(tick)
      return () => {
        ticks = ticks.filter((one) => one !== tick)
      }
    },
  }
  const pass = (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      now += 1000
      for (const tick of ticks) tick()
    }
  }
  return { ticker, pass, isRunning: () => ticks.length > 0 }
}

test('on a terminal a step that takes long has one line, which is rewritten and goes away', async () => {
  await using ran = await runOnTwin({ flows: ['read-registration'] })
  const [screen, time] = [terminal(80), clock()]
  const console = new Console({ ...screen, ticker: time.ticker })
  const show = (type: string) => console.show(ran.events.find((event) => event.type === type) as never)

  show('step-started')
  time.pass(12)
  const during = screen.text()
  show('step-finished')

  const seconds = Array.from({ length: 12 }, (_, index) => `${index + 1} s`)
  expect(during.split(ERASE).map((line) => line.replace(/^ {2}[a-z-]+ … /, ''))).toEqual(['', ...seconds])
  expect(screen.text().slice(during.length).startsWith(`${ERASE}  `)).toBe(true)
  expect(time.isRunning()).toBe(false)
})

test('without a terminal it has a line after ten seconds, and then every thirty', async () => {
  await using ran = await runOnTwin({ flows: ['read-registration'] })
  const [screen, time] = [terminal(undefined), clock()]
  using console = new Console({ ...screen, ticker: time.ticker })

  console.show(ran.events.find((event) => event.type === 'step-started') as never)
  time.pass(75)

  expect(screen.text().replaceAll(/^ {2}[a-z-]+/gm, '')).toBe(' … 10 s\n … 40 s\n … 70 s\n')
})

test('the line is shown until the innermost step that is running has ended', () => {
  const [screen, time] = [terminal(80), clock()]
  const sign = new SignOfLife({ ...time.ticker, write: screen.write, columns: 20 })

  sign.started('outer')
  time.pass(2)
  sign.started('outer/a-step-with-a-long-name')
  time.pass(1)
  sign.finished('outer/a-step-with-a-long-name')
  time.pass(1)
  sign.stop()

  expect(screen.text().split(ERASE)).toEqual([
    '',
    '  outer … 1 s',
    '  outer … 2 s',
    '  outer/a-ste … 1 s',
    '',
    '  outer … 4 s',
    '',
  ])
})

test('steps that run within a step that takes long bring none of its lines forward', () => {
  const [screen, time] = [terminal(undefined), clock()]
  const sign = new SignOfLife({ ...time.ticker, write: screen.write, columns: undefined })

  sign.started('outer')
  for (let retry = 0; retry < 3; retry++) {
    time.pass(30)
    sign.started('inner')
    sign.finished('inner')
  }
  sign.stop()

  expect(screen.text()).toBe('  outer … 10 s\n  outer … 40 s\n  outer … 70 s\n')
})

test('a real second is a second', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const start = REAL_TICKER.now()

  const end = REAL_TICKER.everySecond(resolve)
  // The timer of the product keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  await promise
  end()
  clearInterval(alive)

  expect(REAL_TICKER.now() - start).toBeGreaterThan(900)
})
