/** Of a run that names no flows, on named hosts: leaves out what is given a key or certificate that the keystore does not list. */
import { remedyOf } from '../flow/arazzo/given.ts'
import { withDependencies } from '../flow/arazzo/needs.ts'
import type { Workflow } from '../flow/index.ts'
import { type AskedKey, LISTED, waitingForKey } from '../guard/given.ts'
import { commandsFor } from '../record/hints.ts'
import type { Caller } from './caller.ts'
import { connect } from './connect.ts'
import { askKeystore, userAgentOf } from './keystore.ts'
import type { Prepared } from './prepare.ts'
import type { Waiting } from './survey.ts'

/**
 * The same run without the workflows that wait for a key, which are named among those that are not ready. The same as it was
 * where workflows are named, where the embedded twin answers, which lists the keys that it made, and where none would be left:
 * that run ends with the reasons.
 */
export async function withoutUnlisted(
  prepared: Prepared,
  { version, signal = new AbortController().signal }: Pick<Caller, 'version' | 'signal'>,
): Promise<Prepared> {
  const { request, counterparty, environment, selection, survey, proxy } = prepared
  if (request.isNamed || counterparty !== undefined) return prepared
  const { authorities, plan } = survey
  await using transport = connect(environment, { identities: new Map(), authorities, proxy, counterparty })
  const { softwareId } = request.client
  const base = { environment, softwareId, transport, userAgent: userAgentOf(version), signal }
  const unlisted = new Map<Workflow, Waiting>()
  const listed = new Set<AskedKey>()
  for (const { workflow } of selection) {
    for (const name of workflow.given) {
      const asked = LISTED[name]
      if (asked === undefined || listed.has(asked.key)) continue
      const listing = await askKeystore({ ...base, which: asked.key, survey })
      if (listing?.is === 'listed') listed.add(asked.key)
      if (listing?.is !== 'missing') continue
      const { workflowId } = workflow
      const because = `workflow "${workflowId}" is ${waitingForKey(asked.inWords, listing.because)}`
      unlisted.set(workflow, { workflowId, because, hint: remedyOf(name, commandsFor(environment.flags)) })
    }
  }
  const waiting = selection.flatMap(({ flow, workflow }): Waiting[] => {
    const [first] = withDependencies(flow, workflow).filter((one) => unlisted.has(one.workflow))
    if (first === undefined) return []
    const because = 'a workflow that it depends on is waiting'
    return [unlisted.get(workflow) ?? { workflowId: workflow.workflowId, because, hint: undefined }]
  })
  if (waiting.length === 0 || waiting.length === selection.length) return { ...prepared, listed }
  const runs = ({ workflowId }: { readonly workflowId: string }) =>
    waiting.every((one) => one.workflowId !== workflowId)
  return {
    ...prepared,
    listed,
    selection: selection.filter(({ workflow }) => runs(workflow)),
    waiting: [...prepared.waiting, ...waiting],
    survey: {
      ...survey,
      plan: { ...plan, workflows: plan.workflows.filter(({ workflow }) => runs(workflow)) },
      given: survey.given.filter(runs),
    },
  }
}
