/**
 * The server that a step's request goes to. The environment sets it. The servers of the OpenAPI description are used for hints, and
 * to refuse a server that the description gives to other operations only.
 */
import type { Environment } from '../environment/index.ts'
import { OPEN_QUESTIONS } from '../environment/variables.ts'
import { asText, type Context, evaluate, render, type Template } from '../flow/expression/expression.ts'
import type { CallStep, Flow } from '../flow/index.ts'
import type { Problems } from './problems.ts'

type Sources = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** Chooses the server of each call; remembers the first call to each server of a description, to compare the later ones with it. */
export class ServerChoice {
  readonly #environment: Environment
  readonly #problems: Problems
  readonly #first = new Map<string, CallStep>()

  constructor(environment: Environment, problems: Problems) {
    this.#environment = environment
    this.#problems = problems
  }

  /** The base URL for a step; undefined, with a problem, where none is set. Also a problem: the description names another one. */
  serverOf(step: CallStep, flow: Flow): string | undefined {
    const source = flow.sources.get(step.source)
    const setting = settingOf(step.source)
    const own = source?.['x-serverUrl']
    const documented = typeof own === 'string' ? [own] : step.operation.servers
    const server = this.#environment.servers.get(setting)
    const variable = `SERVER_${setting.toUpperCase()}`
    if (server === undefined) {
      this.#problems.add(variable, {
        code: 'ENV_MISSING',
        message: `${variable} is not set; step "${step.stepId}" calls source description "${step.source}"`,
        at: step.at,
        expected:
          this.#environment.class === 'prod' || documented.every((url) => url === '/')
            ? undefined
            : `a URL; the description says ${listed(documented)}`,
        hint: serverHint(step.source, this.#environment, documented),
      })
    } else if (typeof own !== 'string' && step.url === undefined) {
      this.#checkMeant(step, { server, variable, url: String(source?.url) })
      this.#checkRepetition(step, { server, variable })
    }
    return server
  }

  /** A base URL that was copied with the beginning of the paths, which a description has in the paths themselves. */
  #checkRepetition({ operation, at }: CallStep, { server, variable }: { server: string; variable: string }): void {
    const { path, servers } = operation
    const repeated = repeatedIn(server, path)
    if (repeated === undefined || servers.some((one) => one.replace(/\/$/, '').endsWith(repeated))) return
    this.#problems.add(`${variable} ${repeated}`, {
      code: 'ENV_INVALID',
      message: `${variable} ends with "${repeated}", with which the path of "${operation.operationId}" begins as well`,
      at,
      expected: server.slice(0, server.lastIndexOf(repeated)),
      found: server,
      hint: `take "${repeated}" from the end of ${variable}`,
    })
  }

  /** An operation or a path may have servers of its own, while the environment sets one for the whole description. */
  #checkMeant(step: CallStep, { server, variable, url }: { server: string; variable: string; url: string }): void {
    const { operationId, servers, description } = step.operation
    const key = `${variable} ${description?.document.file}`
    const first = this.#first.get(key) ?? step
    this.#first.set(key, first)
    const isMeant = (other: readonly string[]) => servers.some((one) => other.includes(one))
    const others = description?.servers ?? []
    const isOfOthers = others.includes(server) && !servers.includes(server)
    if (isMeant(first.operation.servers) && !isOfOthers) return
    const instead = isOfOthers ? server : listed(first.operation.servers)
    const of = isOfOthers ? 'other operations' : `"${first.operation.operationId}" of step "${first.stepId}"`
    this.#problems.add(`server of operation ${operationId}`, {
      code: 'ENV_INVALID',
      message: `${variable} is the server of ${of}, and "${operationId}" of step "${step.stepId}" is served elsewhere`,
      at: step.at,
      expected: listed(servers),
      found: instead,
      hint: `name the description once more, sourceDescriptions: [{ name: other, url: ${url} }], call $sourceDescriptions.other.${operationId}, and ${serverHint('other', this.#environment, servers)}`,
    })
  }
}

/** The whole segments with which a base URL ends and a path begins. */
function repeatedIn(server: string, path: string): string | undefined {
  const segments = new URL(server).pathname.split('/').filter((segment) => segment !== '')
  const ends = segments.map((_, index) => `/${segments.slice(index).join('/')}`)
  return ends.find((end) => `${path}/`.startsWith(`${end}/`))
}

/** The host of a URL that the step gives itself. It must be known before the run, so that ALLOWED_HOSTS can be checked. */
export function hostNamedBy(
  step: CallStep,
  around: { readonly environment: Environment; readonly problems: Problems; readonly known: Context },
): string | undefined {
  const { environment, problems, known } = around
  const start = step.url === undefined ? '' : startOf(step.url, known)
  const origin = /^(https?:\/\/[^/?#]+)(?:[/?#]|$)/.exec(start)?.[1]
  if (origin !== undefined && URL.canParse(origin)) return origin
  const source = step.url?.references.find(
    (one) => one.kind === 'sourceDescriptions' && SERVER_FIELD.test(one.reference),
  )
  if (source?.kind === 'sourceDescriptions' && evaluate(source, known) === undefined) {
    const variable = `SERVER_${settingOf(source.source).toUpperCase()}`
    problems.add(variable, {
      code: 'ENV_MISSING',
      message: `${variable} is not set; step "${step.stepId}" calls "${step.url?.text}"`,
      at: step.at,
      hint: serverHint(source.source, environment),
    })
    return undefined
  }
  problems.add(`${step.at.file}:${step.at.line}`, {
    code: 'INPUT_MISSING',
    message: `the host that step "${step.stepId}" calls is not known before the run`,
    at: step.at,
    found: step.url?.text,
    hint: 'write it, or read it from an input or from $sourceDescriptions.<name>.servers.0.url',
  })
  return undefined
}

/** The source descriptions as expressions read them: fields as written, but with the server that the environment sets. */
export function sourcesOf({ sources }: Flow, environment: Environment): Sources {
  return new Map(
    [...sources].map(([name, fields]) => {
      const url = environment.servers.get(settingOf(name))
      return [name, url === undefined ? fields : { ...fields, 'servers.0': url, 'servers.0.url': url }]
    }),
  )
}

const SERVER_FIELD = /^servers\.0(?:\.url)?$/

/** The name of a source in variables: `SERVER_API_HUB` is that of "api-hub". */
export function settingOf(source: string): string {
  return source.toLowerCase().replaceAll('-', '_')
}

/**
 * How to set a server, with the documented URL where the description has a whole one. Never for production: the first
 * documented URL is that of UAT, and a call to it with what belongs to production must not be one copied line away.
 */
export function serverHint(
  source: string,
  { localFile, class: environmentClass }: Environment,
  documented: readonly string[] = [],
): string {
  const variable = `SERVER_${settingOf(source).toUpperCase()}`
  const [first = ''] = documented
  const isWhole = (url: string) => URL.canParse(url) && /^https?:/.test(url)
  const whole = environmentClass === 'prod' ? undefined : documented.find(isWhole)
  const url = whole ?? `https://…${/^\/./.test(first) ? first : ''}`
  return `write ${variable}=${url} into ${localFile}, or use --server ${source}=${url}${askFor(variable)}`
}

/** The question to ask Thredd for a value that no public page has; '' for any other variable. */
export function askFor(variable: string): string {
  const question = OPEN_QUESTIONS[variable]
  return question === undefined
    ? ''
    : `; where no page documents it, ask Thredd: docs/ask-thredd.md, question ${question}`
}

function listed(urls: readonly string[]): string {
  const [last = ''] = urls.slice(-1)
  return urls.length < 2 ? last : `${urls.slice(0, -1).join(', ')} or ${last}`
}

/** The text of a template up to the first part that has no value yet. */
function startOf(template: Template, context: Context): string {
  if (template.kind !== 'embedded') {
    const whole = render(template, context)
    return whole.ok ? asText(whole.value) : ''
  }
  let text = ''
  for (const part of template.parts) {
    const value = typeof part === 'string' ? part : evaluate(part, context)
    if (value === undefined) return text
    text += asText(value)
  }
  return text
}
