/** Masks: what is printed in place of a secret, such as `[client_secret#01234567]`. */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { entropyOf } from './randomness.ts'
import { normalName } from './slots.ts'

/** Characters of a name that is printed in a mask. */
const LONGEST_NAME = 64

/** Makes the masks of one run, and recognises them when they are read again. */
export class Masks {
  readonly #key: KeyObject
  readonly #issued = new Set<string>()

  constructor(key: Uint8Array) {
    // The key object is made once: making one takes longer than computing a mask, and a run has thousands of masks.
    this.#key = createSecretKey(key)
  }

  /** A mask with the name of the slot and a fingerprint of the value. */
  fingerprint(value: string, name: string): string {
    const fingerprint = createHmac('sha256', this.#key).update(value).digest('hex').slice(0, 8)
    return this.#issue(`[${shownName(name)}#${fingerprint}]`)
  }

  /** A mask with the name of the slot and the type of the value. */
  type(type: 'array' | 'object' | 'number', name: string): string {
    return this.#issue(`[${shownName(name)}: ${type}]`)
  }

  has(text: string): boolean {
    return this.#issued.has(text)
  }

  #issue(mask: string): string {
    this.#issued.add(mask)
    return mask
  }
}

/** The name as it is printed. Only its last word is, if it is long or random: a server may put a secret into a name. */
export function shownName(name: string): string {
  const shown = name.replace(/[^\w-]/g, '')
  if (shown.length <= LONGEST_NAME && entropyOf(shown) < 48 && shown !== '') return shown
  return normalName(name).split('_').at(-1)?.slice(0, 16) || 'secret'
}
