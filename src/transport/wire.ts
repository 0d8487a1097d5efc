/**
 * The stream that undici reads and writes instead of the TLS socket. It leaves out interim answers, at some of which undici
 * ends the connection, and keeps the bytes that arrived, so that an answer which the HTTP parser refuses is not lost.
 */
import { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { LIMITS } from '../record/limits.ts'

/** Names of undici's errors at an answer that breaks a rule of HTTP. */
const REFUSALS = ['HTTPParserError', 'HeadersOverflowError', 'ResponseContentLengthMismatchError']
/** Of an answer that undici has given up, more is awaited for so long after its last bytes, and so long in all. */
const QUIET_MS = 1000
const LONGEST_REST_MS = 10_000
/** The most bytes of one answer that are kept: its headers and its body, both of the largest size. */
const MOST_KEPT = LIMITS.headerBytes.value + LIMITS.bodyBytes.value
/** "HTTP/1.1 100": the version and the status of an answer. */
const STATUS_LENGTH = 12

type Chunk = string | Buffer

export class Wire extends Duplex {
  readonly #socket: TLSSocket
  /** the bytes of the answer that is being received, as they came */
  #received: Buffer[] = []
  #size = 0
  /** the beginning of an answer, as long as it may be an interim one */
  #unread: Buffer | undefined
  #isAtStart = false
  #interim = 0
  #rest: Promise<void> | undefined

  constructor(socket: TLSSocket) {
    super({ decodeStrings: false })
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.once('end', () => {
      if (this.#unread !== undefined) this.push(this.#unread)
      this.push(null)
    })
    socket.once('error', (error) => this.destroy(error))
    socket.once('close', () => this.destroy())
  }

  /** A request is sent: what arrives from now on is its answer. */
  begin(): void {
    this.forget()
    this.#isAtStart = true
    this.#interim = 0
  }

  /** The answer to the request as far as it has arrived, with its interim answers. */
  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** Resolves when all has arrived of an answer that the HTTP parser refuses: its body may come after its headers. */
  get rest(): Promise<void> | undefined {
    return this.#rest
  }

  /** How many interim answers have arrived (RFC 9110 section 15.2). */
  get interim(): number {
    return this.#interim
  }

  /** The answer is whole: its bytes are no longer needed. */
  forget(): void {
    this.#received = []
    this.#size = 0
  }

  /** undici lets the process end while no request is under way. */
  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Chunk, encoding: BufferEncoding, done: () => void): void {
    if (write(this.#socket, chunk, encoding)) done()
    else this.#socket.once('drain', done)
  }

  /** Head and body of a request leave together. */
  override _writev(chunks: { readonly chunk: Chunk; readonly encoding: BufferEncoding }[], done: () => void): void {
    const socket = this.#socket
    socket.cork()
    for (const { chunk, encoding } of chunks) write(socket, chunk, encoding)
    socket.uncork()
    if (socket.writableNeedDrain) socket.once('drain', done)
    else done()
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#size > 0 && error !== null && REFUSALS.includes(error.name)) this.#rest = this.#readRest()
    else this.#socket.destroy()
    done(error)
  }

  async #readRest(): Promise<void> {
    const socket = this.#socket
    const { promise, resolve } = Promise.withResolvers<void>()
    const quiet = setTimeout(resolve, QUIET_MS)
    const longest = setTimeout(resolve, LONGEST_REST_MS)
    socket.on('data', () => quiet.refresh())
    for (const event of ['end', 'close']) socket.once(event, resolve)
    socket.resume()
    await promise
    for (const timer of [quiet, longest]) clearTimeout(timer)
    socket.destroy()
  }

  #take(chunk: Buffer): void {
    if (this.#size < MOST_KEPT) this.#received.push(chunk)
    this.#size += chunk.length
    if (this.destroyed) return
    const rest = this.#isAtStart ? this.#withoutInterim(chunk) : chunk
    if (rest !== undefined && !this.push(rest)) this.#socket.pause()
  }

  /** What follows the interim answers; undefined as long as none of it has arrived. */
  #withoutInterim(chunk: Buffer): Buffer | undefined {
    let left = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk])
    this.#unread = undefined
    while (left.length > 0) {
      const isInterim = interim(left)
      const end = isInterim === true ? left.indexOf('\r\n\r\n') : -1
      if (isInterim === false || left.length > LIMITS.headerBytes.value) {
        this.#isAtStart = false
        return left
      }
      if (end === -1) {
        this.#unread = left
        return undefined
      }
      this.#interim += 1
      left = left.subarray(end + 4)
    }
    return undefined
  }
}

/** Whether an answer is an interim one; undefined where too little of it has arrived. 101 is not one: it is the last in HTTP. */
function interim(bytes: Buffer): boolean | undefined {
  const start = bytes.toString('latin1', 0, STATUS_LENGTH)
  if (start.length === STATUS_LENGTH) return /^HTTP\/1\.\d 1(?!01)\d\d$/.test(start)
  return 'HTTP/1.'.startsWith(start.slice(0, 7)) ? undefined : false
}

function write(socket: TLSSocket, chunk: Chunk, encoding: BufferEncoding): boolean {
  return typeof chunk === 'string' ? socket.write(chunk, encoding) : socket.write(chunk)
}
