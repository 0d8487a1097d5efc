/** Finds secrets in texts and data, and replaces them with masks. */
export { REDACTION_VERSION, Redactor } from './redactor.ts'
export { Secret } from './secret.ts'
export { shapesOfSecrets } from './shapes.ts'
export type { Structure } from './structure.ts'
