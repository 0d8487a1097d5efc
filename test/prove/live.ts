/**
 * What befalls a customer whose client is live, with real processes against a twin of class uat over TLS. Each situation must
 * end with the client alive and manageable, and the twin must have seen no changing call but those that the person asked for
 * and confirmed. Prints a table; ends with 1 where a row does not hold.
 *
 *   node test/prove/live.ts [word…]: only the rows whose names have one of the words
 */
import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { HttpResponse, http } from 'msw'
import { changeField, loseAnswer, type Switches } from '../../mocks/index.ts'
import buildCli from '../support/build.ts'
import { Cli, type Ended, type Situation } from '../support/cli.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { CLIENT_ID } from '../support/twin.ts'

/** Situations at the same time, each on a twin of its own. */
const LANES = 2
const CONFIRM = ['--confirm', CLIENT_ID]
/** No situation takes so long; a process that hangs must not keep the proof from its end. */
const LONGEST_MS = 240_000

interface Row {
  readonly name: string
  readonly switches?: Partial<Switches>
  /** the client is not registered by Postman first */
  readonly isNew?: true
  readonly act: (customer: Customer) => Promise<void>
  /** the changing calls that were asked for and confirmed, as the twin's log has them: a pattern; default: none */
  readonly calls?: string
}

/** A folder with an environment "uat", and one of a colleague who works with Postman. */
class Customer implements AsyncDisposable {
  readonly network: Network
  readonly cli: Cli
  readonly colleague: Cli
  #seen = 0

  private constructor(network: Network, cli: Cli, colleague: Cli) {
    this.network = network
    this.cli = cli
    this.colleague = colleague
  }

  static async make({ switches = {}, isNew }: Row): Promise<Customer> {
    const network = await startNetwork(switches)
    const files = { '.env.uat': network.environment }
    const customer = new Customer(network, await Cli.make(files), await Cli.make(files))
    if (!isNew) {
      expectCode(await customer.postman('run', 'register'), 0)
      await customer.export('postman.json')
    }
    customer.#seen = network.changes().length
    return customer
  }

  get calls(): readonly string[] {
    return this.network.changes().slice(this.#seen)
  }

  thredd(...args: string[]): Promise<Ended> {
    return this.in({}, ...args)
  }

  in(variables: Situation['variables'], ...args: string[]): Promise<Ended> {
    return this.start(variables, ...args).ended
  }

  start(variables: Situation['variables'], ...args: string[]) {
    return this.cli.start([...args, '--env', 'uat'], { variables: { ...this.network.variables, ...variables } })
  }

  postman(...args: string[]): Promise<Ended> {
    return this.colleague.run([...args, '--env', 'uat'], { variables: this.network.variables })
  }

  /** What the colleague has of the client now, as a file in the customer's folder. */
  async export(name: string): Promise<void> {
    const file = join(this.cli.folder, name)
    expectCode(await this.postman('vault', 'export', '--format', 'postman', '--reveal', '--out', file), 0)
  }

  async import(name = 'postman.json'): Promise<void> {
    expectCode(await this.thredd('vault', 'import', name, ...CONFIRM), 0)
  }

  /** A run that is killed while the answer to this operation is on its way. */
  async killedAt(operation: string, takesEffect: boolean, ...args: string[]): Promise<void> {
    const arrived = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const { twin } = this.network
    twin.use(
      http.all(
        ({ request }) => twin.operationOf(request) === operation,
        async ({ request }) => {
          const response = takesEffect ? await twin.pass(request) : HttpResponse.error()
          arrived.resolve()
          await released.promise
          return response
        },
      ),
    )
    const running = this.start({}, ...args)
    await arrived.promise
    running.process.kill('SIGKILL')
    await running.ended
    released.resolve()
    twin.reset()
  }

  /** A flow that says of itself that it only reads. */
  async flow(step: string, file = 'sly'): Promise<void> {
    const apis = join(import.meta.dirname, '../../flows/apis/authorization.openapi.yaml')
    await this.cli.write(
      `flows/${file}.arazzo.yaml`,
      `arazzo: 1.1.0\ninfo: { title: x, version: 1.0.0 }\nsourceDescriptions: [{ name: authorization, url: ${apis}, type: openapi }]\nworkflows:\n  - workflowId: ${file}\n    x-dcr: { effect: read }\n    inputs: { type: object, properties: { any: { type: string, x-dcr: {} } } }\n    steps:\n      - stepId: go\n${step}`,
    )
  }

  /** Only Thredd can: its staff delete the client, and the customer registers it again. */
  async deletedByThredd(): Promise<void> {
    this.network.twin.state.deleteClient(CLIENT_ID)
    expectCode(await this.thredd('vault', 'recover', CLIENT_ID, '--deleted-by-thredd'), 0)
    expectCode(await this.thredd('run', 'register'), 0)
  }

  /** Every answer to the registration comes in this form. */
  answered(form: (text: string) => Response): void {
    const { twin } = this.network
    twin.use(
      http.all(
        ({ request }) => twin.operationOf(request) === 'registerClient',
        async ({ request }) => form(await (await twin.pass(request)).text()),
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]()
    for (const cli of [this.cli, this.colleague]) await cli[Symbol.asyncDispose]()
  }
}

const BODY = '        requestBody: { contentType: text/plain, payload: \'{"client_name":"x","redirect_uris":[]}\' }\n'
const POST = '        operationId: registerClient\n'
const REGISTER = 'https://uat-thredd.mtls.eu.authz.cloudentity.io/uat-thredd/confidential-clients/oauth2'

const ROWS: readonly Row[] = [
  {
    name: 'the vault is empty: the server refuses to register, Postman’s variables are imported',
    act: async (customer) => {
      const refused = await customer.thredd('run', 'register')
      expectCode(refused, 1)
      if (/Please delete/.test(refused.stdout)) throw new Error('a letter that asks to delete the client was printed')
      await customer.import()
    },
    calls: 'POST 400',
  },
  {
    name: 'a stale import: the older file changes nothing that works',
    act: async (customer) => {
      expectCode(await customer.postman('run', 'add-scope-with-put', ...CONFIRM), 0)
      await customer.export('newest.json')
      await customer.import('newest.json')
      expectCode(await customer.thredd('vault', 'check', '--online'), 0)
      await customer.import()
    },
    calls: 'PUT 200',
  },
  {
    name: 'a second machine takes the encrypted export',
    act: async (customer) => {
      await customer.cli.write('pass.txt', 'correct horse battery staple\n')
      const file = join(customer.cli.folder, 'clients.jwe')
      const passphrase = ['--passphrase-file', join(customer.cli.folder, 'pass.txt')]
      expectCode(await customer.postman('vault', 'export', '--out', file, ...passphrase), 0)
      expectCode(await customer.thredd('vault', 'import', file, ...passphrase, ...CONFIRM), 0)
    },
  },
  {
    name: 'the answer to an update is lost: reading tells, Thredd deletes, it is registered again',
    act: async (customer) => {
      await customer.import()
      const { twin } = customer.network
      twin.use(...loseAnswer('updateClient').handlers(twin))
      expectCode(await customer.thredd('run', 'add-scope-with-put', ...CONFIRM), 3)
      twin.reset()
      expectCode(await customer.thredd('vault', 'recover', '--online'), 3)
      await customer.deletedByThredd()
    },
    calls: 'PUT 0, POST 201',
  },
  {
    name: 'a run is killed before its update took effect: reading settles it',
    act: async (customer) => {
      await customer.import()
      await customer.killedAt('updateClient', false, 'run', 'add-scope-with-put', ...CONFIRM)
      expectCode(await customer.thredd('vault', 'recover', '--online'), 0)
    },
    calls: 'PUT 0',
  },
  {
    name: 'a run is killed while it deletes, which did not take effect',
    act: async (customer) => {
      await customer.import()
      await customer.killedAt('deleteClient', false, 'run', 'delete-registration', ...CONFIRM)
      expectCode(await customer.thredd('vault', 'recover', '--online'), 0)
    },
    calls: 'DELETE 0',
  },
  {
    name: 'the vault key is changed, and the earlier one dropped',
    act: async (customer) => {
      const own = { THREDD_VAULT_KEY: undefined }
      expectCode(await customer.in(own, 'vault', 'import', 'postman.json', ...CONFIRM), 0)
      expectCode(await customer.in(own, 'vault', 'rotate-key'), 0)
      expectCode(await customer.in(own, 'vault', 'rotate-key', '--drop-earlier'), 2)
      expectCode(await customer.in(own, 'vault', 'rotate-key', '--drop-earlier', '--confirm', 'uat'), 0)
      expectCode(await customer.in(own, 'vault', 'check', '--online'), 0)
      await rename(join(customer.cli.folder, 'vault'), join(customer.cli.folder, 'own'))
      await customer.import()
    },
  },
  {
    name: 'the package is upgraded: the vault is the project’s, not the package’s',
    act: async (customer) => {
      const own = { THREDD_VAULT_DIR: undefined }
      await customer.cli.write('package.json', '{"dependencies":{"thredd-dcr":"*"}}')
      await mkdir(join(customer.cli.folder, 'node_modules/thredd-dcr'), { recursive: true })
      expectCode(await customer.in(own, 'vault', 'import', 'postman.json', ...CONFIRM), 0)
      await rm(join(customer.cli.folder, 'node_modules'), { recursive: true })
      expectCode(await customer.in(own, 'vault', 'check', '--online'), 0)
      await cp(join(customer.cli.folder, '.vault/uat'), join(customer.cli.folder, 'vault'), { recursive: true })
    },
  },
  {
    name: 'a flow that says it reads deletes by an encoded path',
    act: async (customer) => {
      await customer.import()
      await customer.flow(
        `        x-operation: { url: '${REGISTER}/%72egister/X', method: delete }\n        parameters: [{ name: Authorization, in: header, value: 'Bearer abc' }]\n`,
      )
      expectCode(await customer.thredd('run', 'sly'), 2)
    },
  },
  {
    name: 'a flow that says it reads registers with a body that is a text',
    act: async (customer) => {
      await customer.import()
      await customer.flow(POST + BODY)
      expectCode(await customer.thredd('run', 'sly'), 2)
    },
  },
  {
    name: 'a flow that says it reads registers with a form',
    act: async (customer) => {
      await customer.import()
      await customer.flow(
        `${POST}        requestBody: { contentType: application/x-www-form-urlencoded, payload: { client_name: x } }\n`,
      )
      expectCode(await customer.thredd('run', 'sly'), 2)
    },
  },
  {
    name: 'two runs update at once: one after the other, each with the token that the first left',
    act: async (customer) => {
      await customer.import()
      const both = [1, 2].map(() => customer.thredd('run', 'add-scope-with-put', ...CONFIRM))
      for (const ended of await Promise.all(both)) expectCode(ended, 0, 1)
      customer.network.twin.reset()
    },
    // Whether the second had read its token before the first replaced it is a matter of time.
    calls: 'PUT 200(?:, PUT (?:200|401))?',
  },
  {
    name: 'VAULT_DIR holds the vault of another environment',
    act: async (customer) => {
      await customer.import()
      const { folder } = customer.cli
      await mkdir(join(folder, 'other'))
      await customer.cli.write('.env.sandbox', customer.network.environment)
      await cp(join(folder, 'vault/uat.log'), join(folder, 'other/sandbox.log'))
      const variables = { ...customer.network.variables, THREDD_VAULT_DIR: 'other' }
      expectCode(
        await customer.cli.run(['run', 'delete-registration', '--env', 'sandbox', ...CONFIRM], { variables }),
        2,
      )
    },
  },
  {
    name: 'VAULT_KEY is that of another vault',
    act: async (customer) => {
      await customer.import()
      const wrong = { THREDD_VAULT_KEY: Buffer.alloc(32, 'another key').toString('base64url') }
      expectCode(await customer.in(wrong, 'run', 'delete-registration', ...CONFIRM), 2)
      expectCode(await customer.in(wrong, 'run', 'register'), 2)
    },
  },
  {
    name: 'VAULT_KEY is 32 zeros: refused before anything is sent',
    act: async (customer) => {
      await customer.import()
      const weak = { THREDD_VAULT_KEY: 'A'.repeat(43) }
      expectCode(await customer.in(weak, 'run', 'register'), 2)
    },
  },
  {
    name: 'the client was deleted elsewhere: the stored token is refused, it is registered again',
    act: async (customer) => {
      await customer.import()
      customer.network.twin.state.deleteClient(CLIENT_ID)
      // No verdict: the vault does not know which certificate an imported token was issued to.
      expectCode(await customer.thredd('vault', 'check', '--online'), 3)
      await customer.deletedByThredd()
    },
    calls: 'POST 201',
  },
  {
    name: 'the stored token was superseded elsewhere: the newer one is imported, and tried',
    act: async (customer) => {
      await customer.import()
      expectCode(await customer.postman('run', 'add-scope-with-put', ...CONFIRM), 0)
      expectCode(await customer.thredd('vault', 'check', '--online'), 3)
      await customer.export('newest.json')
      await customer.import('newest.json')
    },
    calls: 'PUT 200',
  },
  {
    name: 'discover, register and lifecycle in one run on an empty vault: the live client stays',
    act: async (customer) => {
      const ended = await customer.thredd('run', 'discover', 'register', 'lifecycle')
      expectCode(ended, 1, 2, 3)
      await customer.import()
    },
    calls: 'POST 400, POST 400',
  },
  {
    name: 'override flags with a step that only reads',
    act: async (customer) => {
      await customer.import()
      const flags = ['--register-again', ...CONFIRM]
      await customer.thredd('run', 'register', '--step', 'software-statement', ...flags)
    },
  },
  {
    name: 'the client is registered here already: registering it again is refused',
    act: async (customer) => {
      await customer.import()
      expectCode(await customer.thredd('run', 'register'), 2)
      expectCode(await customer.thredd('run', 'delete-registration'), 2)
    },
  },
  {
    name: 'the server issues the client id: it is found, and not registered over',
    isNew: true,
    act: async (customer) => {
      const { twin } = customer.network
      twin.use(...changeField('registerClient', '/client_id', 'issued-1').handlers(twin))
      expectCode(await customer.thredd('run', 'register'), 0, 1)
      twin.reset()
      expectCode(await customer.thredd('run', 'register'), 2)
    },
    calls: 'POST 201',
  },
  {
    name: 'the answer of the registration comes compressed, though nobody asked for it',
    isNew: true,
    act: async (customer) => {
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip', 'cache-control': 'no-store' }
      customer.answered((text) => new HttpResponse(new Uint8Array(gzipSync(text)), { status: 201, headers }))
      expectCode(await customer.thredd('run', 'register'), 0, 1)
    },
    calls: 'POST 201',
  },
  {
    name: 'the answer of the registration comes in an envelope',
    isNew: true,
    act: async (customer) => {
      customer.answered((text) => HttpResponse.json({ data: JSON.parse(text) }, { status: 201 }))
      expectCode(await customer.thredd('run', 'register'), 0, 1)
    },
    calls: 'POST 201',
  },
  {
    name: 'the answer to a deletion is lost: no certificate is known of the imported token, Thredd tells, it is registered again',
    act: async (customer) => {
      await customer.import()
      const { twin } = customer.network
      twin.use(...loseAnswer('deleteClient').handlers(twin))
      expectCode(await customer.thredd('run', 'delete-registration', ...CONFIRM), 3)
      twin.reset()
      // The server refuses the token, but for an imported one it is not known to which certificate it was issued.
      expectCode(await customer.thredd('vault', 'recover', '--online'), 3)
      await customer.deletedByThredd()
    },
    calls: 'DELETE 0, POST 201',
  },
  {
    name: 'a run is killed while it registers: it is registered already, Thredd deletes, it is registered again',
    isNew: true,
    act: async (customer) => {
      await customer.killedAt('registerClient', true, 'run', 'register')
      expectCode(await customer.thredd('run', 'register'), 1)
      await customer.deletedByThredd()
    },
    calls: 'POST 201, POST 400, POST 201',
  },
  {
    name: 'an exported variable names another server: refused by its name',
    act: async (customer) => {
      await customer.import()
      const elsewhere = { THREDD_SERVER_AUTHORIZATION: 'https://localhost:1' }
      expectCode(await customer.in(elsewhere, 'run', 'delete-registration', ...CONFIRM), 2)
      expectCode(await customer.in(elsewhere, 'run', 'register', '--allow-env'), 2)
    },
  },
  {
    name: 'a machine that is thrown away, without a key of its own for the vault: nothing is updated',
    act: async (customer) => {
      await customer.import()
      const fleeting = { CI: 'true', THREDD_VAULT_KEY: undefined, THREDD_VAULT_DIR: undefined }
      expectCode(await customer.in(fleeting, 'run', 'add-scope-with-put', ...CONFIRM), 2, 3)
      expectCode(await customer.in(fleeting, 'run', 'register'), 2)
    },
  },
  {
    name: 'an id that nobody knows is confirmed, recovered and written about',
    act: async (customer) => {
      await customer.import()
      expectCode(await customer.thredd('run', 'delete-registration', '--confirm', 'nobody'), 2)
      expectCode(await customer.thredd('vault', 'recover', 'nobody', '--deleted-by-thredd'), 2)
      expectCode(await customer.thredd('message', 'delete', 'nobody'), 2)
    },
  },
  {
    name: 'two clients of one application: none is taken by chance, the one that is named stays manageable',
    act: async (customer) => {
      const another = 'https://another.example/client'
      await customer.cli.write(
        'another.json',
        JSON.stringify({
          client_id: another,
          software_id: 'b9f04639-cdeb-425b-a310-450d3d293fd4',
          registration_access_token: 'token-of-another',
          registration_client_uri: `${another}/registration`,
        }),
      )
      await customer.import()
      expectCode(await customer.thredd('vault', 'import', 'another.json', another, '--confirm', another), 0)
      expectCode(
        await customer.in({ THREDD_CLIENT_ID: 'third' }, 'run', 'delete-registration', '--confirm', 'third'),
        2,
      )
      expectCode(await customer.thredd('run', 'read-registration'), 0)
      expectCode(await customer.thredd('vault', 'forget', another, '--confirm', another), 0)
    },
  },
  {
    name: 'the disk is full: nothing is sent',
    act: async (customer) => {
      await customer.import()
      await customer.cli.write(
        'limited.sh',
        `ulimit -f 8; exec "${process.execPath}" "${join(import.meta.dirname, '../../bin/thredd.js')}" "$@"`,
      )
      const situation = { node: '/bin/bash', launcher: join(customer.cli.folder, 'limited.sh') }
      const args = ['run', 'delete-registration', '--env', 'uat', ...CONFIRM]
      expectCode(await customer.cli.run(args, { variables: customer.network.variables, ...situation }), 2)
    },
  },
]

function expectCode({ code, stdout, stderr }: Ended, ...expected: number[]): void {
  if (code !== null && expected.includes(code)) return
  throw new Error(`exit ${code}, expected ${expected.join(' or ')}\n${(stderr || stdout).slice(-600)}`)
}

/** Undefined where the row holds, else what does not. */
async function played(row: Row): Promise<{ readonly fault: string | undefined; readonly calls: readonly string[] }> {
  await using customer = await Customer.make(row)
  try {
    await row.act(customer)
    customer.network.twin.reset()
    const { calls } = customer
    if (!customer.network.twin.state.clients.has(CLIENT_ID)) return { fault: 'the client is gone', calls }
    if (!new RegExp(`^(?:${row.calls ?? ''})$`).test(calls.join(', ')))
      return { fault: `expected ${row.calls ?? 'no call'}`, calls }
    expectCode(await customer.thredd('vault', 'check', '--online'), 0)
    return { fault: undefined, calls }
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error), calls: customer.calls }
  }
}

async function bounded(row: Row): ReturnType<typeof played> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${LONGEST_MS / 1000} s`)), LONGEST_MS)
  })
  try {
    return await Promise.race([played(row), late])
  } catch (error) {
    return { fault: String(error), calls: [] }
  } finally {
    clearTimeout(timer)
  }
}

await buildCli()
const words = process.argv.slice(2)
const waiting = ROWS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
const begun = performance.now()
let [held, broken] = [0, 0]
const lane = async () => {
  for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
    const { fault, calls } = await bounded(row)
    if (fault === undefined) held += 1
    else broken += 1
    console.log(
      `${fault === undefined ? 'holds ' : 'BROKEN'}  ${row.name}  [${calls.join(', ') || 'no changing call'}]`,
    )
    if (fault !== undefined) console.log(fault.replaceAll(/^/gm, '        '))
  }
}
await Promise.all(Array.from({ length: LANES }, lane))
const seconds = Math.round((performance.now() - begun) / 1000)
console.log(
  broken === 0
    ? `${held} situations: each ends with the client alive and manageable, and no call that was not confirmed (${seconds} s)`
    : `${broken} of ${held + broken} situations broken (${seconds} s)`,
)
process.exit(broken === 0 ? 0 : 1)
