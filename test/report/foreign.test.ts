/** One hostile record through every printer: whatever a server or a file writes, it is read as text. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { validateXML } from 'xmllint-wasm'
import { Console } from '../../src/front/cli/console.ts'
import { writeList } from '../../src/front/cli/list.ts'
import { printPreview } from '../../src/front/cli/preview.ts'
import { Printer } from '../../src/front/cli/printer.ts'
import { performVerify } from '../../src/front/cli/verify.ts'
import { coloured, json, line, lines, oneLine } from '../../src/record/foreign.ts'
import { commandsFor } from '../../src/record/hints.ts'
import { githubAnnotations } from '../../src/report/annotations.ts'
import { compare, comparisonText } from '../../src/report/compare.ts'
import { runsPage } from '../../src/report/html/runs.ts'
import { FORMATS } from '../../src/report/index.ts'
import { requestedMessage } from '../../src/report/message.ts'
import { writePack } from '../../src/report/pack.ts'
import { reportedRun } from '../../src/report/summary.ts'
import { wireLog } from '../../src/report/wire.ts'
import { asked, everyOutcome, hostileRecord, spoilt } from '../support/reports.ts'

const HOSTILE = [
  'x\n::stop-commands::tok\n::error title=forged::from the server\n  ::set-output name=a::b\n',
  '##[error]forged ##vso[task.complete result=Failed] ##teamcity[buildStatus status=FAILURE]\n',
  'section_start:0:forged\r\u001b[0K\u001b]0;owned\u0007\u001b[2J\u009b2J\u202egnp\u2066\u200b\u00ad\ufeff\u2028\ud800 \u{e0041}',
  `</script><img src=x onerror=alert(1)>--><!--]]>"'&|\`code\` [x](javascript:alert(1)) @everyone`,
].join('')

const record = hostileRecord(HOSTILE)
const { workflows, ...head } = record
const run = reportedRun(head, workflows)
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'thredd-foreign-'))
})
afterAll(async () => await rm(root, { recursive: true, force: true }))

/** Characters that steer a terminal or cannot be seen, by their numbers; line breaks and tabs are none. */
function steeringIn(text: string): string[] {
  return [...text]
    .map((character) => character.codePointAt(0) ?? 0)
    .filter((code) => !(code === 9 || code === 10) && STEERING.some(([from, to]) => code >= from && code <= to))
    .map((code) => `U+${code.toString(16)}`)
}

const STEERING: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe0fff],
]

/** What a terminal and the logs of GitHub, Azure and TeamCity would do. */
function commandsIn(text: string): string[] {
  const commands = text
    .split('\n')
    .filter(
      (one) => one.trimStart().startsWith('::') || ['##[', '##vso[', '##teamcity['].some((mark) => one.includes(mark)),
    )
  return [...steeringIn(text), ...commands.map((one) => one.slice(0, 60))]
}

function printed(print: (out: { readonly console: Console; readonly printer: Printer }) => void): string {
  let text = ''
  const screen = { stream: new PassThrough(), write: (part: string) => (text += part) }
  print({ console: new Console({ ...screen, verbose: true }), printer: new Printer(screen) })
  return text
}

test.each<[printer: string, text: () => string | Promise<string>]>([
  [
    'the summary of a run',
    () => printed(({ console }) => console.summary({ ...head, warnings: [HOSTILE] }, 'reports/record.json')),
  ],
  [
    'the steps of a run',
    () =>
      printed(({ console }) => {
        for (const workflow of workflows) {
          for (const step of workflow.steps) console.show({ type: 'step-finished', step })
          console.show({ type: 'workflow-finished', workflow })
        }
      }),
  ],
  [
    'what --verbose prints of a call',
    () =>
      printed(({ printer }) => {
        for (const step of workflows.flatMap(({ steps }) => steps))
          for (const one of step.exchanges) printer.line(...wireLog(one).map((each) => printer.plain(each)))
      }),
  ],
  [
    'an error message',
    () =>
      printed(({ printer }) =>
        printer.line(
          printer.problem(
            {
              code: HOSTILE.slice(0, 1),
              message: HOSTILE,
              at: { file: HOSTILE, line: 1, column: 1 },
              expected: HOSTILE,
              found: HOSTILE,
              hint: HOSTILE,
            },
            HOSTILE,
          ),
        ),
      ),
  ],
  ['warnings', () => printed(({ console }) => console.warnings([HOSTILE]))],
  [
    'a dry run',
    () =>
      printed(({ printer }) =>
        printPreview(
          {
            environment: HOSTILE,
            waiting: [{ workflowId: HOSTILE, because: HOSTILE, hint: HOSTILE }],
            warnings: [HOSTILE],
            given: [{ workflowId: HOSTILE, means: HOSTILE, remedy: HOSTILE, how: 'not checked' }],
            workflows: [
              {
                workflowId: HOSTILE,
                summary: HOSTILE,
                effect: 'read',
                inputs: [{ name: HOSTILE, value: HOSTILE, source: HOSTILE }],
                steps: [],
              },
            ],
          } as unknown as Parameters<typeof printPreview>[0],
          printer,
        ),
      ),
  ],
  [
    'thredd list',
    () => {
      let text = ''
      const one = {
        flow: 'a',
        file: 'b',
        workflowId: 'c',
        title: 't',
        summary: 's',
        tags: ['g'],
        settings: ['s'],
        identities: ['i'],
      }
      const more = {
        effect: 'read',
        signs: true,
        given: [],
        ready: false,
        confirm: false,
        unnamed: true,
        safety: HOSTILE,
      }
      const missing = [{ what: HOSTILE, code: 'DNS', message: HOSTILE }]
      const overview = {
        environment: HOSTILE,
        class: 'uat',
        workflows: [{ ...(spoilt(one, HOSTILE) as object), ...more, missing }],
      }
      const screen = { stream: new PassThrough(), write: (part: string) => (text += part) }
      writeList(overview as unknown as Parameters<typeof writeList>[0], screen, commandsFor([]))
      return text
    },
  ],
  ['report --compare', () => comparisonText(compare(everyOutcome(), record))],
  [
    'the message to Thredd',
    () =>
      requestedMessage(
        'delete-client',
        { clientId: HOSTILE, scopes: [HOSTILE], at: '2026-01-01T00:00:00Z' },
        { environment: HOSTILE, authorizationServer: HOSTILE, organisation: HOSTILE, application: HOSTILE },
      ),
  ],
  ['JSON', () => json(record)],
  ['a line of ours with values', () => line`client ${HOSTILE} of ${HOSTILE}`],
  ['lines of ours', () => lines(HOSTILE)],
  ['a value', () => oneLine(HOSTILE)],
])('%s holds no command for a terminal or a log', async (_, text) => {
  const shown = await text()

  expect(shown).toContain('u001b')
  expect(commandsIn(shown)).toEqual([])
})

test('what is left in a coloured line steers nothing but colours', () => {
  expect(coloured('\u001b[31mred\u001b[39m \u001b[2J\u001b]0;owned\u0007\u009b2J\r\n')).toBe(
    '\u001b[31mred\u001b[39m \\u001b[2J\\u001b]0;owned\\u0007\\u009b2J\\u000d\n',
  )
})

test('workflow commands for GitHub are ours alone, one a line, and carry the texts whole', () => {
  const commands = githubAnnotations(head, workflows)
  const isOurs = /^::(?:error|warning) (?:file=[^,:\n]*,line=\d+,title=[^,:\n]*|title=thredd)::[^\n\r]*$/

  expect(commands.length).toBeGreaterThan(0)
  expect(commands.filter((one) => !isOurs.test(one))).toEqual([])
  expect(commandsIn(commands.join('\n').replaceAll(/^::/gm, ''))).toEqual([])
})

test('JSON stays what it was', () => {
  expect(JSON.parse(json(record))).toEqual(JSON.parse(JSON.stringify(record)))
})

test('junit.xml is well-formed and holds no element of the server', async () => {
  const xml = [...FORMATS.junit.convert(run)].join('')

  expect((await validateXML({ xml: [{ fileName: 'junit.xml', contents: xml }], normalization: 'format' })).valid).toBe(
    true,
  )
  expect(xml).not.toContain('<img')
})

test.each(['ctrf', 'har'] as const)('%s is JSON', (format) => {
  expect(() => JSON.parse([...FORMATS[format].convert(run)].join(''))).not.toThrow()
})

test('HTML and Markdown have no tag, mention or hidden character of the server', () => {
  const page = [...FORMATS.html.convert(run)].join('')
  const index = [
    ...runsPage([
      { folder: HOSTILE, run: record },
      { folder: 'a', run: { problem: HOSTILE } },
    ]),
  ].join('')
  const report = [...FORMATS.md.convert(run)].join('')
  for (const text of [page, index]) {
    expect(text).not.toMatch(/<img|<!--\]\]|onerror=alert\(1\)>/)
    expect(steeringIn(text)).toEqual([])
  }
  const outside = report.replaceAll(/(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '')
  expect(outside).not.toMatch(/(?<!\\)<(?!\/?(?:details|summary))/)
  expect(outside).not.toMatch(/@everyone/)
  expect(steeringIn(report.replaceAll('@\u200b', '@'))).toEqual([])
})

test('thredd verify prints the key before any text of the pack, which forges no line', async () => {
  const pack = join(root, 'pack')
  const key = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const
  const { kid } = await writePack({ ...everyOutcome(), runId: HOSTILE }, { pack, key, now: new Date(0) })
  const verified = async (...more: string[]) => {
    let shown = ''
    const code = await performVerify(asked('pack', ...more), { here: root, write: (part) => (shown += part) })
    return { code, shown }
  }

  const unasked = await verified()
  expect(unasked.code).toBe(3)
  expect(unasked.shown.startsWith(`signed by ${kid} (ES256)\n`)).toBe(true)
  expect(commandsIn(unasked.shown)).toEqual([])
  expect((await verified('--signer', kid)).code).toBe(0)
  expect((await verified('--signer', 'another')).code).toBe(1)

  await writeFile(join(pack, 'odd\u001b[2J\n::error::x'), '')
  const changed = await verified('--signer', kid)
  expect(changed.code).toBe(1)
  expect(changed.shown).toContain('odd\\u001b[2J')
  expect(commandsIn(changed.shown)).toEqual([])
})

test('a pack whose manifest says more than the record is no evidence, whoever signed it', async () => {
  const pack = join(root, 'boasting')
  const key = { alg: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const
  const { kid } = await writePack(
    { ...everyOutcome(), verdict: 'conformant', exitCode: 0 },
    { pack, key, now: new Date(0) },
  )
  let shown = ''
  const code = await performVerify(asked('boasting', '--signer', kid), { here: root, write: (part) => (shown += part) })

  expect(code).toBe(1)
  expect(shown).toContain('the verdict of the record is said to be "conformant"; the steps of record.json make it')
  const manifest = JSON.parse(await readFile(join(pack, 'manifest.json'), 'utf8')) as { verdict: string }
  expect(manifest.verdict).not.toBe('conformant')
})
