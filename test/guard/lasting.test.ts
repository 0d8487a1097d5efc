/** The token of a registration is issued once: nothing registers where the vault dies with the machine. */
import { expect, test } from 'vitest'
import type { Environment } from '../../src/environment/index.ts'
import { lastingObjections, type Machine } from '../../src/guard/lasting.ts'

const KEPT: Machine = {
  variables: {},
  home: '/home/ours',
  temporary: ['/tmp', '/var/tmp'],
  exists: (path) => path === '/home/ours',
  isWritable: () => true,
}

const objections = (machine: Partial<Machine>, set: readonly string[] = []) => {
  const setting = (name: string) => (set.includes(name) ? { value: 'x' } : undefined)
  return lastingObjections({ setting } as unknown as Environment, { ...KEPT, ...machine }, '"register" (register)')
}

test.each<[string, Partial<Machine>, string]>([
  ['a build machine', { variables: { CI: 'true' } }, 'CI is set'],
  [
    'a container of Docker',
    { exists: (path) => path !== '/run/.containerenv' },
    '"/.dockerenv" is there, as in a container',
  ],
  [
    'a container of Podman',
    { exists: (path) => path !== '/.dockerenv' },
    '"/run/.containerenv" is there, as in a container',
  ],
  [
    'a pod',
    { variables: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } },
    'KUBERNETES_SERVICE_HOST is set, as in a container',
  ],
  ['no home folder', { home: undefined }, 'there is no home folder'],
  ['a home folder that was never made', { exists: () => false }, 'there is no home folder'],
  ['a temporary home folder that was never made', { home: '/tmp/x', exists: () => false }, 'there is no home folder'],
  ['a home folder of a read-only system', { isWritable: () => false }, 'the home folder cannot be written to'],
  [
    'a temporary home folder',
    { home: '/tmp/x', exists: (path) => path === '/tmp/x' },
    'the home folder lies in "/tmp", which is emptied',
  ],
])('%s does not keep a vault', (_, machine, because) => {
  const message = `"register" (register) would leave the only token of the client in a vault that may not last: ${because}; nothing was sent`
  expect(objections(machine)).toMatchObject([
    { code: 'VAULT_FLEETING', message, expected: 'VAULT_DIR and VAULT_KEY (or VAULT_KEY_FILE)' },
  ])
  expect(objections(machine, ['vault_dir'])).toMatchObject([{ expected: 'VAULT_KEY (or VAULT_KEY_FILE)' }])
  expect(objections(machine, ['vault_key'])).toMatchObject([{ expected: 'VAULT_DIR' }])
  for (const key of ['vault_key', 'vault_key_file']) expect(objections(machine, ['vault_dir', key])).toEqual([])
})

test.each<[string, Partial<Machine>]>([
  ['a machine of a person', {}],
  ['a shell in which CI is switched off', { variables: { CI: 'false' } }],
  [
    'a home folder whose name begins like a temporary one',
    { home: '/tmpfiles', exists: (path) => path === '/tmpfiles' },
  ],
])('%s keeps it', (_, machine) => {
  expect(objections(machine)).toEqual([])
})
