/** What an import of Postman's files would write, before anything is written. Nothing in it is shown but names, places and addresses. */

import { classOf } from '../../environment/hosts.ts'
import { enumerated, fail } from '../../record/errors.ts'
import { type Accounted, account } from './account.ts'
import { requestsIn } from './collection.ts'
import { type Imported, importedFlow, type Surroundings } from './flow.ts'
import { type ReadRequest, recognised } from './recognise.ts'
import { isSecret } from './secrets.ts'
import { type Carried, type Setting, settingsIn } from './settings.ts'
import { type Source, textOf } from './source.ts'
import { variablesOf } from './variables.ts'

export interface Target {
  /** of the environment that is written to */
  readonly name: string
  readonly class: 'mock' | 'uat' | 'prod'
  /** the value that a setting has there now; undefined for a secret */
  readonly valueOf: (name: string) => string | undefined
  /** the path from flows/imported to the flows of the package */
  readonly flows: string
  /** the metadata that the flow register sends */
  readonly registerBody: Readonly<Record<string, unknown>>
}

export interface ImportPlan {
  readonly carried: Carried
  readonly imported: Imported
  /** settings that are not yet as the environment has them; each with a value that an environment file can hold */
  readonly settings: readonly Setting[]
  /** settings that the environment has as they are */
  readonly same: readonly Setting[]
  readonly requests: readonly ReadRequest[]
  readonly accounts: readonly Accounted[]
  readonly warnings: readonly string[]
  /** of the collection, for names of files; undefined where only environments were given */
  readonly collection: string | undefined
}

/** @throws ToolError IMPORT where the files contradict each other or the environment */
export function planImport(sources: readonly Source[], target: Target): ImportPlan {
  const collections = sources.filter(({ kind }) => kind === 'collection')
  if (collections.length > 1)
    fail({
      code: 'IMPORT',
      message: `${collections.length} collections are given`,
      found: enumerated(collections.map(({ name }) => `"${name}"`)),
      hint: 'import one collection at a time, each with its environment',
    })
  const variables = variablesOf(sources)
  const requests = recognised(collections.flatMap((source) => requestsIn(source, variables)))
  const carried = settingsIn(sources, variables, requests)
  const collection = collections[0] && nameOf(collections[0])
  const imported = importedFlow(requests, surroundingsOf(collection ?? 'Postman', carried, target))
  const all = distinct([...carried.settings, ...imported.settings])
  demandClass(sources, { carried, settings: all }, target)
  const isSame = ({ name, value }: Setting) => target.valueOf(name) === value
  const bodies = { register: target.registerBody, scopes: all.find(({ name }) => name === 'SCOPES')?.value }
  return {
    carried,
    imported,
    settings: all.filter((one) => !isSame(one)),
    same: all.filter(isSame),
    requests,
    accounts: account(sources, { requests, imported, bodies }),
    warnings: [...carried.warnings, ...sources.flatMap((source) => misnamed(source, target))],
    collection,
  }
}

function nameOf({ data, name }: Source): string {
  const info = data.info as Readonly<Record<string, unknown>> | undefined
  const own = textOf(info?.name)
  return own === undefined || isSecret('', own) ? name : own
}

/** Imported calls to these servers use the names that our flows use; calls to any other server get a source description of their own. */
const SHARED = ['SERVER_CARDS', 'SERVER_API_HUB', 'SERVER_KEYSTORE', 'SERVER_DIRECTORY', 'SERVER_DIRECTORY_API']

function surroundingsOf(name: string, { settings }: Carried, target: Target): Surroundings {
  const known = SHARED.flatMap((setting): [string, string][] => {
    const value = settings.find((one) => one.name === setting)?.value ?? target.valueOf(setting)
    return value === undefined ? [] : [[value, setting.slice('SERVER_'.length).toLowerCase()]]
  })
  return { name, known: new Map(known), flows: target.flows }
}

function distinct(settings: readonly Setting[]): readonly Setting[] {
  return [...new Map(settings.toReversed().map((one) => [one.name, one])).values()].toReversed()
}

interface Written {
  readonly carried: Carried
  readonly settings: readonly Setting[]
}

/** Values of production do not go into a test environment, nor the other way round. */
function demandClass(sources: readonly Source[], { carried, settings }: Written, target: Target): void {
  const wrong = target.class === 'prod' ? 'uat' : 'prod'
  const addresses = [
    ...settings.filter(({ name }) => name.startsWith('SERVER_')),
    ...Object.entries(carried.registration ?? {}).map(([name, value]) => ({ name, value })),
  ]
  const found = addresses.filter(({ value }) => classOf(value) === wrong)
  if (found.length === 0) return
  const [is, other] = wrong === 'prod' ? ['production', 'prod'] : ['UAT', 'uat']
  fail({
    code: 'IMPORT',
    message: `${enumerated(sources.map(({ name }) => `"${name}"`))} hold addresses of ${is}, and the environment "${target.name}" is of class ${target.class}; nothing was written`,
    found: enumerated(found.map(({ name, value }) => `${name} ${URL.parse(value)?.hostname ?? ''}`)),
    hint: `give the files of the environment that is meant, or import them with --env ${other}`,
  })
}

function misnamed(source: Source, target: Target): readonly string[] {
  const name = textOf(source.data.name) ?? ''
  const isProduction = /\b(?:prod|production|live)\b/i.test(name) && !/\b(?:pre|non|not)\b/i.test(name)
  if (source.kind === 'collection' || target.class === 'prod' || !isProduction) return []
  return [
    `"${source.name}" is called like an environment of production, and "${target.name}" is of class ${target.class}`,
  ]
}
