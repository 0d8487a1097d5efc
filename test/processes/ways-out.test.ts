/**
 * Whatever a changing call ends in, the end of its run, `thredd vault list` and `thredd vault recover` name the same next step,
 * and following what is printed, word for word, leads to a vault and a server that agree.
 */
import { expect, test } from 'vitest'
import { faultsOf, loseAnswer } from '../../mocks/index.ts'
import { CONFIRM, hold, type Person, person, shell, spoil } from '../support/person.ts'
import { CLIENT_ID } from '../support/twin.ts'

const FLOWS = {
  registerClient: 'register',
  updateClient: 'add-scope-with-put',
  deleteClient: 'delete-registration',
} as const
type Operation = keyof typeof FLOWS

const ENDS = {
  'a 503': async (who: Person, operation: Operation) => {
    for (const fault of faultsOf(`unavailable:${operation}`, who.network.twin.operations)) spoil(who.network, fault)
    return (await change(who, operation).ended).stdout
  },
  'a lost answer': async (who: Person, operation: Operation) => {
    spoil(who.network, loseAnswer(operation))
    return (await change(who, operation).ended).stdout
  },
  'a kill before it took effect': (who: Person, operation: Operation) => killed(who, operation, false),
  'a kill after it took effect': (who: Person, operation: Operation) => killed(who, operation, true),
}

const CASES = (Object.keys(FLOWS) as Operation[]).flatMap((operation) =>
  (Object.keys(ENDS) as (keyof typeof ENDS)[]).map((end) => [operation, end] as const),
)

test.each(CASES)('%s ends with %s: the way out that is printed leads to a good end', async (operation, end) => {
  const who = await person()
  if (operation !== 'registerClient') expect((await who.thredd('run', 'register')).code).toBe(0)
  const atTheEnd = await ENDS[end](who, operation)
  who.network.twin.reset()

  const next = await nextOf(who)
  if (atTheEnd !== undefined) expect(unwrapped(atTheEnd)).toContain(next)
  const asked = await who.thredd('vault', 'recover')
  expect([asked.code, asked.stdout]).toEqual([3, expect.stringContaining(`  open: ${next}\n`)])

  await follow(who, next)

  expect(await who.vault().unsettled()).toEqual([])
  expect((await who.vault().current(CLIENT_ID))?.registrationAccessToken?.reveal()).toBe(
    who.network.twin.state.clients.get(CLIENT_ID)?.registrationToken.value,
  )
})

function change(who: Person, operation: Operation) {
  return who.start('run', FLOWS[operation], ...(operation === 'registerClient' ? [] : CONFIRM))
}

/** A run that is killed says nothing at its end. */
async function killed(who: Person, operation: Operation, takesEffect: boolean): Promise<undefined> {
  const held = hold(who.network, operation, takesEffect)
  const running = change(who, operation)
  await held.arrived
  running.process.kill('SIGKILL')
  await running.ended
  held.release()
}

/** What `thredd vault list` says of the one call that is open. */
async function nextOf(who: Person): Promise<string> {
  const { stdout } = await who.thredd('vault', 'list')
  const [, next, ...more] = stdout.split('  next: ')
  expect([next, more]).toEqual([expect.any(String), []])
  return next?.trim() ?? ''
}

/** Does what the sentence says, in its order: a person goes on until a command ends well. */
async function follow(who: Person, next: string): Promise<void> {
  for (const command of commandsIn(next)) {
    // Thredd confirms: its staff have deleted the client.
    if (command.includes('--deleted-by-thredd')) who.network.twin.state.deleteClient(CLIENT_ID)
    const { stdout, stderr, code } = await shell(who, command)
    expect(stderr + stdout, command).not.toContain('error[')
    if (code === 0 && !command.startsWith('thredd message') && !command.includes('--deleted-by-thredd')) return
    // What is left to do is said anew.
    if (command.includes('--online') || command.startsWith('thredd vault list'))
      return await follow(who, stdout.split(/ {2}(?:open|next): /).at(-1) ?? '')
  }
}

function commandsIn(text: string): readonly string[] {
  return unwrapped(text).match(/thredd (?:run|vault|message) [^;,)]+? --env uat/g) ?? []
}

function unwrapped(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}
