/** Equality of JSON values, and multiples, as JSON Schema means them. */

/** The same text for values that are equal: members in the order of their names, numbers by their value. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : text(value)
  const members = Object.entries(value).map(([name, member]) => `${text(name)}:${canonical(member)}`)
  return `{${members.toSorted().join(',')}}`
}

function text(value: unknown): string {
  return JSON.stringify(value === 0 ? 0 : value) ?? 'undefined'
}

/** Exact for decimal fractions: 0.3 is a multiple of 0.1. */
export function isMultiple(value: number | bigint, of: number): boolean {
  const [a, b] = [decimal(value), decimal(of)]
  const exponent = Math.min(a.exponent, b.exponent)
  return scaled(a, exponent) % scaled(b, exponent) === 0n
}

interface Decimal {
  readonly digits: bigint
  /** power of ten that the digits are multiplied by */
  readonly exponent: number
}

function decimal(value: number | bigint): Decimal {
  const [, sign = '', whole = '0', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(value)) ?? []
  return { digits: BigInt(`${sign}${whole}${fraction}`), exponent: Number(power) - fraction.length }
}

function scaled({ digits, exponent }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(exponent - to)
}
