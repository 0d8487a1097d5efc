/** `thredd message`: a message to Thredd that was asked for. */
import { expect, test } from 'vitest'
import { Cli } from '../support/cli.ts'
import { expectGolden } from '../support/golden.ts'
import { CLIENT_ID, ORGANISATION, SOFTWARE } from '../support/twin.ts'

const UAT = [
  'ENV_CLASS=uat',
  'SERVER_AUTHORIZATION=https://as.example/confidential-clients',
  `CLIENT_ID=${CLIENT_ID}`,
  `ORG_ID=${ORGANISATION}`,
  `SOFTWARE_ID=${SOFTWARE}`,
].join('\n')

test.each(['delete', 'metadata'])(
  'thredd message %s writes the message that was asked for, and says what is known',
  async (what) => {
    await using cli = await Cli.make({ '.env.uat': UAT })

    const { stdout, stderr, code } = await cli.run(['message', what, '--env', 'uat'])

    expectGolden(`${stderr}${stdout}`, `message/asked-${what}.txt`)
    expect(code).toBe(0)
  },
)

test.each([
  [['message', 'delete'], 'error[USAGE]: environment "mock" is the offline twin'],
  [['message', '--env', 'uat'], 'error[USAGE]: which message?'],
  [['message', 'everything', '--env', 'uat'], 'error[USAGE]: there is no message "everything"'],
])('%j writes nothing and says why', async (line, why) => {
  await using cli = await Cli.make({ '.env.uat': UAT })

  const { stdout, stderr, code } = await cli.run(line)

  expect({ stdout, code }).toEqual({ stdout: '', code: 2 })
  expect(stderr).toContain(why)
})
