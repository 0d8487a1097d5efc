/** Says of a step that takes long that it is still running. */
import { setInterval } from 'node:timers'

/** The time, and a call each second. */
export interface Ticker {
  /** milliseconds */
  readonly now: () => number
  /** returns what ends it */
  readonly everySecond: (tick: () => void) => () => void
}

export const REAL_TICKER: Ticker = {
  now: () => performance.now(),
  everySecond: (tick) => {
    const timer = setInterval(tick, 1000).unref()
    return () => clearInterval(timer)
  },
}

interface SignOfLifeOptions extends Ticker {
  readonly write: (text: string) => void
  /** undefined: no terminal, where nothing can be rewritten */
  readonly columns: number | undefined
}

/** Without a terminal: when the first line comes, and how often one after it. Seconds. */
const FIRST = 10
const AGAIN = 30
/** To the beginning of the line, which is erased (ECMA-48, 8.3.41 EL). */
const ERASE = '\r\u001b[2K'

export class SignOfLife {
  readonly #options: SignOfLifeOptions
  /** when each step that is running was started; the last is the innermost */
  readonly #running = new Map<string, number>()
  #end: (() => void) | undefined
  #isShown = false
  /** after how many seconds of the innermost step a line comes that is not rewritten */
  #due = FIRST

  constructor(options: SignOfLifeOptions) {
    this.#options = options
  }

  started(stepId: string): void {
    this.#running.set(stepId, this.#options.now())
    this.#due = FIRST
    this.#end ??= this.#options.everySecond(() => this.#tick())
  }

  finished(stepId: string): void {
    this.clear()
    this.#running.delete(stepId)
    if (this.#running.size === 0) this.stop()
  }

  /** The line goes away before anything else is printed. */
  clear(): void {
    if (this.#isShown) this.#options.write(ERASE)
    this.#isShown = false
  }

  /** Whatever is still running. */
  stop(): void {
    this.clear()
    this.#running.clear()
    this.#end?.()
    this.#end = undefined
  }

  #tick(): void {
    const [stepId = '', start = 0] = [...this.#running].at(-1) ?? []
    const { now, write, columns } = this.#options
    const seconds = Math.floor((now() - start) / 1000)
    const end = ` … ${seconds} s`
    if (columns !== undefined) {
      if (seconds < 1) return
      write(`${ERASE}  ${stepId.slice(0, Math.max(0, columns - end.length - 3))}${end}`)
      this.#isShown = true
    } else if (seconds >= this.#due) {
      write(`  ${stepId}${end}\n`)
      this.#due += AGAIN
    }
  }
}
