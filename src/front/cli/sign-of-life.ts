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
  /**
   * When each step that is running was started; the last is the innermost. `due`: after how many of its seconds a line
   * comes that is not rewritten.
   */
  readonly #running = new Map<string, { readonly start: number; due: number }>()
  #end: (() => void) | undefined
  #isShown = false

  constructor(options: SignOfLifeOptions) {
    this.#options = options
  }

  started(stepId: string): void {
    this.#running.set(stepId, { start: this.#options.now(), due: FIRST })
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
    const innermost = [...this.#running].at(-1)
    if (innermost === undefined) return
    const [stepId, step] = innermost
    const { now, write, columns } = this.#options
    const seconds = Math.floor((now() - step.start) / 1000)
    const end = ` … ${seconds} s`
    if (columns !== undefined) {
      if (seconds < 1) return
      write(`${ERASE}  ${stepId.slice(0, Math.max(0, columns - end.length - 3))}${end}`)
      this.#isShown = true
    } else if (seconds >= step.due) {
      write(`  ${stepId}${end}\n`)
      step.due = seconds + AGAIN
    }
  }
}
