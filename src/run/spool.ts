/**
 * The finished workflows of a run, redacted. Their steps lie on the disk and are read when somebody asks for them, so that
 * a run may be longer than the memory is large; what the disk does not take stays in memory. Knows what a record looks
 * like, nothing of what a run does.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { fail } from '../record/errors.ts'
import type { RunRecord, StepRecord, WorkflowRecord } from '../record/index.ts'
import { filled } from '../report/chunks.ts'
import type { Redactor } from '../secret/index.ts'

export interface SpoolOptions {
  /** made when the first workflow has ended, for its owner alone; undefined: everything stays in memory */
  readonly file: string | undefined
  readonly redactor: Redactor
  /** what a record leaves out of texts, such as the folders of a machine; told a JSON text and returns one */
  readonly clean: (json: string) => string
  /** for the proof that nothing is lost: a disk that fails */
  readonly write?: typeof writeSync
}

/** Workflows whose steps are kept as they were read. */
const MOST_READ = 2

/** A workflow's text, or where it is. */
type Place = { readonly text: string } | { readonly file: string; readonly at: number; readonly bytes: number }

/** Disposing it removes its file, unless the workflows have moved on before. A process that is killed leaves it behind. */
export class Spool implements Disposable {
  readonly #options: SpoolOptions
  readonly #workflows: WorkflowRecord[] = []
  readonly #places: { place: Place /** when it was redacted */; secretsKnown: number }[] = []
  /** where the workflows will be, once the file is there that is being made of them */
  #next: Place[] = []
  #fd: number | undefined
  #end = 0
  #memory = Buffer.alloc(0)
  /** the last few, newest first: reports are made side by side, some a workflow ahead of others */
  #read: readonly { readonly index: number; readonly steps: StepRecord[] }[] = []

  constructor(options: SpoolOptions) {
    this.#options = options
  }

  /** As a record has them; `steps` are read whenever they are asked for. */
  get workflows(): WorkflowRecord[] {
    return this.#workflows
  }

  add(workflow: WorkflowRecord): void {
    const { redactor } = this.#options
    const index = this.#workflows.length
    const told = redactedOutside(workflow, redactor)
    const text = this.#cleaned(told)
    // What a step has shown to be a secret may stand in the exchanges of one before it.
    if (redactor.find(text).length === 0) this.#put(index, told, text)
    else this.#put(index, redactor.value(workflow))
  }

  /** Redacts again: what a later answer showed to be a secret may stand in an earlier workflow. */
  redactAgain(): void {
    const { redactor } = this.#options
    for (const [index, { secretsKnown }] of this.#places.entries()) {
      if (secretsKnown === redactor.size) continue
      const text = this.#textOf(index)
      if (redactor.find(text).length > 0) this.#put(index, redactor.value(JSON.parse(text) as WorkflowRecord))
    }
  }

  /** The text of the run's record.json, which has these workflows. */
  *text(record: RunRecord): Generator<string> {
    const { file = '' } = this.#options
    this.#next = []
    let at = 0
    for (const [index, chunk] of numbered(recordText(record, this.#texts()))) {
      yield chunk
      const bytes = Buffer.byteLength(chunk)
      const comma = index > 1 ? 1 : 0
      if (index > 0 && index <= this.#places.length) this.#next.push({ file, at: at + comma, bytes: bytes - comma })
      at += bytes
    }
  }

  /** That text is whole and in `file`, where the workflows are from now on. */
  movedTo(file: string): void {
    if (this.#options.file === undefined) return
    for (const [index, place] of this.#next.entries()) {
      const entry = this.#places[index]
      if (entry !== undefined) entry.place = { ...place, file }
    }
    this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    const { file } = this.#options
    if (this.#fd === undefined || file === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    rmSync(file, { force: true })
  }

  #cleaned(workflow: WorkflowRecord): string {
    return this.#options.clean(JSON.stringify(workflow, null, 2))
  }

  #put(index: number, workflow: WorkflowRecord, text = this.#cleaned(workflow)): void {
    const { redactor } = this.#options
    // A text of its own for each: a part of a long one would keep all of it in memory.
    const head = JSON.parse(this.#cleaned({ ...workflow, steps: [] })) as WorkflowRecord
    const read = () => this.#stepsOf(index)
    this.#places[index] = { place: this.#onDisk(text) ?? { text }, secretsKnown: redactor.size }
    this.#workflows[index] = {
      ...head,
      get steps() {
        return read()
      },
    }
    this.#read = []
  }

  /** Undefined where the disk does not take it: a run goes on without its report rather than stop half-way. */
  #onDisk(text: string): Place | undefined {
    const { file, write = writeSync } = this.#options
    if (file === undefined) return undefined
    try {
      this.#fd ??= openSync(file, 'wx+', 0o600)
      const bytes = Buffer.byteLength(text)
      const memory = this.#memoryFor(bytes)
      memory.write(text)
      for (let done = 0; done < bytes; ) done += write(this.#fd, memory, done, bytes - done, this.#end + done)
      const at = this.#end
      this.#end += bytes
      return { file, at, bytes }
    } catch {
      return undefined
    }
  }

  /** The same again and again: a new one for each text would stay until the next collection of garbage. */
  #memoryFor(bytes: number): Buffer {
    if (this.#memory.length < bytes) this.#memory = Buffer.allocUnsafeSlow(2 * bytes)
    return this.#memory
  }

  #stepsOf(index: number): StepRecord[] {
    const known = this.#read.find((one) => one.index === index)
    if (known !== undefined) return known.steps
    const { steps } = JSON.parse(this.#textOf(index)) as WorkflowRecord
    this.#read = [{ index, steps }, ...this.#read].slice(0, MOST_READ)
    return steps
  }

  *#texts(): Generator<string> {
    for (const index of this.#places.keys()) yield this.#textOf(index)
  }

  #textOf(index: number): string {
    const { place } = this.#places[index] ?? { place: { text: 'null' } }
    if ('text' in place) return place.text
    const fd = this.#fd ?? opened(place.file)
    try {
      const memory = this.#memoryFor(place.bytes)
      for (let done = 0; done < place.bytes; ) {
        const more = readSync(fd, memory, done, place.bytes - done, place.at + done)
        if (more === 0) return unreadable(place.file, 'it is cut')
        done += more
      }
      return memory.toString('utf8', 0, place.bytes)
    } finally {
      if (fd !== this.#fd) closeSync(fd)
    }
  }
}

/** The text of a record.json: its beginning, each workflow, its end. */
export function recordText(record: RunRecord, workflows: Iterable<string> = texts(record)): Iterable<string> {
  return filled({ ...record, workflows: [] }, { name: 'workflows', depth: 1 }, workflows)
}

function* texts({ workflows }: RunRecord): Generator<string> {
  for (const workflow of workflows) yield JSON.stringify(workflow, null, 2)
}

function* numbered<T>(items: Iterable<T>): Generator<readonly [number, T]> {
  let index = 0
  for (const item of items) yield [index++, item]
}

/** All but the exchanges, which were redacted where they were made. */
function redactedOutside(workflow: WorkflowRecord, redactor: Redactor): WorkflowRecord {
  const { steps } = workflow
  const told = redactor.value({ ...workflow, steps: steps.map((step) => ({ ...step, exchanges: [] })) })
  return {
    ...told,
    steps: told.steps.map((step, index) => ({ ...step, exchanges: steps[index]?.exchanges ?? [] })),
  }
}

function opened(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (cause) {
    return unreadable(file, (cause as NodeJS.ErrnoException).code ?? 'unknown reason')
  }
}

function unreadable(file: string, why: string): never {
  return fail({ code: 'RECORD_UNREADABLE', message: `"${file}" cannot be read any more: ${why}` })
}
