import { expect, test } from 'vitest'
import { Redactor } from '../../src/secret/index.ts'
import { SeedTable } from '../../src/secret/seed-table.ts'

test('values with the same hash keep their order however the table grows, sixteen at most', () => {
  for (let round = 0; round < 50; round += 1) {
    const table = new SeedTable()
    const added = new Map<number, (readonly [number, number])[]>()
    for (let value = 0; value < 4000; value += 1) {
      const hash = (value * 7919 + round * 104_729) % (value % 3 === 0 ? 97 : 2 ** 24)
      table.add(hash, value, value % 65_536)
      const known = added.get(hash) ?? []
      if (known.length < 16) added.set(hash, [...known, [value, value % 65_536]])
    }
    const wrong = [...added].filter(([hash, all]) => JSON.stringify([...table.of(hash)]) !== JSON.stringify(all))
    expect(wrong).toEqual([])
    expect([...table.of(2 ** 24)]).toEqual([])
  }
})

/** Without a bound on the work for each place this takes minutes. */
test('secrets that begin alike are looked for in one pass, however long they are', () => {
  const redactor = new Redactor(new Uint8Array(32))
  const rest = Array.from({ length: 15_900 }, (_, index) =>
    String.fromCharCode(97 + ((index * index * 31 + index) % 26)),
  )
  const secrets = Array.from({ length: 16 }, (_, index) => `applications${index}Q${rest.slice(index).join('')}`)
  redactor.learn({ client_secret: secrets })
  const text = 'applications !!!!!!!! '.repeat(2000)

  expect(redactor.text(text)).toBe(text)
  expect(redactor.text(`it is ${secrets[7]}`)).toMatch(/^it is \[client_secret#\w+\]$/)
}, 20_000)
