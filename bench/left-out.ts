/**
 * Loaded first by a process of `without.ts`: puts something that does nothing in the place of each part of the program that
 * BENCH_WITHOUT names. Such a run proves nothing and hides nothing; it shows what the part costs.
 */
import { registerHooks } from 'node:module'

/** What each part consists of: a module, and what it exports instead. `whole` is the module itself. */
const PARTS = {
  search: {
    module: 'src/secret/redactor.ts',
    instead: `export class Redactor extends whole.Redactor {
      learn() {} add() {} exempt() {}
      text(text) { return text } sentence(text) { return text } json(text) { return text } url(text) { return text }
      record(value) { return value } value(value) { return value } checks(value) { return value } headers(value) { return value }
      cleanFile(text) { return { text, found: [] } } mayHoldSecret() { return false } find() { return [] }
    }`,
  },
  reports: {
    module: 'src/report/write.ts',
    instead: 'export const writeReports = async () => "record.json"',
  },
  console: {
    module: 'src/front/cli/console.ts',
    instead: `export class Console extends whole.Console { show() {} summary() {} }
    export const consoleOn = (stream, { here }) => new Console({ stream, write: () => {}, here })`,
  },
  schemas: {
    module: 'src/flow/openapi/validator.ts',
    instead: 'export const judgeValue = () => ({ violations: [], beyond: 0, unjudged: [] })',
  },
  disk: {
    module: 'src/vault/files.ts',
    instead: 'export class Files extends whole.Files { constructor() { super(whole.UNSYNCED) } }',
  },
} as const

const left = new Set((process.env.BENCH_WITHOUT ?? '').split(' '))

registerHooks({
  load(url, context, load) {
    const part = Object.entries(PARTS).find(([name, { module }]) => left.has(name) && url.endsWith(`/${module}`))
    if (part === undefined) return load(url, context)
    const whole = JSON.stringify(`${url}?whole`)
    const source = `import * as whole from ${whole}\nexport * from ${whole}\n${part[1].instead}`
    return { format: 'module', source, shortCircuit: true }
  },
})
