/** Exported requests as a collection of Postman, as curl commands, and as a HAR archive. Pure. */
import { json, oneLine } from '../../record/foreign.ts'
import { certificateSettings, curlCommand, type Parts, shellVariable } from '../../report/curl.ts'
import type { After, Exported, ExportedRequest } from './requests.ts'

interface Named {
  readonly title: string
  /** variables that a person sets */
  readonly toSet: readonly string[]
}

/** Version 2.1: a folder for each workflow. */
export function postmanCollection(
  { requests, wanted }: Exported,
  { title, toSet }: Named,
  afterOf: (request: ExportedRequest) => After,
): string {
  const folders = [...Map.groupBy(requests, ({ workflowId }) => workflowId)].map(([name, all]) => ({
    name,
    item: all.map((request) => item(request, afterOf(request))),
  }))
  const variables = [...toSet, ...wanted.map(({ variable }) => variable)]
  return json({
    info: {
      name: title,
      description:
        'Exported by thredd. The client certificate is set in Postman, or with newman --ssl-client-cert and --ssl-client-key.',
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    item: folders,
    variable: variables.map((key) => ({ key, value: '' })),
  })
}

function item({ name, method, url, headers, form, body }: ExportedRequest, { status, captures }: After) {
  const lines = [
    ...(status === undefined ? [] : [`pm.test('status ${status}', () => pm.response.to.have.status(${status}))`]),
    ...captures.flatMap(({ variable, expression }) => {
      const value = scriptOf(expression)
      return value === undefined ? [] : [`pm.environment.set('${variable}', ${value})`]
    }),
  ]
  return {
    name,
    request: {
      method,
      header: ownHeaders({ headers, form }).map(([key, value]) => ({ key, value })),
      url,
      ...(form === undefined
        ? {}
        : { body: { mode: 'urlencoded', urlencoded: form.map(([key, value]) => ({ key, value })) } }),
      ...(body === undefined ? {} : { body: { mode: 'raw', raw: body } }),
    },
    ...(lines.length === 0 ? {} : { event: [{ listen: 'test', script: { type: 'text/javascript', exec: lines } }] }),
  }
}

/** An expression on an answer as Postman's scripts read it. */
function scriptOf(expression: string): string | undefined {
  if (expression === '$response.body') return 'pm.response.text()'
  const header = /^\$response\.header\.([\w-]+)$/.exec(expression)?.[1]
  if (header !== undefined) return `pm.response.headers.get('${header}')`
  const path = pathOf(expression)
  return path === undefined ? undefined : `pm.response.json()${path}`
}

/** The members that lead to a part of a body, as JavaScript has them. */
function pathOf(expression: string): string | undefined {
  const pointer = /^\$response\.body#((?:\/[\w.-]+)+)$/.exec(expression)?.[1]
  return pointer
    ?.split('/')
    .slice(1)
    .map((part) => `['${part}']`)
    .join('')
}

/** For a POSIX shell; Node.js takes out of an answer what later requests need. */
export function curlScript(
  { requests, ownAuthorities }: Exported,
  { toSet }: Named,
  afterOf: (request: ExportedRequest) => After,
): string {
  const certificates = requests.flatMap(({ identity }) => certificateSettings(identity))
  const all = [...new Set([...certificates, ...(ownAuthorities ? ['CA_FILE'] : []), ...toSet])]
  const head = all.length === 0 ? '' : `# to be set: ${all.map(shellVariable).join(', ')}\n`
  return `#!/bin/sh\n${head}${requests.map((one) => commandOf(one, ownAuthorities, afterOf(one))).join('\n')}`
}

function commandOf(
  { name, workflowId, identity, method, url, headers, form, body }: ExportedRequest,
  ownAuthorities: boolean,
  { captures }: After,
): string {
  const command = curlCommand({
    ...{ method, identity, ownAuthorities, url: partsOf(url) },
    headers: ownHeaders({ headers, form }).map(([key, value]) => [key, partsOf(value)]),
    fields: (form ?? []).map(([key, value]) => [key, partsOf(value)]),
    body: body === undefined ? undefined : partsOf(body),
  })
  const taken = captures.flatMap(({ variable, expression }) => {
    const path = expression === '$response.body' ? undefined : pathOf(expression)
    if (path === undefined && expression !== '$response.body')
      return [`# ${shellVariable(variable)} is ${oneLine(expression)} of this answer: set it by hand`]
    const value =
      path === undefined
        ? '"$answer"'
        : `$(printf %s "$answer" | node -p "JSON.parse(fs.readFileSync(0, 'utf8'))${path}")`
    return [`${shellVariable(variable)}=${value}`]
  })
  const lines = captures.length === 0 ? [command] : [`answer=$(${command})`, `printf '%s\\n' "$answer"`, ...taken]
  return `# ${oneLine(`${workflowId}: ${name}`)}\n${lines.join('\n')}\n`
}

function partsOf(text: string): Parts {
  return text.split(/(\{\{\w+\}\})/).map((part) => {
    const variable = /^\{\{(\w+)\}\}$/.exec(part)?.[1]
    return variable === undefined ? part : { variable }
  })
}

/** Without the type of a form, which Postman and curl set themselves. */
function ownHeaders({ headers, form }: Pick<ExportedRequest, 'headers' | 'form'>): ExportedRequest['headers'] {
  return headers.filter(([name]) => form === undefined || !/^content-type$/i.test(name))
}

/** Requests without answers: status 0, as browsers write a request that got none. */
export function harArchive({ requests }: Exported, version: string): string {
  return json({
    log: {
      version: '1.2',
      creator: { name: 'thredd-dcr', version },
      entries: requests.map(({ name, method, url, headers, form, body }) => ({
        startedDateTime: '1970-01-01T00:00:00.000Z',
        time: 0,
        request: {
          method,
          url,
          httpVersion: 'HTTP/1.1',
          cookies: [],
          headers: headers.map(([key, value]) => ({ name: key, value })),
          queryString: [...(URL.parse(url)?.searchParams ?? [])].map(([key, value]) => ({ name: key, value })),
          ...(form === undefined && body === undefined ? {} : { postData: postData(headers, form, body) }),
          headersSize: -1,
          bodySize: -1,
        },
        response: {
          status: 0,
          statusText: '',
          httpVersion: 'HTTP/1.1',
          cookies: [],
          headers: [],
          content: { size: 0, mimeType: 'x-unknown' },
          redirectURL: '',
          headersSize: -1,
          bodySize: -1,
        },
        cache: {},
        timings: { send: 0, wait: 0, receive: 0 },
        comment: `step ${name}; secrets are variables`,
      })),
    },
  })
}

function postData(headers: ExportedRequest['headers'], form: ExportedRequest['form'], body: string | undefined) {
  const mimeType = headers.find(([name]) => /^content-type$/i.test(name))?.[1] ?? ''
  if (form === undefined) return { mimeType, params: [], text: body ?? '' }
  return { mimeType, params: form.map(([name, value]) => ({ name, value })), text: '' }
}
