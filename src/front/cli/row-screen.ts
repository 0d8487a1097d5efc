/** A run of rows on this terminal: a line for each row that has ended, or for those that did not pass and the progress of all. */
import type { WorkflowRecord } from '../../record/index.ts'
import type { Caller, RowEvent } from '../../run/index.ts'
import type { Program } from './command.ts'
import { Console, type Detail, didPass } from './console.ts'
import { Progress } from './progress.ts'
import { REAL_TICKER, type Ticker } from './sign-of-life.ts'
import { columnsOf } from './wrap.ts'

type Event = Parameters<NonNullable<Caller['onEvent']>>[0]

export class RowScreen implements Disposable {
  readonly console: Console
  readonly #stream: NodeJS.WriteStream
  readonly #ticker: Ticker
  readonly #showsAll: boolean
  /** the workflows of rows that have begun */
  readonly #workflows = new Map<number, WorkflowRecord[]>()
  #progress: Progress | undefined

  constructor(stream: NodeJS.WriteStream, { here }: Pick<Program, 'here'>, detail: Detail, ticker = REAL_TICKER) {
    this.#stream = stream
    this.#ticker = ticker
    this.#showsAll = !stream.isTTY || detail !== 'none'
    const write = (text: string) => {
      this.#progress?.clear()
      stream.write(text)
    }
    this.console = new Console({ stream, write, here, detail, ticker })
  }

  event(event: Event, row: RowEvent['row'] | undefined): void {
    if (event.type === 'prepared') {
      this.console.show(event)
      const columns = columnsOf(this.#stream)
      if (this.#stream.isTTY && event.rows !== undefined) {
        const write = (text: string) => void this.#stream.write(text)
        this.#progress = new Progress({ ...this.#ticker, write, columns, total: event.rows.running })
      }
    } else if (event.type === 'workflow-finished' && row !== undefined)
      this.#workflows.get(row.number)?.push(event.workflow)
  }

  row(event: RowEvent): void {
    const { number } = event.row
    if (event.type === 'row-started') {
      this.#workflows.set(number, [])
      return
    }
    this.console.row(event, this.#workflows.get(number) ?? [], this.#showsAll)
    this.#workflows.delete(number)
    this.#progress?.finished(didPass(event))
  }

  /** Before what is said at the end. */
  end(): void {
    this.#progress?.[Symbol.dispose]()
    this.#progress = undefined
  }

  [Symbol.dispose](): void {
    this.end()
    this.console[Symbol.dispose]()
  }
}
