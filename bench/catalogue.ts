/**
 * The whole catalogue of requirements on the embedded twin, over mutual TLS, beside a script (raw.ts) that sends as many requests
 * to such a twin and writes nothing; both in new processes, in turns. Fails where the catalogue takes more than four times as long.
 * `node bench/catalogue.ts [--turns 3]`
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ensurePki, HOSTS } from '../mocks/index.ts'
import type { RunRecord, WorkflowRecord } from '../src/record/index.ts'
import { measured, median, type Usage } from './measure.ts'

/** In wall clock. */
const MOST = 4
/** What raw.ts sends in one lifecycle. */
const CALLS = 6

const HERE = fileURLToPath(new URL('.', import.meta.url))
const { values } = parseArgs({ options: { turns: { type: 'string', default: '3' } } })
const folder = await mkdtemp(join(tmpdir(), 'thredd-bench-'))
try {
  const ratio = await compare(Number(values.turns))
  if (ratio > MOST) throw new Error(`the catalogue takes ${ratio.toFixed(2)} times as long as the script, not ${MOST}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** The ratio by wall clock. */
async function compare(turns: number): Promise<number> {
  const pki = await ensurePki(join(folder, 'pki'), { hosts: HOSTS })
  const suite: Usage[] = []
  const script: Usage[] = []
  let requests = 0
  for (let turn = 0; turn < turns; turn += 1) {
    await rm(join(folder, 'vault'), { recursive: true, force: true })
    suite.push(
      await measured([join(HERE, '..', 'bin', 'thredd.js'), 'run', '--conformance'], {
        folder,
        variables: { THREDD_VAULT_DIR: 'vault', HOME: folder },
      }),
    )
    requests = await requestsOf(join(folder, 'reports', 'latest', 'record.json'))
    const lifecycles = Math.ceil(requests / CALLS)
    script.push(await measured([join(HERE, 'raw.ts'), 'twin', pki.folder, String(lifecycles)], { folder }))
  }
  const ratio = (of: (usage: Usage) => number) => median(suite.map((one, turn) => of(one) / of(script[turn] ?? one)))
  for (const [name, usages] of [
    ['thredd run --conformance', suite],
    ['the script', script],
  ] as const) {
    const [wall, cpu] = [median(usages.map(({ wallMs }) => wallMs)), median(usages.map(({ cpuMs }) => cpuMs))]
    process.stdout.write(`${name.padEnd(26)}${wall.toFixed(0)} ms, ${cpu.toFixed(0)} ms of processor\n`)
  }
  const [wall, cpu] = [ratio(({ wallMs }) => wallMs), ratio(({ cpuMs }) => cpuMs)]
  process.stdout.write(
    `${requests} requests each: ${wall.toFixed(2)} times by wall clock (at most ${MOST}), ${cpu.toFixed(2)} by processor time\n`,
  )
  return wall
}

/** With those that made what workflows were given. */
async function requestsOf(file: string): Promise<number> {
  const { workflows, given = [] } = JSON.parse(await readFile(file, 'utf8')) as RunRecord
  const sent = (workflow: WorkflowRecord) => workflow.steps.reduce((sum, { exchanges }) => sum + exchanges.length, 0)
  return [...workflows, ...given.flatMap(({ setUp = [] }) => setUp)].reduce((sum, one) => sum + sent(one), 0)
}
