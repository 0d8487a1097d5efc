/**
 * A list of rows from a file: CSV (RFC 4180, with a first line of names), JSON (a list of objects) or NDJSON (an object a line).
 * Only the form is judged here. A cell is never quoted in a problem, since it may be a secret.
 *
 * @see [RFC 4180 §2](https://www.rfc-editor.org/rfc/rfc4180.html#section-2)
 */
import { hash } from 'node:crypto'
import { basename, extname } from 'node:path'
import { fail, isNonEmpty, type Problem, ToolError } from '../record/errors.ts'
import { readJson, writeJson } from '../record/json.ts'
import { FILE_LIMITS } from '../record/limits.ts'
import { readRegularFile, whyUnread } from '../record/regular-file.ts'

/** A row as it stands in the file. */
export interface RawRow {
  /** counts from 1 */
  readonly number: number
  /** where it stands, in words: `row 3 (line 4) of "clients.csv"` */
  readonly place: string
  /** by the name of the column; an empty cell is an empty text */
  readonly cells: ReadonlyMap<string, string>
  /** of the cells of JSON that are no texts, what they are: `a boolean` */
  readonly kinds: ReadonlyMap<string, string>
}

export interface RawRows {
  /** the name of the file, without its folder */
  readonly name: string
  /** of its bytes, hex */
  readonly sha256: string
  readonly columns: readonly string[]
  /** the first line has the names of the columns */
  readonly isHeaded: boolean
  readonly rows: readonly RawRow[]
}

/** What reads each kind of file, by the end of its name. */
const READERS: Readonly<Record<string, (text: string, sheet: Sheet) => void>> = {
  '.csv': readCsv,
  '.json': readList,
  '.ndjson': readLines,
  '.jsonl': readLines,
}

/** So many problems are said one by one. */
const MOST_PROBLEMS = 50

/** @throws ToolError ROWS with every problem of the file */
export function readRows(file: string): RawRows {
  const name = basename(file)
  const read = READERS[extname(name).toLowerCase()]
  if (read === undefined) {
    return fail({
      code: 'ROWS',
      message: `"${name}" has no ending that says how its rows are written; nothing was sent`,
      expected: '.csv, .json, .ndjson or .jsonl',
    })
  }
  const bytes = bytesOf(file, name)
  const sheet = new Sheet(name)
  read(textOf(bytes, name), sheet)
  sheet.demandGood()
  const { columns, rows, isHeaded } = sheet
  return { name, sha256: hash('sha256', bytes), columns, isHeaded, rows }
}

/** Problems of rows: the first of them, and how many more there are. */
export function demandNone(problems: readonly Problem[], most: number = MOST_PROBLEMS): void {
  const shown = problems.slice(0, most)
  const more = problems.length - shown.length
  const { code = 'ROWS' } = shown[0] ?? {}
  if (more > 0) shown.push({ code, message: `and ${more} more problems of rows; nothing was sent` })
  if (isNonEmpty(shown)) throw new ToolError(shown)
}

function bytesOf(file: string, name: string): Buffer {
  try {
    return readRegularFile(file, FILE_LIMITS.rowsBytes.value)
  } catch (cause) {
    return fail({ code: 'ROWS', message: `"${name}" cannot be read: ${whyUnread(cause)}; nothing was sent` }, cause)
  }
}

function textOf(bytes: Buffer, name: string): string {
  try {
    // Takes a byte order mark away.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    return fail(
      {
        code: 'ROWS',
        message: `"${name}" is not UTF-8 text; nothing was sent`,
        hint: 'save it as UTF-8: in a spreadsheet "CSV UTF-8"',
      },
      cause,
    )
  }
}

/** What is read of a file: columns, rows, and what is wrong with them. */
class Sheet {
  readonly name: string
  readonly rows: RawRow[] = []
  /** the first line names the columns */
  isHeaded = false
  readonly #problems: Problem[] = []
  #columns: string[] = []

  constructor(name: string) {
    this.name = name
  }

  get columns(): readonly string[] {
    return this.#columns
  }

  /** The columns of a file that names them first. */
  header(names: readonly string[]): void {
    this.#columns = [...names]
    this.isHeaded = true
    const shared = { expected: 'a name of its own for each column, without blanks around it' }
    for (const [index, name] of names.entries()) {
      const place = `column ${index + 1} of "${this.name}"`
      if (name === '') this.problem(`${place} has no name`, shared)
      else if (name !== name.trim()) this.problem(`the name of ${place} has blanks around it`, shared)
      // A first line that is no header may hold secrets.
      else if (names.indexOf(name) !== index)
        this.problem(`${place} has the same name as column ${names.indexOf(name) + 1}`, shared)
    }
    if (names.length === 1 && /[;\t]/.test(names[0] ?? ''))
      this.problem(`the columns of "${this.name}" are not separated by commas`, {
        expected: 'commas between cells (RFC 4180)',
        found: /;/.test(names[0] ?? '') ? 'semicolons' : 'tabs',
      })
  }

  /** A row whose columns are in the row itself. */
  row(
    cells: ReadonlyMap<string, string>,
    line: number | undefined,
    kinds: ReadonlyMap<string, string> = new Map(),
  ): void {
    for (const name of cells.keys()) if (!this.#columns.includes(name)) this.#columns.push(name)
    const number = this.rows.length + 1
    const place = this.placeOf(line)
    if ([...cells.values()].every((cell) => cell === '')) this.problem(`${place} is empty`, { hint: 'take it out' })
    this.rows.push({ number, place, cells, kinds })
  }

  /** Where the next row stands. */
  placeOf(line: number | undefined): string {
    return `row ${this.rows.length + 1}${line === undefined ? '' : ` (line ${line})`} of "${this.name}"`
  }

  problem(message: string, rest: Partial<Problem> = {}): void {
    this.#problems.push({ code: 'ROWS', message: `${message}; nothing was sent`, ...rest })
  }

  demandGood(): void {
    demandNone(this.#problems)
    const most = FILE_LIMITS.rows.value
    const { length } = this.rows
    if (length > 0 && length <= most) return
    fail({
      code: 'ROWS',
      message: `"${this.name}" holds ${length === 0 ? 'no rows' : 'too many rows'}; nothing was sent`,
      expected: `1 to ${most} rows`,
      found: String(length),
      hint: length === 0 ? 'the first line of a CSV file names the columns' : 'split the file',
    })
  }
}

function readCsv(text: string, sheet: Sheet): void {
  const records = csvRecords(text, sheet)
  const [header, ...rows] = records
  if (header === undefined) return
  sheet.header(header.cells)
  for (const { cells, line } of rows) {
    if (cells.length !== header.cells.length) {
      sheet.problem(`${sheet.placeOf(line)} has another number of cells than there are columns`, {
        expected: String(header.cells.length),
        found: String(cells.length),
        hint: 'a cell with a comma stands in double quotes',
      })
    }
    sheet.row(new Map(header.cells.map((name, index) => [name, cells[index] ?? ''])), line)
  }
}

interface CsvRecord {
  readonly line: number
  readonly cells: readonly string[]
}

function csvRecords(text: string, sheet: Sheet): readonly CsvRecord[] {
  const records: CsvRecord[] = []
  let cells: string[] = []
  let [at, line, begun] = [0, 1, 1]
  while (at < text.length || cells.length > 0) {
    const found = text[at] === '"' ? quotedCell(text, at) : plainCell(text, at)
    if (found === undefined) {
      sheet.problem(`line ${line} of "${sheet.name}" is not CSV`, {
        expected:
          'cells in double quotes with each quote in them doubled, or without any; commas; line breaks LF or CRLF',
      })
      return records
    }
    cells.push(found.cell)
    line += text.slice(at, found.end).split('\n').length - 1
    at = found.end
    if (found.isFollowed) continue
    // A line that is empty ends the file, or stands between others, and is no row.
    if (cells.length > 1 || cells[0] !== '') records.push({ line: begun, cells })
    cells = []
    begun = line
  }
  return records
}

interface Cell {
  readonly cell: string
  /** after the comma or the line break that ends it */
  readonly end: number
  /** another cell of the row comes next */
  readonly isFollowed: boolean
}

function quotedCell(text: string, start: number): Cell | undefined {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end === -1 ? undefined : endedCell(text.slice(start + 1, end).replaceAll('""', '"'), text, end + 1)
}

const PLAIN = /[^",\r\n]*/y

function plainCell(text: string, start: number): Cell | undefined {
  PLAIN.lastIndex = start
  const [cell = ''] = PLAIN.exec(text) ?? []
  return endedCell(cell, text, start + cell.length)
}

const END = /,|\r?\n|$/y

function endedCell(cell: string, text: string, at: number): Cell | undefined {
  END.lastIndex = at
  const [end] = END.exec(text) ?? []
  return end === undefined ? undefined : { cell, end: at + end.length, isFollowed: end === ',' }
}

function readList(text: string, sheet: Sheet): void {
  const read = readJson(text)
  if (!read.ok || !Array.isArray(read.value)) {
    sheet.problem(`"${sheet.name}" is not a list of rows`, {
      expected: 'a JSON list of objects',
      found: read.ok ? 'other JSON' : read.what,
    })
    return
  }
  refuseRepeated(text, sheet, (row) => `row ${row} of "${sheet.name}"`)
  for (const value of read.value) addObject(value, undefined, sheet)
}

function readLines(text: string, sheet: Sheet): void {
  for (const [index, written] of text.split('\n').entries()) {
    if (written.trim() === '') continue
    const read = readJson(written)
    if (read.ok) {
      refuseRepeated(`[${written}]`, sheet, () => sheet.placeOf(index + 1))
      addObject(read.value, index + 1, sheet)
    } else
      sheet.problem(`${sheet.placeOf(index + 1)} cannot be read`, {
        expected: 'a JSON object on one line',
        found: read.what,
      })
  }
}

const NAMES = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{}]/g

/** Members with one name in an object of a list in JSON: JSON.parse keeps the last of them. */
function refuseRepeated(list: string, sheet: Sheet, placeOf: (row: number) => string): void {
  const open: Set<string>[] = []
  let row = 0
  for (const [part, colon] of list.matchAll(NAMES)) {
    if (part === '{' || part === '[') {
      if (part === '{' && open.length === 1) row += 1
      open.push(new Set())
    } else if (part === '}' || part === ']') open.pop()
    else if (colon !== undefined) {
      const name = String(JSON.parse(part.slice(0, -colon.length)))
      if (open.at(-1)?.has(name)) sheet.problem(`${placeOf(row)} has the member "${name}" twice`)
      open.at(-1)?.add(name)
    }
  }
}

function addObject(value: unknown, line: number | undefined, sheet: Sheet): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject) sheet.problem(`${sheet.placeOf(line)} is no JSON object`)
  const members = Object.entries(isObject ? value : { '': 'no object' })
  const cells = members.map(
    ([name, cell]) => [name, cell === null ? '' : typeof cell === 'string' ? cell : writeJson(cell)] as const,
  )
  const others = members.flatMap(([name, cell]) => (typeof cell === 'string' ? [] : [[name, kindOf(cell)] as const]))
  sheet.row(new Map(cells), line, new Map(others))
}

function kindOf(cell: unknown): string {
  if (cell === null) return 'null'
  return Array.isArray(cell) ? 'a list' : typeof cell === 'object' ? 'an object' : `a ${typeof cell}`
}
