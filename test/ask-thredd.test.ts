/** What no page says is asked of Thredd: each question names settings that exist, and each setting leads to its question. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SWITCHES } from '../mocks/index.ts'
import { OPEN_QUESTIONS, SERVER, VARIABLES } from '../src/environment/variables.ts'
import { attemptOnTwin, ROOT } from './support/run.ts'

const PAGE = readFileSync(join(ROOT, 'docs/ask-thredd.md'), 'utf8')
const rows = [...PAGE.matchAll(/^\| (\d+) \| (.*) \| (.*) \| (.*) \|$/gm)].map(
  ([, number, question, assumed, answer]) => ({
    number: Number(number),
    question: question ?? '',
    assumed: assumed ?? '',
    answer: answer ?? '',
  }),
)

test('there are twenty-six questions, each with what is assumed meanwhile', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1))
  expect(
    rows.filter(({ question, assumed }) => !question.includes('?') && !question.endsWith('UAT?') && assumed === ''),
  ).toEqual([])
})

test.each(rows)('the setting that the answer to question $number fills exists', ({ answer }) => {
  const [settings = '', switches = ''] = answer.split('switch ')
  const names = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')

  expect(names(answer).length).toBeGreaterThan(0)
  expect(names(settings).filter((name) => !(name in VARIABLES) && !SERVER.pattern.test(name))).toEqual([])
  expect(names(switches).filter((name) => !(name in SWITCHES))).toEqual([])
})

test.each(Object.entries(OPEN_QUESTIONS))('%s is asked for by question %i', (name, number) => {
  expect(rows.find((row) => row.number === number)?.answer).toContain(`\`${name}\``)
})

test.each(['uat', 'prod'])(
  'each line of .env.%s that sets or offers a value has a comment above that says where it comes from',
  (name) => {
    const lines = readFileSync(join(ROOT, `.env.${name}`), 'utf8').split('\n')
    const isSetting = (line: string) => /^(?:# )?[A-Z][A-Z_]+=/.test(line)
    const bare = lines.filter((line, index) => {
      if (!isSetting(line)) return false
      const above = lines.slice(0, index).findLast((one) => !isSetting(one)) ?? ''
      return !above.startsWith('#') || above.startsWith('# ---')
    })

    expect(bare).toEqual([])
    const settings = lines.flatMap((line) => /^(?:# )?([A-Z][A-Z_]+)=/.exec(line)?.[1] ?? [])
    expect(settings.filter((one) => !(one in VARIABLES) && !/^(?:SERVER|IDENTITY)_/.test(one))).toEqual([])
    const questions = [...lines.join('\n').matchAll(/question (\d+)/g)].map(([, number]) => Number(number))
    expect(questions.filter((number) => !rows.some((row) => row.number === number))).toEqual([])
  },
)

test('a run on production that needs the authorization server says which variable, and what to ask Thredd', async () => {
  const attempt = await attemptOnTwin({ flows: ['discover'], env: 'prod' })

  expect(attempt.traffic).toEqual([])
  const { problems } = (attempt as unknown as { error: { problems: { message: string; hint?: string }[] } }).error
  const missing = problems.find(({ message }) => message.includes('server_authorization'))
  expect(missing?.hint?.replace(/into \S*[\\/](?=\.env)/, 'into ')).toBe(
    'write SERVER_AUTHORIZATION=https://… into .env.prod.local, or use --server authorization=https://…; where no page documents it, ask Thredd: docs/ask-thredd.md, question 2',
  )
})
