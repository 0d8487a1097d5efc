/** How long a turn of the event loop takes, in processor time of its thread: what else the machine does counts for nothing. */

/** Milliseconds between two looks; what a turn takes is known no better. */
const BETWEEN = 10

export class Turns {
  /** milliseconds */
  longest = 0
  /** what was under way in the longest turn, as it was called */
  longestDuring = ''
  /** what is under way */
  during = ''
  readonly #timer: NodeJS.Timeout
  #own = 0
  #before = 0

  constructor() {
    this.#before = this.used
    this.#timer = setInterval(() => {
      const now = this.used
      const took = Math.round(now - this.#before)
      this.#before = now
      if (took <= this.longest) return
      this.longest = took
      this.longestDuring = this.during
    }, BETWEEN)
  }

  /** Milliseconds of processor time so far, without that of `without`. */
  get used(): number {
    return this.#usedByAll - this.#own
  }

  /** Work of the proof itself, which does not count. */
  without<T>(work: () => T): T {
    const start = this.#usedByAll
    try {
      return work()
    } finally {
      this.#own += this.#usedByAll - start
    }
  }

  get #usedByAll(): number {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }

  end(): void {
    clearInterval(this.#timer)
  }
}
