/** `thredd message`: a message to Thredd that the user asks for, made from what the vault holds. Sends nothing. */
import { type Environment, loadEnvironment } from '../../environment/index.ts'
import { fail } from '../../record/errors.ts'
import { line, oneLine } from '../../record/foreign.ts'
import { commandsFor } from '../../record/hints.ts'
import { applicationOf, requestedMessage } from '../../report/message.ts'
import { usesTwin } from '../../run/index.ts'
import { type Registration, vaultOf } from '../../vault/index.ts'
import type { Invocation, Program } from './command.ts'
import { environmentOptions } from './run-options.ts'

const ASKS = { delete: 'delete-client', metadata: 'set-metadata' } as const

export async function performMessage(invocation: Invocation, program: Program): Promise<number> {
  const [what = '', named, ...others] = invocation.words
  if (!isTopic(what) || others.length > 0) {
    fail({
      code: 'USAGE',
      message: what === '' ? 'which message?' : `there is no message "${invocation.words.join(' ')}"`,
      expected: 'thredd message delete|metadata [client_id]',
    })
  }
  const environment = await loadEnvironment(environmentOptions(invocation, program))
  if (usesTwin(environment)) {
    fail({
      code: 'USAGE',
      message: `environment "${environment.name}" is the offline twin, and nothing on it concerns Thredd`,
      hint: 'name the environment that the client is in with --env',
    })
  }
  const clientId = named ?? textOf(environment, 'client_id')
  if (clientId === undefined) {
    fail({
      code: 'INPUT_MISSING',
      message: 'the message needs the client id',
      hint: `write CLIENT_ID=… into ${environment.localFile}, or name it after "${what}"`,
    })
  }
  const registration = await registrationOf(environment, clientId)
  if (registration === undefined) demandConfigured(clientId, environment)
  else demandNotDeleted(registration, environment)
  if (what === 'delete' && !invocation.has('token-refused')) demandLostToken(registration, environment)
  program.warn(line`${oneLine(known(registration, environment))}\n\n`)
  program.write(
    requestedMessage(
      ASKS[what],
      {
        clientId: registration?.clientId ?? clientId,
        scopes: registration?.scopes,
        at: new Date().toISOString(),
      },
      applicationOf(environment, {
        organisation: textOf(environment, 'org_id'),
        softwareId: textOf(environment, 'software_id'),
      }),
    ),
  )
  return 0
}

/** Refuses an id that is neither in the vault nor configured: mistyped, it could be the client of another company. */
function demandConfigured(clientId: string, environment: Environment): void {
  if (clientId === textOf(environment, 'client_id')) return
  fail({
    code: 'USAGE',
    message: `"${clientId}" is neither in the vault of "${environment.name}" nor its CLIENT_ID`,
    hint: `leave it out to mean CLIENT_ID; where it is meant, write CLIENT_ID=${clientId} into ${environment.localFile}`,
  })
}

/** Of a client that is gone nothing can be set or deleted. */
function demandNotDeleted({ clientId, deletedAt }: Registration, { name, flags }: Environment): void {
  if (deletedAt === undefined) return
  fail({
    code: 'USAGE',
    message: `"${clientId}" was deleted at ${deletedAt}, by the vault of "${name}"`,
    hint: `see what the vault knows: ${commandsFor(flags)('showOpen')}`,
  })
}

/** A client whose token works is deleted by its owner; Thredd is asked only where there is none, or it was refused. */
function demandLostToken(registration: Registration | undefined, { name, flags }: Environment): void {
  if (registration?.registrationAccessToken === undefined) return
  const { clientId, keptAt, runId } = registration
  const command = commandsFor(flags)
  fail({
    code: 'USAGE',
    message: `the vault of "${name}" holds a registration access token of "${clientId}", kept at ${keptAt} by run ${runId}`,
    expected: '--token-refused, once the server has refused it',
    hint: `${command('checkTokens')} tries it; with a token that works the flow delete-registration deletes the client`,
  })
}

function known(registration: Registration | undefined, { name }: Environment): string {
  const unknown = 'Whether the server has this client was not asked.'
  if (registration === undefined) return `The vault of "${name}" holds no registration of this client. ${unknown}`
  const { keptAt, runId } = registration
  return `The vault of "${name}" holds a registration of this client, kept at ${keptAt} by run ${runId}. ${unknown}`
}

async function registrationOf(environment: Environment, clientId: string): Promise<Registration | undefined> {
  const vault = vaultOf(environment, { now: () => new Date() })
  try {
    const { registrations } = await vault.list()
    return registrations.find((one) => one.clientId === clientId)
  } finally {
    await vault.close()
  }
}

function isTopic(word: string): word is keyof typeof ASKS {
  return Object.hasOwn(ASKS, word)
}

function textOf(environment: Environment, name: 'client_id' | 'org_id' | 'software_id'): string | undefined {
  const value = environment.setting(name)?.value
  return typeof value === 'string' ? value : undefined
}
