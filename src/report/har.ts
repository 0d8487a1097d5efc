/** HTTP Archive 1.2, which browsers' developer tools open: a page for each workflow, an entry for each exchange. */
import { createRequire } from 'node:module'
import type { Exchange, StepRecord } from '../record/index.ts'
import { jsonWithList } from './json.ts'
import type { ReportedRun } from './summary.ts'
import { workflowInWords } from './words.ts'

/** By `require`, since an import reads every export of node:http, and reading one of them loads a second copy of undici. */
const { STATUS_CODES } = createRequire(import.meta.url)('node:http') as typeof import('node:http')

export function har({ head, summary, workflows }: ReportedRun): Iterable<string> {
  const creator = { name: head.tool.name, version: head.tool.version }
  const pages = summary.workflows.map((workflow, index) => ({
    startedDateTime: workflow.startedAt,
    id: pageId(index),
    title: `${workflowInWords(workflow)}: ${workflow.status}`,
    pageTimings: { onContentLoad: -1, onLoad: workflow.durationMs },
  }))
  const comment = `run ${head.runId}; secrets are replaced by fingerprints, bodies are shown as parsed`
  return jsonWithList(
    { log: { version: '1.2', creator, pages, entries: [], comment } },
    { name: 'entries', depth: 2 },
    entries(workflows),
  )
}

function* entries(workflows: ReportedRun['workflows']) {
  let index = 0
  for (const { steps } of workflows) {
    for (const step of steps) for (const exchange of step.exchanges) yield entry(exchange, step, pageId(index))
    index += 1
  }
}

function pageId(index: number): string {
  return `workflow_${index + 1}`
}

function entry(exchange: Exchange, step: StepRecord, pageref: string) {
  const { request, response, timing, tls, sent, error } = exchange
  const timings = timingsOf(timing)
  const comments = [
    `step ${step.stepId}: ${step.status}`,
    ...(tls === undefined
      ? []
      : [`${tls.protocol} ${tls.cipher}`, `client certificate configured: ${tls.configured?.identity ?? 'none'}`]),
    ...(response === undefined
      ? [`no answer; sent: ${sent}`, ...(error === undefined ? [] : [`${error.code}: ${error.message}`])]
      : []),
  ]
  return {
    pageref,
    startedDateTime: timing.startedAt,
    time: sum(timings),
    request: {
      method: request.method,
      url: request.url,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: named(request.headers),
      queryString: queryOf(request.url),
      ...(request.body.text === undefined ? {} : { postData: postData(request) }),
      headersSize: -1,
      bodySize: request.body.bytes,
    },
    response: responseOf(response, error?.code),
    cache: {},
    timings,
    ...(tls?.address === undefined ? {} : { serverIPAddress: tls.address, connection: String(tls.port) }),
    comment: comments.join('; '),
  }
}

/** Without an answer the status is 0, as in browsers. */
function responseOf(response: Exchange['response'], failure: string | undefined) {
  const headers = response?.headers ?? []
  const body = response?.body ?? { bytes: 0 }
  return {
    status: response?.status ?? 0,
    statusText: response === undefined ? (failure ?? '') : (STATUS_CODES[response.status] ?? ''),
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers: named(headers),
    content: {
      size: body.bytes,
      mimeType: typeOf(headers) ?? 'x-unknown',
      ...(body.text === undefined ? {} : { text: body.text }),
      ...hashed(body),
    },
    redirectURL: headers.find(([name]) => name.toLowerCase() === 'location')?.[1] ?? '',
    headersSize: -1,
    bodySize: response === undefined ? -1 : body.bytes,
    ...(failure === undefined ? {} : { _error: failure }),
  }
}

/** The record has a form as JSON; here it is written as a form again. */
function postData({ headers, body }: Exchange['request']) {
  const mimeType = typeOf(headers) ?? ''
  const members = mimeType.startsWith('application/x-www-form-urlencoded') ? formOf(body.text) : undefined
  return members === undefined
    ? { mimeType, params: [], text: body.text ?? '', ...hashed(body) }
    : {
        mimeType,
        params: members,
        text: members
          .map(({ name, value }) => [name, value].map((text) => encodeURIComponent(text.toWellFormed())).join('='))
          .join('&'),
        ...hashed(body),
      }
}

function formOf(text: string | undefined): { name: string; value: string }[] | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    if (typeof value !== 'object' || value === null) return undefined
    return Object.entries(value).flatMap(([name, member]) =>
      [member].flat().map((one) => ({ name, value: String(one) })),
    )
  } catch {
    return undefined
  }
}

function hashed({ bytes, sha256, truncated }: Exchange['request']['body']): { comment?: string } {
  if (bytes === 0) return {}
  return { comment: `${truncated ? 'cut; ' : ''}${bytes} bytes on the wire, sha256 ${sha256 ?? 'not kept'}` }
}

function timingsOf({ connectMs, firstByteMs, totalMs }: Exchange['timing']) {
  const connect = connectMs ?? -1
  const wait = Math.max(0, firstByteMs ?? totalMs - Math.max(0, connect))
  const receive = Math.max(0, totalMs - Math.max(0, connect) - wait)
  // connectMs measures TCP and TLS together; in this format `connect` includes `ssl`.
  return { blocked: -1, dns: -1, connect, send: 0, wait, receive, ssl: connect }
}

function sum({ connect, send, wait, receive }: ReturnType<typeof timingsOf>): number {
  return Math.max(0, connect) + send + wait + receive
}

function named(headers: Exchange['request']['headers']): { name: string; value: string }[] {
  return headers.map(([name, value]) => ({ name, value }))
}

function queryOf(url: string): { name: string; value: string }[] {
  return [...(URL.parse(url)?.searchParams ?? [])].map(([name, value]) => ({ name, value }))
}

function typeOf(headers: Exchange['request']['headers']): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
}
