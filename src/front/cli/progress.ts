/** How far a run of rows is: one line on a terminal, with the rate and the time that is left. */
import type { Ticker } from './sign-of-life.ts'

interface ProgressOptions extends Ticker {
  readonly write: (text: string) => void
  readonly columns: number
  /** rows */
  readonly total: number
}

/** To the beginning of the line, which is erased (ECMA-48, 8.3.41 EL). */
const ERASE = '\r\u001b[2K'

export class Progress implements Disposable {
  readonly #options: ProgressOptions
  readonly #start: number
  readonly #end: () => void
  #done = 0
  #failed = 0
  #isShown = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#start = options.now()
    this.#end = options.everySecond(() => this.#show())
    this.#show()
  }

  finished(passed: boolean): void {
    this.#done += 1
    if (!passed) this.#failed += 1
    this.#show()
  }

  /** The line goes away before anything else is printed. */
  clear(): void {
    if (this.#isShown) this.#options.write(ERASE)
    this.#isShown = false
  }

  [Symbol.dispose](): void {
    this.clear()
    this.#end()
  }

  #show(): void {
    const { write, columns, total, now } = this.#options
    const seconds = (now() - this.#start) / 1000
    const text = progressInWords({ done: this.#done, failed: this.#failed, total, seconds })
    write(`${ERASE}${text.slice(0, columns - 1)}`)
    this.#isShown = true
  }
}

/** `37 of 400 rows · 2 did not pass · 4.1 rows/s · 1 min 29 s left`. Before the first has ended nothing is known of the rest. */
export function progressInWords({
  done,
  failed,
  total,
  seconds,
}: {
  readonly done: number
  readonly failed: number
  readonly total: number
  readonly seconds: number
}): string {
  const rate = seconds > 0 ? done / seconds : 0
  return [
    `${done} of ${total} rows`,
    ...(failed === 0 ? [] : [`${failed} did not pass`]),
    ...(rate === 0
      ? []
      : [
          rate >= 1 ? `${rate.toFixed(1)} rows/s` : `${(rate * 60).toFixed(1)} rows/min`,
          `${inMinutes((total - done) / rate)} left`,
        ]),
  ].join(' · ')
}

function inMinutes(seconds: number): string {
  const whole = Math.ceil(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}
