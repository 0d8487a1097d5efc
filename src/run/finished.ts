/**
 * The finished workflows of a run, redacted: a file of JSON lines while the run goes on, so that a run may be longer than
 * memory is large. What the disk does not take stays in memory.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import { fail } from '../record/errors.ts'
import type { Exchange, WorkflowRecord } from '../record/index.ts'
import type { Redactor } from '../secret/index.ts'

export interface FinishedOptions {
  /** made when the first workflow has finished, readable by its owner alone; undefined: everything stays in memory */
  readonly file: string | undefined
  readonly redactor: Redactor
  /** takes the folders of this machine out of a JSON text */
  readonly withoutFolders: (json: string) => string
  /** for tests of a full disk */
  readonly write?: typeof writeSync
}

/**
 * Iterating reads the workflows from the file, from the first one each time; those of rows in the order of the list, whatever
 * ended first. Disposing removes the file.
 */
export class FinishedWorkflows implements Iterable<WorkflowRecord>, Disposable {
  readonly #options: FinishedOptions
  #lines: Lines
  /** of each line, the redactor's revision when it was last searched */
  #searchedAt: number[] = []
  /** of each line, the row of the run's list that it is of */
  readonly #rows: number[] = []
  /** of each row, the redactor's revision when its workflow began; 0 is a run without rows */
  readonly #begunAt = new Map<number, number>()

  constructor(options: FinishedOptions) {
    this.#options = options
    this.#lines = new Lines(options.file, options.write)
  }

  /** Call it before the first exchange of a workflow. One row runs one workflow at a time. */
  begin(row = 0): void {
    this.#begunAt.set(row, this.#options.redactor.revision)
  }

  add(workflow: WorkflowRecord): void {
    const { redactor } = this.#options
    const row = workflow.row?.number ?? 0
    const redacted = redactedWorkflow(workflow, redactor)
    // What a step showed to be a secret may stand in an exchange before it.
    const isClean = this.#begunAt.get(row) === redactor.revision || !redactor.mayHoldSecret(exchangesOf(workflow))
    this.#lines.add(this.#lineOf(isClean ? redacted : redactedAgain(redacted, redactor)))
    this.#searchedAt.push(redactor.revision)
    this.#rows.push(row)
  }

  /** Removes from earlier workflows what a later answer showed to be a secret. */
  redactAgain(): void {
    const { redactor, file, write } = this.#options
    if (this.#searchedAt.every((revision) => revision === redactor.revision)) return
    const redacted = new Lines(file && `${file}.redacted`, write)
    let index = 0
    for (const line of this.#lines) {
      const isKnown = this.#searchedAt[index++] === redactor.revision || !redactor.mayHoldSecret(line)
      redacted.add(isKnown ? line : this.#lineOf(redactedAgain(JSON.parse(line) as WorkflowRecord, redactor)))
    }
    this.#lines[Symbol.dispose]()
    if (file !== undefined) redacted.moveTo(file)
    this.#lines = redacted
    this.#searchedAt = this.#searchedAt.map(() => redactor.revision)
  }

  *[Symbol.iterator](): Generator<WorkflowRecord> {
    const inOrder = [...this.#rows.keys()].toSorted((one, other) => (this.#rows[one] ?? 0) - (this.#rows[other] ?? 0))
    for (const index of inOrder) yield JSON.parse(this.#lines.at(index)) as WorkflowRecord
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]()
  }

  #lineOf(workflow: WorkflowRecord): string {
    return this.#options.withoutFolders(JSON.stringify(workflow))
  }
}

/** Lines in a file, and in memory from the first one that the disk did not take. */
class Lines implements Iterable<string>, Disposable {
  readonly #write: typeof writeSync
  #file: string | undefined
  #fd: number | undefined
  /** of each line in the file: where it begins, and its length with its line break; in bytes */
  readonly #places: { readonly start: number; readonly length: number }[] = []
  #end = 0
  readonly #inMemory: string[] = []
  /** used again for every line: fresh buffers would pile up until garbage is collected */
  #buffer = Buffer.alloc(0)

  constructor(file: string | undefined, write = writeSync) {
    this.#file = file
    this.#write = write
  }

  add(line: string): void {
    if (this.#inMemory.length > 0 || !this.#append(`${line}\n`)) this.#inMemory.push(line)
  }

  *[Symbol.iterator](): Generator<string> {
    for (let index = 0; index < this.#places.length + this.#inMemory.length; index++) yield this.at(index)
  }

  at(index: number): string {
    const place = this.#places[index]
    return place === undefined ? (this.#inMemory[index - this.#places.length] ?? '') : this.#read(place)
  }

  moveTo(file: string): void {
    if (this.#fd === undefined || this.#file === undefined) return
    renameSync(this.#file, file)
    this.#file = file
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined || this.#file === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    rmSync(this.#file, { force: true })
  }

  /** False where it cannot be written: the run goes on, since stopping half-way would leave clients behind. */
  #append(text: string): boolean {
    if (this.#file === undefined) return false
    try {
      this.#fd ??= openSync(this.#file, 'wx+', 0o600)
      const length = Buffer.byteLength(text)
      const buffer = this.#bufferFor(length)
      buffer.write(text)
      for (let done = 0; done < length; ) done += this.#write(this.#fd, buffer, done, length - done, this.#end + done)
      this.#places.push({ start: this.#end, length })
      this.#end += length
      return true
    } catch {
      return false
    }
  }

  #read({ start, length }: { readonly start: number; readonly length: number }): string {
    if (this.#fd === undefined) throw new Error('the file of finished workflows is closed')
    const buffer = this.#bufferFor(length)
    for (let done = 0; done < length; ) {
      const bytes = readSync(this.#fd, buffer, done, length - done, start + done)
      if (bytes === 0) return fail({ code: 'RECORD_UNREADABLE', message: `"${this.#file}" is cut` })
      done += bytes
    }
    return buffer.toString('utf8', 0, length)
  }

  #bufferFor(length: number): Buffer {
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(2 * length)
    return this.#buffer
  }
}

function exchangesOf({ steps }: WorkflowRecord): string {
  return JSON.stringify(steps.map(({ exchanges }) => exchanges))
}

/** Names, verdicts, numbers and times stay; what servers and files gave is data. Exchanges were redacted when they closed. */
export function redactedWorkflow(
  workflow: WorkflowRecord,
  redactor: Redactor,
  exchanged = (exchange: Exchange) => exchange,
): WorkflowRecord {
  const { inputs, outputs, steps } = workflow
  return {
    ...redactor.record({ ...workflow, inputs: [], outputs: {}, steps: [] }),
    inputs: inputs.map((input) => ({
      ...redactor.record({ ...input, value: undefined }),
      value: redactor.value(input.value),
    })),
    outputs: redactor.value(outputs),
    steps: steps.map((step) => ({
      ...redactor.record({ ...step, exchanges: [], outputs: {} }),
      exchanges: step.exchanges.map(exchanged),
      outputs: redactor.value(step.outputs),
    })),
  }
}

function redactedAgain(workflow: WorkflowRecord, redactor: Redactor): WorkflowRecord {
  return redactedWorkflow(workflow, redactor, (exchange) => {
    const { tls } = exchange
    const redacted = redactor.record({ ...exchange, tls: undefined })
    return tls === undefined ? redacted : { ...redacted, tls }
  })
}
