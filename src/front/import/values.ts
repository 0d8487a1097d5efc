/** Texts with Postman's variables as values of a flow, and the inputs that these values read. */
import { isSetting } from '../../environment/index.ts'
import { dotenv } from '../../record/foreign.ts'
import { concealed, isSecret, isSecretName, type Piece, piecesOf } from './secrets.ts'
import { isEmpty, plainName, type Setting, settingSpelt, vaultMember } from './settings.ts'
import { referencesIn, type Variable, type Variables, variableParts } from './variables.ts'

export interface Input {
  readonly name: string
  readonly schema: Readonly<Record<string, unknown>>
  readonly isRequired: boolean
}

/** Why a value cannot be carried over; ends the translation of its request. */
export class Untranslatable extends Error {}

/** A word for identifiers: letters, digits and one kind of separator. */
export function slug(text: string, separator: '-' | '_'): string {
  const words = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, separator)
  const plain = words
    .replace(new RegExp(`^${separator}+|${separator}+$`, 'g'), '')
    .slice(0, 60)
    .replace(/[-_]$/, '')
  return plain === '' ? 'call' : /^\d/.test(plain) ? `call${separator}${plain}` : plain
}

/** The first of name, name2, … that is not taken; takes it. */
export function free(name: string, taken: Set<string>): string {
  let one = name
  for (let number = 2; taken.has(one); number++) one = `${name}${/-/.test(name) ? '-' : '_'}${number}`
  taken.add(one)
  return one
}

/** The names of the inputs of an import: one name stands for one thing, since settings of all flows lie in one file. */
export class InputNames {
  readonly #things = new Map<string, string>()

  /** `thing`: what the input stands for; the same thing has the same name again, another one name2, name3, … */
  of(name: string, thing: string): string {
    let one = name
    for (let number = 2; (this.#things.get(one) ?? thing) !== thing; number++) one = `${name}_${number}`
    this.#things.set(one, thing)
    return one
  }
}

/** What the values of one workflow read. */
export class Values {
  readonly inputs = new Map<string, Input>()
  /** of secrets, for the environment file */
  readonly settings: Setting[] = []
  /** variables that the flow holds now */
  readonly carried: { readonly variable: Variable; readonly to: string }[] = []
  /** inputs that a person has to give */
  readonly asked: string[] = []
  readonly #variables: Variables
  /** the expression of a variable that a step has captured */
  readonly #captured: (name: string) => string | undefined
  readonly #from: string
  readonly #names: InputNames

  constructor(
    variables: Variables,
    captured: (name: string) => string | undefined,
    { from, names }: { readonly from: string; readonly names: InputNames },
  ) {
    this.#variables = variables
    this.#captured = captured
    this.#from = from
    this.#names = names
  }

  /** What others read, too. */
  take(others: Values): void {
    for (const input of others.inputs.values()) this.#add(input)
    this.settings.push(...others.settings)
    this.carried.push(...others.carried)
    this.asked.push(...others.asked)
  }

  /** A text as a value of Arazzo. What of it is secret is the value of an input, and stands in no flow. @throws Untranslatable */
  of(text: string, name: string): string {
    const parts = variableParts(text)
    const [only] = parts
    if (parts.length === 1 && typeof only === 'object') return this.reference(only.variable)
    const pieces = parts.flatMap((part): readonly (Piece | { readonly variable: string })[] =>
      typeof part === 'object' ? [part] : literalPieces(part, name, parts.length),
    )
    const [first] = pieces
    if (pieces.length === 1 && first !== undefined && 'isSecret' in first && first.isSecret)
      return this.#secret(name, first.text)
    const literal = pieces.map((one) => ('text' in one && !one.isSecret ? one.text : '')).join('')
    if (pieces.length <= 1) return /^\$|\{\$/.test(text) ? this.#literal(name, text) : text
    if (/\{\$|^\$/.test(literal))
      throw new Untranslatable(`"${name}" mixes variables with the sign $, which begins an expression in a flow`)
    return pieces
      .map((one) => {
        if ('variable' in one) return `{${this.reference(one.variable)}}`
        return one.isSecret ? `{${this.#secret(name, one.text)}}` : one.text
      })
      .join('')
  }

  /** A text with its variables as they stand, since what is made of it holds them in another form. */
  taken(text: string, to: string): string {
    for (const variable of referencesIn(text).flatMap((name) => this.#variables.get(name) ?? []))
      this.carried.push({ variable, to })
    return this.#variables.resolved(text)
  }

  /** The expression that stands for a variable. @throws Untranslatable */
  reference(variable: string, isText = true): string {
    const captured = this.#captured(variable)
    if (captured !== undefined) return captured
    if (variable.startsWith('$'))
      throw new Untranslatable(`"{{${concealed(variable)}}}" makes a value anew in Postman; no flow does that`)
    const plain = plainName(variable)
    const own = vaultMember(variable) ?? settingSpelt(plain)?.toLowerCase()
    if (own !== undefined) {
      const isToken = own === 'registration_access_token'
      if (own === 'x_region') this.#add({ name: own, schema: { type: 'string', default: '0' }, isRequired: false })
      else
        this.#add({
          name: own,
          schema: { type: 'string', ...(isToken ? { format: 'password' } : {}) },
          isRequired: true,
        })
      return `$inputs.${own}`
    }
    return `$inputs.${this.#variable(variable, isText)}`
  }

  #variable(name: string, isText: boolean): string {
    const word = slug(name, '_')
    // Not under the name of a setting that means something else.
    const variable = this.#variables.get(name)
    const thing = variable === undefined ? `variable ${name}` : `variable ${variable.source.name} ${variable.at}`
    const input = this.#names.of(isSetting(word.toUpperCase()) ? `postman_${word}` : word, thing)
    const value = variable === undefined ? '' : this.#variables.resolved(variable.value)
    const isKept = variable?.fields.type === 'secret' || /^vault:/.test(name)
    const secret = isKept || isSecret(name, isEmpty(value) ? 'x' : value)
    if (variable === undefined || isEmpty(value) || value.includes('{{')) {
      this.asked.push(input)
      this.#add({
        name: input,
        schema: { type: 'string', ...(secret ? { format: 'password' } : {}) },
        isRequired: true,
      })
    } else if (secret) {
      demandWritable(value, name)
      this.settings.push({ name: input.toUpperCase(), value, from: `"${name}" of ${variable.source.name}` })
      this.carried.push({ variable, to: `${input.toUpperCase()} in the environment file` })
      this.#add({ name: input, schema: { type: 'string', format: 'password' }, isRequired: true })
    } else {
      const data = isText ? value : scalar(value)
      this.carried.push({ variable, to: `the default of input ${input}` })
      this.#add({ name: input, schema: { type: typeof data, default: data }, isRequired: false })
    }
    return input
  }

  /** A number under the name of a secret, such as a PIN. */
  secretNumber(value: number, name: string): string {
    return this.#secret(name, String(value), 'number')
  }

  #secret(name: string, text: string, type: 'string' | 'number' = 'string'): string {
    const input = slug(`${this.#from} ${name}`, '_')
    const word = /secret|token|password|key$/.test(input) ? input : `${input}_secret`
    const secret = this.#names.of(word, `text ${text}`)
    demandWritable(text, name)
    this.settings.push({ name: secret.toUpperCase(), value: text, from: `"${name}" of "${this.#from}"` })
    this.#add({ name: secret, schema: { type, format: 'password' }, isRequired: true })
    return `$inputs.${secret}`
  }

  #literal(name: string, text: string): string {
    const input = this.#names.of(slug(`${this.#from} ${name}`, '_'), `text ${text}`)
    this.#add({ name: input, schema: { type: 'string', default: text }, isRequired: false })
    return `$inputs.${input}`
  }

  #add(input: Input): void {
    this.inputs.set(input.name, input)
  }
}

/** The name of a scheme, before a variable that holds the credentials. */
const SCHEME = /^\s*[A-Za-z]{1,12}[\s:=]*$/

/** All of a text under the name of a secret is one; a part of it beside a variable may be the name of a scheme. */
function literalPieces(text: string, name: string, parts: number): readonly Piece[] {
  if (!isSecretName(name)) return piecesOf(text)
  return [{ text, isSecret: text.trim() !== '' && !(parts > 1 && SCHEME.test(text)) }]
}

/** @throws Untranslatable */
function demandWritable(value: string, name: string): void {
  if (dotenv(value) === undefined)
    throw new Untranslatable(
      `no environment file can hold the secret of "${name}": it has a quote, a line break or a character that cannot be seen`,
    )
}

function scalar(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,15}(?:\.\d{1,6})?$/.test(text) ? Number(text) : text
}
