/** The log of a vault with what follows from it, as one process uses it; and which calls are on the way, here and elsewhere. */
import { join, resolve } from 'node:path'
import { fail, ToolError } from '../record/errors.ts'
import { type Command, commandsFor, settingsAsFlags } from '../record/hints.ts'
import { type Call, type OpenCall, openCall } from './call.ts'
import { type AnswerEvent, type CallEvent, type Event, VAULT_VERSION } from './event.ts'
import { type FilePort, Files, found, isFileError } from './files.ts'
import { Folder } from './folder.ts'
import { type KeySource, keySourceOf } from './key.ts'
import { Log } from './log.ts'
import { State } from './state.ts'
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
  /** the application that the environment names */
  readonly application?: { readonly clientId: string | undefined; readonly softwareId?: string | undefined } | undefined
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
  readonly now: () => Date
  readonly #files: Files
  readonly #folder: Folder
  /** the log in the usual folder, where that is another one */
  readonly #usualLog: string | undefined
  readonly #flags: readonly string[]
  readonly #application: VaultOptions['application']
  #flushing: Promise<void> | undefined
  /** begins when the one before it has ended */
  #nextFlush: Promise<void> | undefined
  #wasThere = false
  /** the log with which this run began is gone, and a new one was made for an answer */
  #isAnother = false
  /** ids of calls of this process that are on the way */
  readonly #onTheWay = new Set<string>()

  constructor({ folder, usualFolder, key, environment, ...options }: VaultOptions) {
    this.environment = environment
    this.#flags = options.flags ?? ['--env', environment]
    this.#application = options.application
    this.command = commandsFor(this.#flags)
    this.waitMs = options.lockWaitMs ?? 30_000
    this.now = () => options.now()
    this.#files = new Files(options.files)
    this.state = new State(environment, () => this.events())
    const fileName = environment.replaceAll(/[^\w.-]/g, '_')
    const path = join(resolve(folder), fileName)
    const isUsual = usualFolder === undefined || resolve(usualFolder) === resolve(folder)
    this.#usualLog = isUsual ? undefined : join(resolve(usualFolder), `${fileName}.log`)
    const keys = key instanceof Uint8Array ? keySourceOf(key) : key
    this.#folder = new Folder(resolve(folder), { files: this.#files, lockPath: `${path}.lock`, waitMs: this.waitMs })
    this.log = new Log(`${path}.log`, { files: this.#files, keys, reader: this.state })
    this.writer = new Writer(path, this.#files)
  }

  /** One process at a time, with everything read that others have written. @throws VAULT_UNWRITABLE */
  exclusively<T>(task: () => T): Promise<T> {
    return this.#folder.exclusively(() => {
      this.log.refresh()
      return task()
    })
  }

  /** The same where everything must be readable. @throws VAULT_UNREADABLE too */
  changing<T>(task: () => T): Promise<T> {
    return this.exclusively(() => {
      this.demandReadable()
      return task()
    })
  }

  /** What can be read, also where something cannot. @throws VAULT_UNREADABLE where nothing can, VAULT_KEY */
  look(): State {
    try {
      this.log.refresh()
    } catch (error) {
      if (!isFileError(error)) throw error
      const message = `vault "${this.log.path}" cannot be read`
      const hint = 'give access, or name another folder with VAULT_DIR'
      fail({ code: 'VAULT_UNREADABLE', message, ...found(error), hint }, error)
    }
    return this.state
  }

  /** @throws VAULT_UNREADABLE, VAULT_KEY */
  readable(): State {
    this.look()
    this.demandReadable()
    return this.state
  }

  /** All that is in the log, read anew. */
  events(): readonly Event[] {
    return this.log.events() as readonly Event[]
  }

  demandReadable(): void {
    const [first] = this.log.problems
    if (first !== undefined) throw new ToolError([first])
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

  /** A folder that was moved away in the middle of a run holds what the run has registered: nothing is begun without it. */
  demandNotGone(): void {
    if (!this.#isAnother && (this.log.exists || !this.#wasThere)) return
    fail({
      code: 'VAULT_UNWRITABLE',
      message: `vault "${this.log.path}" was there when this run began, and is gone; nothing was sent`,
      hint: 'put the file back where it was, and run it again',
    })
  }

  /** Call it when an answer is on disk: where the vault was gone by then, a new one was made for it. @throws VAULT_FAILED */
  demandSame(): void {
    if (!this.#isAnother) return
    fail({
      code: 'VAULT_FAILED',
      message: `vault "${this.log.path}" was there when this run began, and is gone; the answer that came after it was kept in a new one`,
      hint: 'put the folder that is gone back under another name, and take its clients in with "thredd vault import FOLDER"',
    })
  }

  /** Makes the log where there is none. Returns warnings. */
  ensure(): readonly string[] {
    const wasThere = this.#wasThere
    this.#wasThere = true
    if (this.log.exists) return []
    this.#isAnother ||= wasThere
    this.#folder.ignoreInGit()
    const about = { at: this.at(), vaultVersion: VAULT_VERSION, environment: this.environment }
    const made = this.log.create((id) => ({ kind: 'vault', id, ...about }))
    return made === undefined ? [] : [`a vault key was made: ${made}; without this file the vault cannot be read`]
  }

  /** Warnings: open permissions, what processes that died have left, an unfinished line; with `mend` it is put right. */
  tidy({ mend }: { readonly mend: boolean }): readonly string[] {
    const [is, then] = mend ? ['was', 'it is closed now'] : ['is', 'the next run closes it']
    const open = [this.#folder.path, this.log.path].flatMap((path) => {
      const others = this.#files.openTo(path)
      if (mend) others?.close()
      return others === undefined ? [] : [`"${path}" ${is} open to other users (mode ${others.mode}); ${then}`]
    })
    const left = this.writer.leftovers()
    if (mend) for (const path of [`${this.log.path}.new`, ...left]) this.#files.discard(path)
    const said = left.map((path) => `"${path}" was left by a process that died; the next run removes it`)
    return [...open, ...(mend ? [] : said), ...this.log.unfinished]
  }

  /** Writes down a call that is about to leave. It may leave after `flush`. */
  begin(call: CallEvent): void {
    try {
      this.log.append(call, { durable: false })
    } catch (error) {
      // The line may stand there all the same.
      this.end(call.id, 'not-sent')
      throw error
    }
    this.#onTheWay.add(call.id)
  }

  /** It is on disk after `flush`. Where it cannot be written, the room that was set aside is given back for a second attempt. */
  write(answer: AnswerEvent): void {
    try {
      this.log.append(answer, { durable: false })
    } catch (error) {
      if (!isFileError(error)) throw error
      this.writeAgain(answer)
    }
  }

  /** Durable when it returns. */
  writeAgain(answer: AnswerEvent): void {
    this.writer.giveRoomBack()
    this.log.refresh()
    this.log.append(answer, { durable: true })
  }

  /**
   * All that this process has written until now is on disk when it resolves. Whoever asks while the disk is busy shares the next
   * turn with all others that do. @throws VAULT_UNWRITABLE
   */
  flush(): Promise<void> {
    const before = this.#flushing
    this.#nextFlush ??= (async () => {
      await Promise.allSettled([before])
      this.#flushing = this.#nextFlush
      this.#nextFlush = undefined
      await this.#folder.writing(() => this.#files.flush(this.log.path))
    })()
    return this.#nextFlush
  }

  /** Where this cannot be written, the call stays open. */
  end(call: string, how: 'not-sent' | 'unanswered'): void {
    try {
      this.log.refresh()
      this.log.append({ kind: 'ended', at: this.at(), call, how }, { durable: false })
    } catch (error) {
      if (!isFileError(error)) throw error
    }
  }

  /** Room for the answers of the calls that are on the way, and of one more. */
  makeRoom(): void {
    this.writer.makeRoom(this.#onTheWay.size + 1)
  }

  /** This process is done with the call. */
  over(call: string): void {
    this.#onTheWay.delete(call)
  }

  isOnTheWay({ id, writer, answer, isOver }: Call): boolean {
    if (answer !== undefined || isOver) return false
    return this.#onTheWay.has(id) || (writer !== this.writer.id && this.writer.isAlive(writer))
  }

  /** The first call that is. */
  onTheWay(): Call | undefined {
    return this.state.open().find((call) => this.isOnTheWay(call))
  }

  /** The commands about a call: that of a row may be about another application than that of the environment. */
  commandAbout({
    askedAs,
    clientId,
    softwareId,
  }: Pick<Partial<Call>, 'askedAs' | 'softwareId'> & Pick<Call, 'clientId'>): Command {
    const asked = askedAs ?? clientId
    const { clientId: own, softwareId: ownSoftware } = this.#application ?? { clientId: asked }
    const isOwn = own === undefined ? softwareId === undefined || softwareId === ownSoftware : own === asked
    if (isOwn) return this.command
    const settings = [
      ['CLIENT_ID', asked] as const,
      ...(softwareId === undefined ? [] : [['SOFTWARE_ID', softwareId] as const]),
    ]
    return commandsFor([...settingsAsFlags(settings, { isOtherClient: own !== undefined }), ...this.#flags])
  }

  open(): readonly OpenCall[] {
    return this.state.open().map((call) =>
      openCall(call, {
        registration: this.state.liveAs(call.clientId)?.registration(),
        isInFlight: this.isOnTheWay(call),
        command: this.commandAbout(call),
      }),
    )
  }

  /** Ids of the open calls of a client that nobody is at any more. */
  free(clientId: string): string[] {
    return this.state.openOf(clientId).flatMap((call) => (this.isOnTheWay(call) ? [] : [call.id]))
  }

  at(): string {
    return this.state.after(this.now())
  }

  close(): void {
    this.writer.end()
    this.#folder.close()
  }
}
