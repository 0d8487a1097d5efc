/** An exchange as text, redacted: `>` marks the request, `<` the answer, `*` facts about both. */
import { render } from '../record/errors.ts'
import { type Exchange, peerOf } from '../record/index.ts'

/** As `--verbose` prints it: method, path, status, time and the bodies. Why no answer came is a finding of the step. */
export function bodyLog({ request, response, sent, timing }: Exchange): string[] {
  const { pathname = request.url, search = '' } = URL.parse(request.url) ?? {}
  return [
    `> ${request.method} ${pathname}${search}`,
    ...bodyLines('>', request),
    ...(sent === 'yes' ? [] : [`* sent: ${sent}`]),
    ...(response === undefined
      ? [`* no answer, after ${milliseconds(timing)}`]
      : [`< ${response.status} in ${milliseconds(timing)}`, ...bodyLines('<', response)]),
  ]
}

/** As `--wire` prints it: with every header, TLS, and the certificates. */
export function wireLog({ request, response, tls, sent, error, timing }: Exchange): string[] {
  return [
    `* ${timing.startedAt}`,
    ...(tls === undefined ? [] : tlsLines(tls)),
    `> ${request.method} ${request.url}`,
    ...message('>', request),
    ...(sent === 'yes' ? [] : [`* sent: ${sent}`]),
    ...(response === undefined ? [] : [`< ${response.status}`, ...message('<', response)]),
    ...(error === undefined
      ? []
      : render(error)
          .split('\n')
          .map((line) => `* ${line}`)),
    `* ${milliseconds(timing)}`,
  ]
}

function milliseconds({ totalMs }: Exchange['timing']): string {
  return `${Math.round(totalMs)} ms`
}

function tlsLines(tls: NonNullable<Exchange['tls']>): string[] {
  const { protocol, cipher, server, certificateRequested, configured } = tls
  const peer = peerOf(tls)
  return [
    `* ${protocol} ${cipher}${peer === undefined ? '' : ` with ${peer}`}`,
    ...(server === undefined
      ? []
      : [
          `* server certificate ${server.subject}, issued by ${server.issuer}, until ${server.validTo}, sha256 ${server.sha256}`,
        ]),
    ...(certificateRequested === undefined
      ? []
      : [`* the server ${certificateRequested ? 'asked' : 'did not ask'} for a client certificate`]),
    configured === undefined
      ? '* no client certificate configured'
      : `* client certificate configured: identity ${configured.identity}, sha256 ${configured.sha256}`,
  ]
}

type Message = Pick<Exchange['request'], 'headers' | 'body'>

function message(mark: '>' | '<', { headers, body }: Message): string[] {
  return [
    ...headers.map(([name, value]) => `${mark} ${name}: ${value}`.trimEnd()),
    ...(body.text === undefined ? [] : [mark]),
    ...bodyLines(mark, { body }),
  ]
}

function bodyLines(mark: '>' | '<', { body }: Pick<Message, 'body'>): string[] {
  const text = body.text === undefined ? [] : body.text.split('\n')
  const rest = body.truncated ? [`[cut; ${body.bytes} bytes, sha256 ${body.sha256 ?? 'not kept'}]`] : []
  return [...text, ...rest].map((line) => `${mark} ${line}`.trimEnd())
}
