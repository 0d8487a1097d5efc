/**
 * A log and what it comes to, for one process: looked at without a lock, added to with one. Knows which calls are on the way,
 * here and in other processes.
 */
import { join, resolve } from 'node:path'
import { fail, type Problem, ToolError } from '../record/errors.ts'
import { type Command, commandsFor } from '../record/hints.ts'
import { type Call, type OpenCall, openCall } from './call.ts'
import type { AnswerEvent, Event } from './event.ts'
import { type FilePort, Files, found, isFileError } from './files.ts'
import { Folder } from './folder.ts'
import { type KeySource, keySourceOf } from './key.ts'
import { Log } from './log.ts'
import { firstEvent, State } from './state.ts'
import { Writer } from './writer.ts'

export interface VaultOptions {
  readonly folder: string
  /** where the vault lies unless a setting says otherwise */
  readonly usualFolder?: string | undefined
  /** 32 bytes, or where to find them */
  readonly key: Uint8Array | KeySource
  readonly environment: string
  /** what selects the environment on a command line; default: --env and its name */
  readonly flags?: readonly string[] | undefined
  now(): Date
  /** how long to wait for another process; default 30000 */
  readonly lockWaitMs?: number
  readonly files?: FilePort | undefined
}

export class Store {
  readonly environment: string
  /** the commands of hints, with this environment */
  readonly command: Command
  readonly waitMs: number
  readonly log: Log
  readonly state: State
  readonly writer: Writer
  readonly #now: () => Date
  readonly #files: Files
  readonly #folder: Folder
  /** the log in the usual folder, where that is another one */
  readonly #usualLog: string | undefined
  /** ids of calls of this process that are on the way */
  readonly #onTheWay = new Set<string>()

  constructor({
    folder,
    usualFolder,
    key,
    environment,
    flags = ['--env', environment],
    now,
    lockWaitMs = 30_000,
    files,
  }: VaultOptions) {
    this.environment = environment
    this.command = commandsFor(flags)
    this.waitMs = lockWaitMs
    this.#now = now
    this.#files = new Files(files)
    this.state = new State(environment)
    const fileName = environment.replaceAll(/[^\w.-]/g, '_')
    const path = join(resolve(folder), fileName)
    const isUsual = usualFolder === undefined || resolve(usualFolder) === resolve(folder)
    this.#usualLog = isUsual ? undefined : join(resolve(usualFolder), `${fileName}.log`)
    const keys = key instanceof Uint8Array ? keySourceOf(key) : key
    this.#folder = new Folder(resolve(folder), { files: this.#files, lockPath: `${path}.lock`, waitMs: lockWaitMs })
    this.log = new Log(`${path}.log`, { files: this.#files, keys, reader: this.state })
    this.writer = new Writer(path, this.#files)
  }

  /** One process at a time, with everything taken in that others have written. @throws VAULT_UNWRITABLE */
  exclusively<T>(task: () => T): Promise<T> {
    return this.#folder.exclusively(() => {
      this.log.refresh()
      return task()
    })
  }

  /** What can be read, also where something cannot. @throws VAULT_UNREADABLE where nothing can, VAULT_KEY */
  look(): State {
    try {
      this.log.refresh()
    } catch (error) {
      if (!isFileError(error)) throw error
      const hint = 'give access, or name another folder with VAULT_DIR'
      fail(
        { code: 'VAULT_UNREADABLE', message: `vault "${this.log.path}" cannot be read`, ...found(error), hint },
        error,
      )
    }
    return this.state
  }

  /** @throws VAULT_UNREADABLE, VAULT_KEY */
  readable(): State {
    this.look()
    this.demandReadable()
    return this.state
  }

  demandReadable(): void {
    if (this.log.problem !== undefined) throw new ToolError([this.log.problem])
  }

  /** An empty vault beside one that holds clients would let a run register over them. @throws VAULT_UNWRITABLE */
  demandNoOther(): void {
    if (this.log.exists || this.#usualLog === undefined || this.#files.factsOf(this.#usualLog) === undefined) return
    fail({
      code: 'VAULT_UNWRITABLE',
      message: `vault folder "${this.#folder.path}" holds no vault of "${this.environment}", but the project has one; nothing was sent`,
      found: `"${this.#usualLog}"`,
      hint: 'leave VAULT_DIR away, name the folder that holds the vault with it, or move the vault there',
    })
  }

  get problems(): readonly Problem[] {
    return this.log.problem === undefined ? [] : [this.log.problem]
  }

  /** Begins the log where there is none. Returns what is to be said of it. */
  ensure(): readonly string[] {
    if (this.log.exists) return []
    this.#folder.ignoreInGit()
    const made = this.log.create((id) => firstEvent(id, this.environment, this.at()))
    return made === undefined ? [] : [`a vault key was made: ${made}; without this file the vault cannot be read`]
  }

  /** Takes away what processes that died have left, and the rights of others. Returns what is to be said of it. */
  tidy(): readonly string[] {
    for (const path of [`${this.log.path}.new`, ...this.#leftovers()]) this.#files.discard(path)
    const closed = [this.#folder.path, this.log.path].map((path) => this.#files.close(path))
    return [...closed, this.log.unfinished].filter((one) => one !== undefined)
  }

  /** What `tidy` would do. */
  untidy(): readonly string[] {
    const open = [this.#folder.path, this.log.path].flatMap((path) => {
      const mode = this.#files.openMode(path)
      return mode === undefined ? [] : [`"${path}" is open to other users (mode ${mode}); the next run closes it`]
    })
    const left = this.#leftovers().map((path) => `"${path}" was left by a process that died; the next run removes it`)
    return [...open, ...left, this.log.unfinished].filter((one) => one !== undefined)
  }

  /** A call that is about to leave; durable when it returns. */
  begin(call: Extract<Event, { kind: 'call' }>): void {
    try {
      this.log.append(call, { durable: true })
    } catch (error) {
      // It may stand there all the same, and it will not leave.
      this.end(call.id, 'not-sent')
      throw error
    }
    this.#onTheWay.add(call.id)
  }

  /** An answer must be put down whatever happens: its room is given back, and a second attempt is made. */
  write(answer: AnswerEvent): void {
    try {
      this.log.append(answer, { durable: true })
    } catch (error) {
      if (!isFileError(error)) throw error
      this.writer.giveRoomBack()
      this.log.refresh()
      this.log.append(answer, { durable: true })
    }
  }

  /** Where it cannot be written, the call stays open: that is said of it already. */
  end(call: string, how: 'not-sent' | 'unanswered'): void {
    try {
      this.log.refresh()
      this.log.append({ kind: 'ended', at: this.at(), call, how }, { durable: false })
    } catch (error) {
      if (!isFileError(error)) throw error
    }
  }

  /** No longer on the way, as far as this process goes. */
  over(call: string): void {
    this.#onTheWay.delete(call)
  }

  isOnTheWay({ id, writer, answer, isOver }: Call): boolean {
    if (answer !== undefined || isOver) return false
    return this.#onTheWay.has(id) || (writer !== this.writer.id && this.writer.isAlive(writer))
  }

  open(): readonly OpenCall[] {
    return this.state.open().map((call) =>
      openCall(call, {
        registration: this.state.liveAs(call.clientId)?.registration(),
        isInFlight: this.isOnTheWay(call),
        command: this.command,
      }),
    )
  }

  /** Ids of the open calls of a client that nobody is at any more. */
  free(clientId: string): string[] {
    return this.state.openOf(clientId).flatMap((call) => (this.isOnTheWay(call) ? [] : [call.id]))
  }

  /** Events without those of this client (null: of any), and without what has expired. */
  without(clientId: string | undefined | null): readonly Event[] {
    return this.state.without(clientId, this.#now())
  }

  at(): string {
    return this.state.after(this.#now())
  }

  close(): void {
    this.writer.end()
    this.#folder.close()
  }

  #leftovers(): readonly string[] {
    const names = this.writer.leftovers(this.#files.names(this.#folder.path))
    return names.map((name) => join(this.#folder.path, name))
  }
}
