/** The twin as a library: the programs of docs/twin.md in a project of their own, with the package as npm packs it. */
import { execFile } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT } from '../support/cli.ts'
import { sharedPki } from '../support/twin.ts'

const run = promisify(execFile)
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const PROGRAMS = [...readFileSync(join(ROOT, 'docs/twin.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
  ([, text = '']) => text,
)

let project: string
beforeAll(async () => {
  await sharedPki()
  project = await mkdtemp(join(tmpdir(), 'thredd-package-'))
  // As "npm run prepare" does; the bundle is built before the tests.
  await run(process.execPath, [TSC, '-p', 'tsconfig.types.json'], { cwd: ROOT })
  const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], { cwd: ROOT })
  await run('tar', ['-xzf', packed.stdout.trim(), '-C', project], { cwd: project })
  const modules = join(project, 'node_modules')
  for (const path of globSync(['*', '@*/*'], { cwd: join(ROOT, 'node_modules') })) {
    if (/^@[^/]*$/.test(path)) continue
    mkdirSync(dirname(join(modules, path)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', path), join(modules, path))
  }
  cpSync(join(project, 'package'), join(modules, 'thredd-dcr'), { recursive: true })
  await writeFile(join(project, 'package.json'), '{ "type": "module", "private": true }')
  // Making certificates takes seconds, and nothing in a program changes them.
  cpSync(join(ROOT, 'fixtures', 'pki'), join(project, 'fixtures', 'pki'), { recursive: true })
  for (const [index, text] of PROGRAMS.entries()) await writeFile(join(project, `program-${index}.ts`), text)
})
afterAll(async () => await rm(project, { recursive: true, force: true }))

test('the programs of docs/twin.md run with the package that npm packs', async () => {
  expect(PROGRAMS).toHaveLength(2)
  const printed = await Promise.all(
    PROGRAMS.map(async (_, index) => (await run(process.execPath, [`program-${index}.ts`], { cwd: project })).stdout),
  )

  expect(printed).toEqual([
    expect.stringMatching(/^200 access_token expires_in token_type scope\ndirectory token for /),
    'attempt 1: 503\nattempt 2: 200\n',
  ])
})

test('the compiler knows the types of the package, and finds a wrong switch', async () => {
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
  }
  await writeFile(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, strict: true, noEmit: true, skipLibCheck: true },
      include: ['*.ts'],
    }),
  )
  const compile = async () => await run(process.execPath, [TSC, '-p', project], { cwd: project })

  expect((await compile()).stdout).toBe('')
  await writeFile(join(project, 'wrong.ts'), (PROGRAMS[0] ?? '').replace("scopeMode: 'strict'", "scopeMode: 'soft'"))
  await expect(compile()).rejects.toMatchObject({
    stdout: expect.stringMatching(/^wrong\.ts\(\d+,\d+\): error TS2322: Type '"soft"' is not assignable/),
  })
})

test('the package holds no test, no source and no key', () => {
  const files = globSync('**/*', { cwd: join(project, 'package') })
  expect(files.filter((file) => /^(?:src|mocks|test|bench)\b|\.(?:key|pem|crt)$/.test(relative('.', file)))).toEqual([])
})
