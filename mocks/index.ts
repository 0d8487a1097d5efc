/** The offline twin as a library: in-process (`createTwin`), behind mutual TLS (`startTwin`), or in anyone's msw set-up. */
export {
  changeContentType,
  changeField,
  changeHeader,
  changeStatus,
  type Fault,
  loseAnswer,
  replaceBody,
} from './faults.ts'
export { HOSTS } from './hosts.ts'
export { ensurePki, type Pki } from './pki.ts'
export { type RunningTwin, type StartOptions, startTwin } from './server.ts'
export { SWITCHES, type Switches } from './switches.ts'
export { createTwin, type LogEntry, type Twin, type TwinOptions, threddHandlers } from './twin.ts'
