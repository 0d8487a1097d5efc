/** A process measured from its start to its end, and what the benches make of several such figures. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))

export interface Usage {
  readonly wallMs: number
  readonly cpuMs: number
  readonly peakMiB: number
}

/** Throws where the process fails: it has then not done the work, so its time does not count. */
export async function measured(
  command: readonly string[],
  { folder, variables = {} }: { readonly folder: string; readonly variables?: Readonly<Record<string, string>> },
): Promise<Usage> {
  const file = join(folder, 'usage.json')
  const start = performance.now()
  const child = spawn(process.execPath, ['--require', join(HERE, 'measured.cjs'), ...command], {
    cwd: folder,
    env: { ...process.env, ...variables, BENCH_USAGE: file },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk).slice(-2000)))
  const [code] = (await once(child, 'close')) as [number | null]
  const wallMs = performance.now() - start
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${said}`)
  return { wallMs, ...(JSON.parse(await readFile(file, 'utf8')) as Omit<Usage, 'wallMs'>) }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
