/**
 * What `thredd init` makes in a project that depends on this package: a first flow of its own and a vitest configuration that
 * runs flows as tests. What the project has already stays as it is.
 */
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { installedFolder } from '../../environment/project.ts'
import { textIfReadable } from '../../record/regular-file.ts'
import { type FileToWrite, ordinaryFile } from '../import/files.ts'
import type { Program } from './command.ts'

export interface Scaffold {
  /** none of them replaces anything */
  readonly files: readonly FileToWrite[]
  /** lines of .gitignore */
  readonly ignored: readonly string[]
  /** what to add to a file of the project, a line each */
  readonly byHand: readonly string[]
  /** how the flows are run as tests */
  readonly test: string
}

/** Nothing in a clone of the package, and where a project does not depend on it. */
export function scaffoldOf({ project }: Pick<Program, 'project'>): Scaffold | undefined {
  if (installedFolder(project) === undefined) return undefined
  const there = (pattern: string) => globSync(pattern, { cwd: project })
  const [configuration] = there('{vitest,vite}.config.{ts,mts,cts,js,mjs,cjs}')
  const isSetUp = configuration !== undefined && textIfReadable(join(project, configuration)).includes(ENTRY)
  return {
    files: [
      ...(there('flows/**/*.arazzo.yaml').length > 0 ? [] : firstFlow(project)),
      ...(configuration === undefined ? ordinaryFile(join(project, 'vitest.config.mts'), CONFIGURATION) : []),
    ],
    ignored: ['reports/', '.vitest/'],
    byHand:
      configuration === undefined || isSetUp
        ? []
        : [
            `${configuration} stays as it is; to run flows as tests add to it:`,
            `  import { flowProjects, flowReporter } from '${ENTRY}'`,
            "  test: { projects: [...flowProjects()], reporters: ['default', flowReporter()] }",
          ],
    test: `${installedFolder(project, 'vitest') === undefined ? 'npm install --save-dev vitest && ' : ''}npx vitest run`,
  }
}

/** The path from a folder of the project to the flows of the package. */
export function pathOfFlows(from: string, { root, project }: Pick<Program, 'root' | 'project'>): string {
  return relative(from, join(installedFolder(project) ?? root, 'flows')).replaceAll('\\', '/')
}

function firstFlow(project: string): readonly FileToWrite[] {
  const folder = join(project, 'flows')
  const readme = join(folder, 'README.md')
  return [
    ...ordinaryFile(
      join(folder, 'ready-to-register.arazzo.yaml'),
      flowText(pathOfFlows(folder, { root: '', project })),
    ),
    ...(textIfReadable(readme) === '' ? ordinaryFile(readme, README) : []),
  ]
}

const ENTRY = 'thredd-dcr/vitest'

/** As docs/testing.md has it. */
const CONFIGURATION = `import { defineConfig } from 'vitest/config'
import { flowProjects, flowReporter } from '${ENTRY}'

export default defineConfig({
  test: {
    projects: flowProjects(),
    reporters: ['default', flowReporter()],
  },
})
`

const README = `# Flows of our own

Each \`*.arazzo.yaml\` here is a flow: \`npx thredd run <name>\` runs it, on the offline twin unless \`--env\` names an environment,
and \`npx vitest run\` runs all of them as tests. \`npx thredd list\` shows them and those of the package, which run by their names
too; a flow here takes the place of one of the package with the same name. How flows are written:
node_modules/thredd-dcr/docs/flow-format.md.
`

function flowText(flows: string): string {
  return `arazzo: 1.1.0
info:
  title: Is everything ready for a registration?
  description: |-
    A first flow of your own, to be changed. It changes nothing at Thredd: it fetches a software statement by a part that flows
    of the package share, and looks whether the keystore lists the key that signs your client assertions.
  version: 1.0.0
sourceDescriptions:
  - { name: ssa, url: ${flows}/parts/software-statement.arazzo.yaml, type: arazzo }
  - { name: keystore, url: ${flows}/apis/keystore.openapi.yaml, type: openapi }

workflows:
  - workflowId: ready-to-register
    summary: Thredd CA issues a software statement, and the keystore lists our signing key
    x-dcr: { effect: read, safety: A, tags: [own], clauses: [THREDD-DCR-3.3.2] }
    inputs:
      type: object
      required: [org_id, software_id, signing_kid]
      properties:
        org_id: { type: string }
        software_id: { type: string }
        signing_kid: { type: string }
    steps:
      - stepId: software-statement
        workflowId: $sourceDescriptions.ssa.software-statement

      - stepId: signing-key
        operationId: $sourceDescriptions.keystore.applicationJwks
        parameters:
          - { name: organisation_id, in: path, value: $inputs.org_id }
          - { name: software_statement_id, in: path, value: $inputs.software_id }
        successCriteria:
          - condition: $statusCode == 200
          - context: $response.body
            condition: $.keys[?@.kid == '{$inputs.signing_kid}']
            type: jsonpath
            x-dcr: { clauses: [RFC7523-2.2] }
`
}
