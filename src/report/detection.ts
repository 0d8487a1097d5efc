/** Which fault of the twin turns each requirement red, and whether that was shown with the flows and the catalogue of this run. Pure. */
import { basename } from 'node:path'
import { DETECTED_FLOWS, DETECTED_WITH, DETECTION } from '../record/detection.ts'
import type { RecordHead } from '../record/index.ts'
import { REQUIREMENTS } from '../record/requirements.ts'

export interface Detection {
  /** of the requirement */
  readonly id: string
  /** as for `thredd mock --fault` or `--switch`; each breaks the rule of this requirement, and turned it red */
  readonly faults: readonly string[]
  /** names of the flows that met one of them */
  readonly flows: readonly string[]
  /** what of this run differs from what it was shown with: flow files, or the catalogue; empty: the proof holds for this run */
  readonly stale: readonly string[]
}

/** The path of a flow file by the name of the flow. */
const FILES: ReadonlyMap<string, string> = new Map(
  Object.keys(DETECTED_FLOWS).map((file) => [basename(file, '.arazzo.yaml'), file]),
)

/** What is the same for every run, with the flow files of each. */
const ROWS = REQUIREMENTS.flatMap(({ id }) => {
  const lines = DETECTION.filter(({ breaks }) => breaks.includes(id))
  const flows = [...new Set(lines.flatMap((line) => line.flows))]
  const faults = lines.map(({ fault, switch: name = '' }) => fault ?? name)
  return lines.length === 0 ? [] : [{ id, faults, flows, files: flows.flatMap((name) => FILES.get(name) ?? []) }]
})

/** The requirements with a fault, in the order of the catalogue. `flows`: SHA-256 by path of the files that the run was made of. */
export function detectionsOf(
  { catalogue }: Pick<RecordHead, 'catalogue'>,
  flows: ReadonlyMap<string, string>,
): readonly Detection[] {
  const isSame = (file: string) => {
    const now = flows.get(file)
    return now === undefined || now === DETECTED_FLOWS[file]
  }
  const ofCatalogue = catalogue?.sha256 === DETECTED_WITH.catalogue ? [] : ['catalogue']
  return ROWS.map(({ files, ...row }) => ({
    ...row,
    stale: [...ofCatalogue, ...files.filter((file) => !isSame(file))],
  }))
}
