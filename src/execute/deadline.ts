/** Limits the time of several steps together. */
import type { Ports } from './ports.ts'

/** Dispose it when the steps are done. */
export class Deadline implements Disposable {
  readonly #wait: Ports['wait']
  readonly #stop = new AbortController()
  readonly #done = new AbortController()
  #isLate = false

  private constructor(wait: Ports['wait']) {
    this.#wait = wait
  }

  /** Ends with `outer`, or after that time if one is given. */
  static within(outer: AbortSignal, wait: Ports['wait'], milliseconds: number | undefined): Deadline {
    const deadline = new Deadline(wait)
    deadline.#onAbort(outer, () => deadline.#stop.abort())
    if (milliseconds !== undefined) deadline.#start(milliseconds)
    return deadline
  }

  /** Ends that long after `outer`, for steps that run although the run was interrupted, and at once with `cut`. */
  static after(outer: AbortSignal, { wait, cut }: Pick<Ports, 'wait' | 'cut'>, milliseconds: number): Deadline {
    const deadline = new Deadline(wait)
    deadline.#onAbort(outer, () => deadline.#start(milliseconds))
    deadline.#onAbort(cut, () => deadline.#stop.abort())
    return deadline
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Whether the time has passed. */
  get isLate(): boolean {
    return this.#isLate
  }

  [Symbol.dispose](): void {
    this.#done.abort()
  }

  #start(milliseconds: number): void {
    void this.#wait(milliseconds, this.#done.signal).then(() => {
      this.#isLate = !this.#done.signal.aborted
      this.#stop.abort()
    })
  }

  #onAbort(outer: AbortSignal, action: () => void): void {
    if (outer.aborted) action()
    else outer.addEventListener('abort', action, { once: true, signal: this.#done.signal })
  }
}
