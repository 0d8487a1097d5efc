/** The offline twin as a library: in-process (`createTwin`), behind mutual TLS (`startTwin`), or in an msw set-up of a test. */
export { type RunningAdmin, startAdmin } from './admin.ts'
export { type CatalogueEntry, FAULTS, faultsOf, OF_THE_CLIENT } from './faults/catalogue.ts'
export {
  changeContentType,
  changeField,
  changeHeader,
  changeStatus,
  type Fault,
  loseAnswer,
  replaceBody,
} from './faults/changes.ts'
export { HOOKS, performHook } from './hooks.ts'
export { HOSTS } from './hosts.ts'
export { ensurePki, type Pki } from './pki.ts'
export { twinReference } from './reference.ts'
export { RULES } from './rules.ts'
export { readSeed, type Seed, type SeededApplication } from './seed.ts'
export { type RunningTwin, type StartOptions, startTwin } from './server.ts'
export { describe, readSwitches, SWITCHES, type Switches, switchesOf } from './switches.ts'
export { createTwin, type LogEntry, type Twin, type TwinOptions, threddHandlers } from './twin.ts'
