/** Collections and environments of Postman, made from a seed; each text in them that can go somewhere holds a mark of its own. */
import { createHash } from 'node:crypto'

type Json = Record<string, unknown>

export class Chance {
  #state: number

  constructor(seed: string) {
    this.#state = createHash('sha256').update(seed).digest().readUInt32LE(0)
  }

  /** From 0 up to, not including, `below`. */
  number(below: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * below)
  }

  of<T>(list: readonly T[]): T {
    return list[this.number(list.length)] as T
  }

  is(percent: number): boolean {
    return this.number(100) < percent
  }

  some<T>(most: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.number(most + 1) }, (_, index) => make(index))
  }
}

export interface Generated {
  readonly collection: Json
  readonly environment: Json
}

/** A collection with its environment: folders, both versions, all kinds of bodies, authorization and scripts, and things nobody knows. */
export function generated(seed: string): Generated {
  const maker = new Maker(new Chance(seed))
  return { collection: maker.collection(), environment: maker.environment() }
}

class Maker {
  readonly #chance: Chance
  #marks = 0

  constructor(chance: Chance) {
    this.#chance = chance
  }

  #mark(): string {
    this.#marks += 1
    return `mark${this.#marks}q`
  }

  collection(): Json {
    const chance = this.#chance
    return {
      info: {
        name: `Sample ${this.#mark()}`,
        schema: `https://schema.getpostman.com/json/collection/v2.${chance.number(2)}.0/collection.json`,
        _postman_id: 'x',
      },
      item: Array.from({ length: 1 + chance.number(6) }, () => this.#item(0)),
      ...(chance.is(50) ? { variable: this.#variables() } : {}),
      ...(chance.is(30) ? { auth: this.#auth() } : {}),
      ...(chance.is(30) ? { event: [this.#event('prerequest')] } : {}),
      ...(chance.is(10) ? { unknown: { deep: [1, null, {}, []] } } : {}),
    }
  }

  environment(): Json {
    return {
      id: '1',
      name: this.#chance.of(['UAT', 'my own', 'Test']),
      values: [
        { key: 'base', value: 'https://api.example.com/v1', enabled: true },
        { key: 'client_id', value: this.#mark(), enabled: true },
        ...this.#variables(),
      ],
      _postman_variable_scope: 'environment',
    }
  }

  #variables(): Json[] {
    const chance = this.#chance
    const names = ['plain', 'token', 'amount', 'org_id', 'kid', 'own_secret', 'other name', 'registration_access_token']
    return chance.some(5, () => ({
      key: chance.of(names),
      value: chance.of([this.#mark(), '', 7, true, null, '{{plain}}']),
      ...(chance.is(20) ? { enabled: false } : {}),
      ...(chance.is(20) ? { type: 'secret' } : {}),
      ...(chance.is(20) ? { description: this.#mark() } : {}),
    }))
  }

  #item(depth: number): Json {
    const chance = this.#chance
    const name = chance.of(['Get it', 'Create', 'Näme / with signs', `Call ${this.#mark()}`])
    if (depth < 3 && chance.is(20))
      return {
        name,
        item: chance.some(3, () => this.#item(depth + 1)),
        ...(chance.is(30) ? { auth: this.#auth() } : {}),
      }
    if (chance.is(3)) return { name, request: 'https://api.example.com/plain' }
    return {
      name,
      request: this.#request(),
      ...(chance.is(50) ? { event: [this.#event('test')] } : {}),
      ...(chance.is(20) ? { response: [{ name: 'saved', code: 200, body: this.#mark(), header: [] }] } : {}),
    }
  }

  #request(): Json {
    const chance = this.#chance
    return {
      method: chance.of(['GET', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'COPY']),
      header: chance.some(3, () => this.#entry(['X-One', 'X-Two', 'Content-Type', 'Authorization', 'Host'])),
      url: this.#url(),
      ...(chance.is(50) ? { body: this.#body() } : {}),
      ...(chance.is(30) ? { auth: this.#auth() } : {}),
      ...(chance.is(20) ? { description: this.#mark() } : {}),
    }
  }

  #entry(names: readonly string[]): Json {
    const chance = this.#chance
    const value = chance.of([
      this.#mark(),
      `a-${this.#mark()}-{{plain}}`,
      '{{plain}}',
      '{{token}}',
      '{{nowhere}}',
      '{{$guid}}',
      `$${this.#mark()}`,
    ])
    return { key: chance.of(names), value, ...(chance.is(15) ? { disabled: true } : {}) }
  }

  #url(): unknown {
    const chance = this.#chance
    const path = [this.#mark(), ...chance.some(2, () => chance.of([this.#mark(), '{{plain}}', ':id', 'a b']))]
    const start = chance.of(['{{base}}', 'https://api.example.com', 'http://plain.example.com', '{{nowhere}}'])
    if (chance.is(40)) return `${start}/${path.join('/')}`
    const query = chance.some(2, () => this.#entry(['q', 'page']))
    return {
      raw: `${start}/${path.join('/')}`,
      host: [start],
      path,
      query,
      ...(chance.is(30) ? { variable: [{ key: 'id', value: this.#mark() }] } : {}),
    }
  }

  #body(): Json {
    const chance = this.#chance
    return chance.of([
      {
        mode: 'raw',
        raw: JSON.stringify({ a: this.#mark(), b: [1, '{{plain}}'], pin: 'x' }),
        options: { raw: { language: 'json' } },
      },
      { mode: 'raw', raw: `{"amount": {{amount}}, "t": "${this.#mark()}"}` },
      { mode: 'raw', raw: `<a>${this.#mark()}</a>`, options: { raw: { language: 'xml' } } },
      { mode: 'urlencoded', urlencoded: chance.some(3, () => this.#entry(['f', 'g', 'password'])) },
      {
        mode: 'formdata',
        formdata: [
          ...chance.some(2, () => this.#entry(['f', 'g'])),
          ...(chance.is(20) ? [{ key: 'file', type: 'file', src: '/x' }] : []),
        ],
      },
      { mode: 'graphql', graphql: { query: `query { ${this.#mark()} }`, variables: '{}' } },
      { mode: 'file', file: { src: '/x' } },
    ])
  }

  #auth(): unknown {
    return this.#chance.of([
      { type: 'noauth' },
      { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}', type: 'string' }] },
      { type: 'bearer', bearer: { token: this.#mark() } },
      {
        type: 'apikey',
        apikey: [
          { key: 'key', value: 'X-Key' },
          { key: 'value', value: '{{own_secret}}' },
        ],
      },
      {
        type: 'basic',
        basic: [
          { key: 'username', value: this.#mark() },
          { key: 'password', value: this.#mark() },
        ],
      },
      { type: 'oauth2', oauth2: [{ key: 'clientId', value: this.#mark() }] },
      null,
    ])
  }

  #event(listen: string): Json {
    const chance = this.#chance
    const lines = [
      "pm.test('ok', function () { pm.response.to.have.status(200); });",
      'var j = pm.response.json();',
      "pm.environment.set('token', j.access_token);",
      "postman.setEnvironmentVariable('plain', j.id);",
      'tests["ok"] = responseCode.code === 201;',
      "pm.test('x', () => pm.expect(j.a.b).to.eql('c'));",
      'somethingElse(1, 2);',
      '// nothing',
      '',
    ]
    return { listen, script: { type: 'text/javascript', exec: chance.some(5, () => chance.of(lines)) } }
  }
}
