/** Collections written by hand with what people's collections hold and no generator thinks of. Each secret in them begins with "hidden". */
type Json = Readonly<Record<string, unknown>>

const schema = 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json'
const kv = (o: Json) => Object.entries(o).map(([key, value]): Json => ({ key, value, type: 'string' }))
const url = (raw: string) => {
  const m = /^(\{\{\w+\}\}|https?:\/\/[^/]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(raw) ?? []
  return {
    raw,
    host: [m[1]],
    path: (m[2] ?? '').split('/'),
    query: (m[3] ?? '')
      .split('&')
      .filter(Boolean)
      .map((p) => ({ key: p.split('=')[0], value: p.split('=').slice(1).join('=') })),
  }
}
const auths = {
  noauth: {},
  basic: kv({ username: 'bob', password: 'hiddenhunter2' }),
  bearer: kv({ token: '{{tok}}' }),
  digest: kv({ username: 'bob', password: 'hiddenhunter2', realm: 'r' }),
  hawk: kv({ authId: 'x', authKey: 'hiddenhawkkeySECRET9q8w7e' }),
  awsv4: kv({
    accessKey: 'hiddenAKIAIOSFODNN7EXAMPLE',
    secretKey: 'hiddenwJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY',
    region: 'eu',
  }),
  ntlm: kv({ username: 'u', password: 'hiddenpNTLM12345' }),
  oauth1: kv({ consumerKey: 'ck', consumerSecret: 'hiddencsSECRETcs12' }),
  oauth2: kv({
    accessTokenUrl: 'https://x/t',
    clientId: 'a',
    clientSecret: 'hiddenoaSECRETqwe987',
    grant_type: 'client_credentials',
  }),
  apikey: kv({ key: 'X-K', value: 'hiddenapikeySECRET123', in: 'header' }),
  edgegrid: kv({ accessToken: 'hiddenakabSECRET12345', clientToken: 'akab-x' }),
  jwt: kv({ secret: 'hiddenjwtSECRETjwt99', payload: '{}', algorithm: 'HS256' }),
  asap: kv({ privateKey: '-----BEGIN PRIVATE KEY-----\nhiddenMIIasapKEY\n-----END PRIVATE KEY-----' }),
  inherit: {},
}
const item = (name: string, more: Json = {}, rest: Json = {}) => ({
  name,
  request: { method: 'GET', header: [], url: url('https://api.example.com/a'), ...more },
  response: [],
  ...rest,
})
const collection1 = {
  info: { name: 'Auths', schema },
  auth: { type: 'basic', basic: auths.basic },
  item: Object.entries(auths).map(([t, v]) => ({
    name: `Folder ${t}`,
    auth: { type: t, [t]: v },
    item: [
      item(`In ${t}`),
      { name: 'deeper', item: [item(`Deep ${t}`), item(`Own ${t}`, { auth: { type: 'noauth' } })] },
    ],
  })),
}
const collection2 = {
  info: { name: 'Bodies & Dinge ☃', schema, description: 'pw: hiddenhunter2' },
  item: [
    item('GraphQL', {
      method: 'POST',
      body: {
        mode: 'graphql',
        graphql: {
          query: 'query Q($id: ID!, $n: Int = 3) { card(id: $id) { n } }',
          variables: '{"id": "{{cardId}}", "n": {{n}}}',
          operationName: 'Q',
        },
      },
    }),
    item('GraphQL bad vars', {
      method: 'POST',
      body: { mode: 'graphql', graphql: { query: '{ a }', variables: '{not json' } },
    }),
    item('File', { method: 'POST', body: { mode: 'file', file: { src: '/home/me/secret.bin' } } }),
    item('File content', { method: 'POST', body: { mode: 'file', file: { content: 'hello' } } }),
    item('Form file', {
      method: 'POST',
      body: {
        mode: 'formdata',
        formdata: [
          { key: 'f', type: 'file', src: ['/a', '/b'] },
          { key: 't', value: 'x', type: 'text', contentType: 'application/json' },
        ],
      },
    }),
    item('Form typed', {
      method: 'POST',
      body: {
        mode: 'formdata',
        formdata: [
          { key: 't', value: '{"a":1}', type: 'text', contentType: 'application/json' },
          { key: 't', value: '2', type: 'text' },
          { key: 'off', value: 'z', disabled: true },
        ],
      },
    }),
    item('Guid', {
      method: 'POST',
      header: kv({ 'X-Id': '{{$guid}}', 'Idempotency-Key': '{{$randomUUID}}' }),
      body: {
        mode: 'raw',
        raw: '{"t": {{$timestamp}}, "e":"{{$randomEmail}}"}',
        options: { raw: { language: 'json' } },
      },
    }),
    item('Comments in JSON', {
      method: 'POST',
      body: { mode: 'raw', raw: '{\n // note\n "a": 1 /* b */\n}', options: { raw: { language: 'json' } } },
    }),
    item('XML', {
      method: 'POST',
      body: { mode: 'raw', raw: '<?xml version="1.0"?><a>{{x}}</a>', options: { raw: { language: 'xml' } } },
    }),
    item('Array JSON', {
      method: 'PUT',
      body: {
        mode: 'raw',
        raw: '[1,"{{x}}",{"$ref":"#/x"},"$steps.a.outputs.b","{$inputs.x}"]',
        options: { raw: { language: 'json' } },
      },
    }),
    item('Empty urlencoded', { method: 'POST', body: { mode: 'urlencoded', urlencoded: [] } }),
    item('Urlencoded dup', {
      method: 'POST',
      body: {
        mode: 'urlencoded',
        urlencoded: kv({ a: '1' }).concat(kv({ a: '{{x}}' }), [
          { key: '', value: 'noname' },
          { key: 'n', value: null },
          { key: 'b', value: true },
        ]),
      },
    }),
    item('Disabled body', { method: 'POST', body: { mode: 'raw', raw: 'x', disabled: true } }),
    item('GET with body', { body: { mode: 'raw', raw: '{"a":1}', options: { raw: { language: 'json' } } } }),
    item(
      'Profile',
      {},
      { protocolProfileBehavior: { disableBodyPruning: true, followRedirects: false, tlsPreferServerCiphers: true } },
    ),
  ],
  variable: [
    { key: 'x', value: 'ex' },
    { key: 'n', value: 5, type: 'number' },
    { key: 'cardId', value: 'c-1' },
  ],
}
const ev = (listen: string, ...exec: readonly string[]) => ({ listen, script: { type: 'text/javascript', exec } })
const collection3 = {
  info: { name: 'Scripts', schema },
  event: [
    ev('prerequest', 'pm.variables.set("t", Date.now())'),
    ev('test', 'pm.test("ok", () => pm.response.to.be.ok);'),
  ],
  variable: [{ key: 'base', value: 'https://api.example.com/v1' }],
  item: [
    {
      name: 'F',
      event: [ev('prerequest', 'console.log(1)'), { listen: 'test', disabled: true, script: { exec: ['x'] } }],
      item: [
        item(
          'SendRequest',
          { url: url('{{base}}/x') },
          {
            event: [
              ev(
                'prerequest',
                'pm.sendRequest({url:"https://a/b", header:{Authorization:"Bearer hiddenabcDEF123ghi456JKL"}}, (e,r) => {',
                '  pm.environment.set("tok", r.json().access_token);',
                '});',
              ),
            ],
          },
        ),
        item('Uses tok', { url: url('{{base}}/y'), auth: { type: 'bearer', bearer: kv({ token: '{{tok}}' }) } }),
        item('Vault', {
          url: url('{{base}}/z'),
          header: kv({ 'X-K': '{{vault:my-secret}}', 'X-L': '{{vault:other}}' }),
        }),
        item(
          'Chain A',
          { method: 'POST', url: url('{{base}}/things') },
          {
            event: [
              ev(
                'test',
                'const j = pm.response.json();',
                'pm.test("s", function () {',
                '  pm.response.to.have.status(201);',
                '  pm.expect(j.name).to.eql("x");',
                '  pm.expect(j.list.length).to.be.above(2);',
                '});',
                'pm.collectionVariables.set("thing", j.data[0].id);',
                'postman.setNextRequest("Chain B");',
              ),
            ],
          },
        ),
        item(
          'Chain B',
          { url: url('{{base}}/things/{{thing}}') },
          { event: [ev('test', 'pm.test("schema", () => pm.response.to.have.jsonSchema({}));', 'eval("x")')] },
        ),
        item(
          'Visualizer',
          { url: url('{{base}}/v') },
          {
            event: [
              ev(
                'test',
                'pm.visualizer.set("<b>{{x}}</b>", {x:1})',
                'if (pm.response.code === 200) { pm.environment.unset("a"); }',
              ),
            ],
          },
        ),
        item(
          'Legacy',
          { url: url('{{base}}/l') },
          {
            event: [
              {
                listen: 'test',
                script: {
                  exec: 'tests["a"] = responseCode.code === 200;\nvar d = JSON.parse(responseBody);\npostman.setEnvironmentVariable("q", d.q);',
                },
              },
            ],
          },
        ),
        item(
          'Script src',
          { url: url('{{base}}/s') },
          {
            event: [
              { listen: 'test', script: { src: 'https://x/y.js' } },
              { listen: 'test', script: { id: 's' } },
            ],
          },
        ),
      ],
    },
  ],
}
const names = [
  'Get',
  'get',
  'GET',
  'get ',
  'Gét',
  '获取',
  '../../etc/passwd',
  'a/b\\c',
  'con',
  '',
  '.',
  '🚀',
  '"quoted"',
  'name\nwith lines',
  '$inputs.x',
  '{{base}}',
  'x'.repeat(300),
  '__proto__',
  'constructor',
  '- dash',
  '#hash',
  'null',
  '1',
  '%2e%2e',
]
const collection4 = {
  info: { name: '../..//Ünï "code"\n🚀', schema, version: { major: 1 } },
  item: names.map((n, i) => ({
    name: n,
    item: [
      item(n, {
        url: url(`https://api.example.com/n/${i}?${encodeURIComponent(n || 'e')}=1`),
        header: kv({ [`X-H${i}`]: n }),
      }),
    ],
  })),
  variable: [
    { key: 'A', value: '1' },
    { key: 'a', value: '2' },
    { key: 'Base', value: 'https://b.example.com' },
    { key: 'base', value: 'https://api.example.com' },
    { key: 'toString', value: 'x' },
    { key: '__proto__', value: 'y' },
  ],
}
const collection5 = {
  info: { name: 'Urls', schema: schema.replace('2.1.0', '2.0.0') },
  auth: { type: 'apikey', apikey: { key: 'k', value: 'hiddensecretKEY9988xy', in: 'query' } },
  item: [
    { name: 'String', request: 'https://api.example.com/s?x=1#frag' },
    item('Hash', {
      url: {
        raw: 'https://api.example.com/h#f',
        protocol: 'https',
        host: ['api', 'example', 'com'],
        path: ['h'],
        hash: 'f',
      },
    }),
    item('Port', {
      url: {
        raw: 'https://api.example.com:8443/h',
        protocol: 'https',
        host: ['api', 'example', 'com'],
        port: '8443',
        path: ['h'],
      },
    }),
    item('User', { url: 'https://bob:hiddenhunter2@api.example.com/u' }),
    item('Ip6', { url: 'https://[::1]:9/x' }),
    item('Http', { url: 'http://api.example.com/x' }),
    item('Ws', { url: 'wss://api.example.com/x' }),
    item('No proto', { url: 'api.example.com/x' }),
    item('Pathvars', {
      url: {
        raw: 'https://api.example.com/:a/:b/:a',
        host: ['https://api.example.com'],
        path: [':a', ':b', ':a'],
        variable: [
          { key: 'a', value: '{{A}}' },
          { key: 'b', value: 'b c/d' },
          { key: 'zz', value: '1' },
        ],
      },
    }),
    item('Curly', { url: 'https://api.example.com/x/{id}/y?q={{q}}&q=2&r[]=1&r[]=2&=v&flag' }),
    item('Spaces', { url: 'https://api.example.com/a b/ü?q=ü&p=a+b%20c' }),
    item('Cert', {
      certificate: {
        name: 'c',
        matches: ['https://a'],
        key: { src: '/k' },
        cert: { src: '/c' },
        passphrase: 'hiddencertPASS123xyz',
      },
      proxy: { match: 'http+https://*/*', host: 'p', port: 8080 },
    }),
    item('Cookie', {
      header: [
        { key: 'Cookie', value: 'sid=hiddenabc123def456ghi; x=1' },
        { key: 'X-Off', value: 'o', disabled: true },
        { key: 'Content-Type', value: 'application/json' },
        { key: 'Accept', value: '*/*' },
      ],
    }),
    item('Header text', { header: 'X-A: 1\nX-B: 2\n' }),
    item('Link', { method: 'LINK' }),
    item('lower', { method: 'post' }),
    {
      name: 'Saved',
      request: { method: 'GET', url: 'https://api.example.com/s' },
      response: [
        {
          name: 'r',
          originalRequest: { method: 'GET', url: 'https://x/?token=hiddenTOKabc123XYZ' },
          status: 'OK',
          code: 200,
          header: [{ key: 'Set-Cookie', value: 'sid=hiddenSESS9876abcd' }],
          cookie: [{ name: 'sid', value: 'hiddenCOOK1234abcd' }],
          body: '{"password":"hiddenhunter2"}',
          _postman_previewlanguage: 'json',
        },
      ],
    },
    { name: 'No request' },
    { name: 'Null request', request: null },
    'text item',
    null,
  ],
}

export const ODD: Readonly<Record<string, Json>> = {
  'every type of authorization, in nested folders': collection1,
  'bodies of every kind': collection2,
  'scripts and events at all levels': collection3,
  'names that are no names of files, or differ in case alone': collection4,
  'addresses, certificates, cookies, saved answers, and things that are disabled': collection5,
}
