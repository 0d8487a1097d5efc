/**
 * Loads an Arazzo document and all documents that its source descriptions name, before anything in them is resolved. All are
 * local files: a document named by a URL is the local file whose `$self` is that URL. Opens no connection.
 * @see [Arazzo 1.1 Parsing Documents](https://spec.openapis.org/arazzo/v1.1.0.html#parsing-documents)
 */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Problem, ToolError } from '../../record/errors.ts'
import { FILE_LIMITS } from '../../record/limits.ts'
import { textIfReadable } from '../../record/regular-file.ts'
import { readFlowDocument } from '../document/document.ts'
import { type Fields, isRecord } from '../document/fields.ts'
import type { Document, Path } from '../document/model.ts'
import { type ApiDescription, readApiDescription } from '../openapi/description.ts'
import { checkComponents } from './components.ts'
import { items, type Reading, textOf, unique } from './scope.ts'
import { ARAZZO, Reader } from './structure.ts'
import { shapesOf } from './workflow.ts'

/** One Arazzo document of a library. */
export interface Volume extends Reading {
  readonly title: string
  readonly others: ReadonlyMap<string, Volume>
}

/** The volume of `document`, with the others that it refers to. Problems of all of them are added to `problems`. */
export async function openLibrary(document: Document, problems: Problem[]): Promise<Volume> {
  return await new Library(problems).open(document)
}

class Library {
  readonly #problems: Problem[]
  readonly #volumes = new Map<string, Volume>()
  readonly #descriptions = new Map<string, ApiDescription>()
  readonly #identities = new Map<string, Promise<ReadonlyMap<string, string>>>()

  constructor(problems: Problem[]) {
    this.#problems = problems
  }

  async open(document: Document): Promise<Volume> {
    const reader = new Reader(document, this.#problems)
    const root = reader.object([], 'the document', ARAZZO.document) ?? {}
    if (typeof root.arazzo === 'string' && !/^1\.[01]\.\d+/.test(root.arazzo)) {
      reader.add(
        {
          code: 'FLOW_UNSUPPORTED',
          message: 'this version of Arazzo is not supported',
          expected: '1.0.x or 1.1.x',
          found: root.arazzo,
        },
        ['arazzo'],
      )
    }
    const info = root.info === undefined ? undefined : reader.object(['info'], 'info', ARAZZO.info)
    const sources = new Map<string, ApiDescription>()
    const others = new Map<string, Volume>()
    const volume: Volume = {
      reader,
      self: selfOf(reader, root),
      title: String(info?.title),
      sources,
      others,
      shapes: shapesOf(reader),
    }
    // Stored before its sources are read, since documents may refer to each other.
    this.#volumes.set(document.file, volume)
    for (const index of items(root.sourceDescriptions).keys()) await this.#source(volume, index, { sources, others })
    unique(reader, ['sourceDescriptions'], items(root.sourceDescriptions), 'name')
    checkComponents(reader)
    unique(reader, ['workflows'], items(root.workflows), 'workflowId')
    return volume
  }

  async #source(
    volume: Volume,
    index: number,
    { sources, others }: { readonly sources: Map<string, ApiDescription>; readonly others: Map<string, Volume> },
  ): Promise<void> {
    const { reader } = volume
    const path: Path = ['sourceDescriptions', index]
    const what = reader.nameOf(path, 'source description', 'name')
    const { name, url, type } = reader.object(path, what, ARAZZO.source) ?? {}
    if (typeof name !== 'string' || typeof url !== 'string') return
    if (!/^[A-Za-z0-9_-]+$/.test(name)) {
      const message = `source description name "${name}" is not usable`
      reader.add({ code: 'FLOW_STRUCTURE', message, expected: 'letters, digits, "_" and "-"' }, [...path, 'name'])
    }
    if (type === 'asyncapi') return
    const file = await this.#fileOf(volume, { name, url, path: [...path, 'url'] })
    if (file === undefined) return
    const at = reader.document.at([...path, 'url'])
    try {
      if (type === 'arazzo' || (type === undefined && (await isArazzo(file)))) {
        const known = this.#volumes.get(file)
        others.set(name, known ?? (await this.open(await readFlowDocument(file, 'Arazzo document', at))))
      } else {
        const description = this.#descriptions.get(file) ?? (await readApiDescription(file, at, this.#problems))
        this.#descriptions.set(file, description)
        sources.set(name, description)
      }
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      for (const problem of error.problems) if (!this.#problems.includes(problem)) this.#problems.push(problem)
    }
  }

  /** The file that a source description names: a relative one beside the document, or one whose `$self` is the URL. */
  async #fileOf(
    { reader, self }: Volume,
    { name, url, path }: { readonly name: string; readonly url: string; readonly path: Path },
  ): Promise<string | undefined> {
    const { file } = reader.document
    const folder = dirname(file)
    const isRelative = !/^[a-z][a-z0-9+.-]+:/i.test(url)
    const target = URL.parse(url, self ?? pathToFileURL(file).href)
    if (isRelative && self === undefined) return resolve(folder, url)
    if (isRelative && target?.protocol === 'file:') return fileURLToPath(target)
    const identity = target?.href ?? url
    const identities = await this.#identitiesIn(folder)
    const byIdentity = [...identities].find(([, one]) => one === identity)?.[0]
    if (byIdentity !== undefined) return byIdentity
    // In a set of documents copied as a whole the relative path stays the same. A file with another `$self` is not taken.
    const mirrored = resolve(folder, url)
    if (isRelative && existsSync(mirrored) && !identities.has(mirrored)) return mirrored
    reader.add(
      {
        code: 'FLOW_UNSUPPORTED',
        message: `source description "${name}" is not a file`,
        expected: 'a relative path, or the $self of a document in the same folder',
        found: identity,
        hint: 'keep the API description beside the flow: a run opens no connection but to its target',
      },
      path,
    )
    return undefined
  }

  /** Files of a folder, by their absolute `$self`. */
  #identitiesIn(folder: string): Promise<ReadonlyMap<string, string>> {
    const known = this.#identities.get(folder) ?? identitiesIn(folder)
    this.#identities.set(folder, known)
    return known
  }
}

/** More documents than a set has; limits the search. */
const MOST_FILES = FILE_LIMITS.documents.value
const SELF = /^\s*["']?\$self["']?\s*:\s*["']?([a-z][a-z0-9+.-]*:[^\s"',}]+)/im

async function identitiesIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder)).filter((name) => /\.(?:ya?ml|json)$/.test(name)).slice(0, MOST_FILES)
  const found = new Map<string, string>()
  for (const name of names) {
    const file = join(folder, name)
    const self = SELF.exec(textIfReadable(file))?.[1]
    if (self !== undefined) found.set(file, URL.parse(self)?.href ?? self)
  }
  return found
}

async function isArazzo(file: string): Promise<boolean> {
  const text = textIfReadable(file)
  return /^\uFEFF?\s*\{?\s*["']?arazzo["']?\s*:/m.test(text) && !/^["']?openapi["']?\s*:/m.test(text)
}

/** The base of relative references and the value of `$self`: as written, resolved against where the document lies. */
function selfOf(reader: Reader, root: Fields): string | undefined {
  const self = isRecord(root) ? textOf(root.$self) : undefined
  if (self === undefined) return undefined
  const resolved = URL.parse(self, pathToFileURL(reader.document.file).href)
  if (resolved === null || self.includes('#')) {
    const message = self.includes('#') ? '"$self" has a fragment' : '"$self" is not a URI'
    reader.add({ code: 'FLOW_STRUCTURE', message, expected: 'a URI without "#"' }, ['$self'])
    return undefined
  }
  return resolved.href
}
