/** An exchange as `--verbose` prints it, redacted: `>` marks the request, `<` the answer, `*` facts about both. */
import { render } from '../record/errors.ts'
import { type Exchange, peerOf } from '../record/index.ts'

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
    `* ${Math.round(timing.totalMs)} ms`,
  ]
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

function message(mark: '>' | '<', { headers, body }: Pick<Exchange['request'], 'headers' | 'body'>): string[] {
  const text = body.text === undefined ? [] : ['', ...body.text.split('\n')]
  const rest = body.truncated ? [`[cut; ${body.bytes} bytes, sha256 ${body.sha256 ?? 'not kept'}]`] : []
  return [...headers.map(([name, value]) => `${name}: ${value}`), ...text, ...rest].map((line) =>
    `${mark} ${line}`.trimEnd(),
  )
}
