/** A flow of one step that reads, in which lint finds nothing but what the step itself has. */
export function flowOfOneStep(step: object): string {
  return JSON.stringify({
    arazzo: '1.1.0',
    info: { title: 'One step', version: '1.0.0' },
    sourceDescriptions: [{ name: 'clients', url: 'clients.openapi.yaml' }],
    workflows: [
      {
        workflowId: 'one',
        'x-dcr': { effect: 'read' },
        inputs: { type: 'object', properties: { client_id: { type: 'string', 'x-dcr': {} } } },
        steps: [{ stepId: 'one', operationId: 'status', ...step }],
      },
    ],
  })
}
