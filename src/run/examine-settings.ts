/** What an environment's own files say: the settings, who may read them, and whether names and addresses are those they seem. */
import { statSync } from 'node:fs'
import { relative } from 'node:path'
import { classOf, type ServerName, serverOf } from '../environment/hosts.ts'
import type { Environment } from '../environment/index.ts'
import { readRoles, rolesIn, unknownRoles } from '../plan/roles.ts'
import { attempt } from '../record/errors.ts'
import { shellWord } from '../record/hints.ts'
import { count } from '../report/words.ts'
import { openMode } from '../vault/index.ts'
import { type Examined, problemRow } from './examined.ts'

export async function settingRows(
  environment: Environment,
  { folders, isOnTwin }: { readonly folders: readonly string[]; readonly isOnTwin: boolean },
): Promise<readonly Examined[]> {
  return [
    ...fileRows(environment),
    ...clientRows(environment),
    ...(await roleRows(environment, folders)),
    ...(isOnTwin ? [] : [...serverRows(environment), ...modeRows(environment)]),
  ]
}

function fileRows({ class: environmentClass, files, folder, servers, warnings }: Environment): readonly Examined[] {
  const names = files.map((file) => relative(folder, file))
  return [
    {
      area: 'settings',
      what: 'files',
      state: 'good',
      sentence: `${names.join(' over ')}: class ${environmentClass}, ${count(servers.size, 'server')}`,
    },
    ...warnings.map((sentence): Examined => ({ area: 'settings', what: 'files', state: 'remark', sentence })),
  ]
}

/** Documented: the client id ends with the id of the application. */
function clientRows({ setting, localFile }: Environment): readonly Examined[] {
  const [client, software] = ['client_id', 'software_id'].map((name) => setting(name)?.value)
  if (typeof client !== 'string' || typeof software !== 'string') return []
  const sentence = `CLIENT_ID ${client} and SOFTWARE_ID ${software}`
  return client.split('/').at(-1) === software
    ? [{ area: 'settings', what: 'client', state: 'good', sentence: `${sentence} are of one application` }]
    : [
        {
          area: 'settings',
          what: 'client',
          state: 'remark',
          sentence: `${sentence} may be of two applications: a client id ends with the id of its application`,
          remedy: `copy both from Thredd CA > Applications > (application) > Details into ${localFile}`,
        },
      ]
}

async function roleRows({ setting, localFile }: Environment, folders: readonly string[]): Promise<readonly Examined[]> {
  const row = { area: 'settings', what: 'ROLES' } as const
  const { value: catalogue, problems } = await attempt(() => readRoles(folders))
  if (catalogue === undefined) return problems.map((problem) => problemRow(row.area, row.what, problem))
  return unknownRoles(rolesIn(setting('roles')?.value) ?? [], catalogue).map((sentence) => ({
    ...row,
    state: 'remark',
    sentence,
    remedy: `copy the roles from Thredd CA > Applications > (application) into ${localFile}`,
  }))
}

/** One may stand for the other: no public page says which host has the software statement (docs/ask-thredd.md, question 3). */
const ONE_HOST: readonly ServerName[] = ['DIRECTORY_MTLS', 'DIRECTORY_API']

/** Addresses whose hosts are documented as those of another server, or of another class of environments. */
function serverRows({ servers, class: environmentClass, localFile, setting }: Environment): readonly Examined[] {
  return [...servers].flatMap(([source, url]): readonly Examined[] => {
    const name = source.toUpperCase()
    const file = setting(`server_${source}`)?.origin.at?.file ?? localFile
    const row = { area: 'settings', what: `SERVER_${name}`, state: 'wrong' } as const
    const is = serverOf(url)
    const of = classOf(url)
    const isKnown = Object.hasOwn(SERVES, name)
    const isOther = is !== undefined && is !== name && !(ONE_HOST.includes(is) && ONE_HOST.some((one) => one === name))
    if (isKnown && isOther) {
      const other = servers.get(is.toLowerCase())
      const areExchanged = other !== undefined && serverOf(other) === name
      return [
        {
          ...row,
          sentence: `${url} is ${SERVES[is]}, and not ${SERVES[name as ServerName]}`,
          remedy: areExchanged
            ? `exchange the values of SERVER_${name} and SERVER_${is} in ${file}`
            : `write the address of ${SERVES[name as ServerName]} as SERVER_${name} into ${file}; docs/environment.md names the documented one`,
        },
      ]
    }
    if (of === undefined || environmentClass === 'mock' || of === environmentClass) return []
    const [its, ours] = [of, environmentClass].map((one) => (one === 'prod' ? 'production' : 'UAT'))
    const remedy = `write the address of ${ours} as SERVER_${name} into ${file}, or use the environment of ${its}`
    return [
      {
        ...row,
        sentence: `${url} is an address of ${its}, and this environment is of class ${environmentClass}`,
        remedy,
      },
    ]
  })
}

/** What answers at the documented hosts. */
export const SERVES: Readonly<Record<ServerName, string>> = {
  DIRECTORY: 'the directory without certificate',
  DIRECTORY_MTLS: 'the token endpoint of the directory, with certificate',
  DIRECTORY_API: 'the API of the directory',
  KEYSTORE: 'the keystore',
  AUTHORIZATION: 'the authorization server',
  CARDS: 'the Cards API',
  API_HUB: 'the API Hub',
}

/** Keys and settings of one's own that other users of the machine can read. */
function modeRows({ files, folder, identities, signing, renewedSigning }: Environment): readonly Examined[] {
  const named = [
    ...files.filter((file) => file.endsWith('.local')),
    ...[...identities.values()].flatMap(({ keyFile, pfxFile }) => [keyFile, pfxFile]),
    ...[signing.key, renewedSigning.key],
  ]
  const own = new Set(named.filter((one) => typeof one === 'string'))
  return [...own].flatMap((file): readonly Examined[] => {
    const facts = statSync(file, { throwIfNoEntry: false })
    const mode = facts && openMode(facts)
    if (mode === undefined) return []
    const sentence = `other users of this machine can open ${relative(folder, file)} (mode ${mode})`
    const remedy = `chmod 600 ${shellWord(file)}`
    return [{ area: 'settings', what: 'file modes', state: 'remark', sentence, remedy }]
  })
}
