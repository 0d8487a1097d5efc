/** What must not be seen, and the search for it. */
export { REDACTION_VERSION, Redactor, type Structure } from './redactor.ts'
export { Secret } from './secret.ts'
export { shapesOfSecrets } from './shapes.ts'
