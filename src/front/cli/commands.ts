/** The table of commands and flags; parser, --help and docs/cli.md are made from it. A new command is a row here and a file. */
import type { Command, Flag, Handler } from './command.ts'

const HELP: Flag = { short: 'h', about: 'explain the command' }

const ENV: Flag = { value: 'name|path', about: 'environment: mock (default), uat, prod, or the path of a file' }
const SERVER: Flag = {
  value: 'source=url',
  many: true,
  about: 'base URL of a source description; wins over SERVER_<SOURCE>',
}
const ALLOW_ENV: Flag = {
  about: 'a THREDD_ variable may name another CLIENT_ID or VAULT_DIR than the environment files do',
}
const TAG: Flag = { value: 'word', many: true, about: 'only workflows with this tag' }
const SAFETY: Flag = {
  value: 'class',
  many: true,
  about: 'only workflows of this safety class: A reads, B registers and deletes, C is refused, D may harm, X twin only',
}

export const COMMANDS = {
  run: {
    usage: 'thredd run [flow…]',
    about: 'run flows; without --env on the offline twin, without names every flow that may run unnamed',
    words: 'any',
    flags: {
      env: ENV,
      input: {
        short: 'i',
        value: 'name=value',
        many: true,
        about: 'value of a workflow input; wins over the environment',
      },
      server: SERVER,
      'allow-env': ALLOW_ENV,
      workflow: { value: 'id', about: 'run only this workflow of the named flows' },
      tag: TAG,
      safety: SAFETY,
      conformance: {
        about: 'all flows, those of flows/conformance too; on UAT and production what only reads, of class A',
      },
      requirements: { about: 'print the verdict on each requirement of the catalogue' },
      step: { value: 'id', about: 'run only this step, with just the steps it needs' },
      confirm: {
        value: 'client_id',
        about:
          'repeat the client id where a run changes a live client; of rows their number and hash, as --dry-run prints them',
      },
      'register-again': { about: 'register although the vault holds a registration of the client' },
      ticket: {
        value: 'text',
        about: 'the ticket or change that the run belongs to, for the reports; wins over THREDD_REFERENCE',
      },
      data: { value: 'file', about: 'run the flows once for each row of a .csv, .json or .ndjson file' },
      repeat: { value: 'number', about: 'run the flows so many times' },
      parallel: { value: 'number', about: 'rows at the same time (default: 1; on UAT and production at most 10)' },
      shard: {
        value: 'i/n',
        about:
          'only the rows of shard i of n; auto: by CI_NODE_INDEX and CI_NODE_TOTAL, auto/n: by JOB_COMPLETION_INDEX',
      },
      out: { value: 'folder', about: 'where reports go (default: reports)' },
      format: {
        value: 'name',
        many: true,
        about: 'write these too, beside record.json, report.html and junit.xml: md, ctrf, har; several with commas',
      },
      'dry-run': { about: 'show every request that would be sent, secrets as names, and send nothing' },
      verbose: {
        short: 'v',
        twice: 'wire',
        about: 'show method, path, status, time and bodies of each call, redacted',
      },
      wire: { about: 'show each call as it was on the wire, with headers and TLS, redacted; also -vv' },
      json: { about: 'one JSON object a line for each event, instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd run register', 'the documented registration on the offline twin'],
      ['thredd run register --env uat', 'the same on UAT, with .env.uat and .env.uat.local'],
      ['thredd run register --input scopes=cards.read,pin.read', 'with other scopes'],
      ['thredd run lifecycle --dry-run', 'what would be sent'],
      ['thredd run ./my-flow.arazzo.yaml', 'a flow of your own'],
      ['thredd run register --env uat --data clients.csv --dry-run', 'are all rows as they should be'],
      [
        'thredd run register --data clients.csv --parallel 8',
        'the list on the offline twin, of which each row meets its own',
      ],
    ],
    handler: async () => (await import('./run.ts')).performRun,
  },
  list: {
    usage: 'thredd list [flow…]',
    about: 'what each flow does, changes and needs, and whether the environment is ready for it',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      tag: TAG,
      safety: SAFETY,
      effect: { value: 'effect', many: true, about: 'only workflows with this effect: read, register, update, delete' },
      json: { about: 'one JSON object instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd list', 'every flow, on the offline twin'],
      ['thredd list --env uat', 'what UAT lacks for each'],
      ['thredd list --env uat --effect read', 'what changes nothing'],
    ],
    handler: async () => (await import('./list.ts')).performList,
  },
  show: {
    usage: 'thredd show <flow…>',
    about: 'a flow as a story: each call, what it sends and where that comes from, what is tested, kept and done next',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      workflow: { value: 'id', about: 'only this workflow of the flows' },
      input: { short: 'i', value: 'name=value', many: true, about: 'value of a workflow input, as with run' },
      json: { about: 'one JSON array instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd show register', 'all of it'],
      ['thredd show lifecycle --env uat', 'with the hosts and values of UAT'],
    ],
    handler: async () => (await import('./show.ts')).performShow,
  },
  token: {
    usage: 'thredd token',
    about: 'an API access token: what it is, or with --reveal the token itself; kept in the vault while it lives',
    words: 'none',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      scope: {
        value: 'scope',
        many: true,
        about: 'only this scope; several with commas (default: all registered ones)',
      },
      reveal: { about: 'print the token alone on stdout, and what it is on stderr' },
      fresh: { about: 'get a new one, whatever is kept' },
      out: { value: 'folder', about: 'where reports go (default: reports)' },
      json: { about: 'one JSON object instead of text; with --reveal it holds the token' },
      help: HELP,
    },
    examples: [
      ['thredd token --env uat', 'expiry, scopes and certificate of the current token'],
      ['curl -H "Authorization: Bearer $(thredd token --env uat --reveal)" …', 'in a script'],
      ['thredd token --env uat --scope cards.read', 'a token for one scope alone'],
    ],
    handler: async () => (await import('./token.ts')).performToken,
  },
  message: {
    usage: 'thredd message delete|metadata [client_id]',
    about:
      'a message to Thredd: delete a client whose registration access token is lost, or set its metadata; sends nothing',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      'token-refused': { about: 'ask for the deletion although the vault holds a token: the server has refused it' },
      help: HELP,
    },
    examples: [
      ['thredd message metadata --env uat', 'after a POST or PUT: ask for the Programme Manager metadata'],
      ['thredd message delete --env uat', 'only where no registration access token works any more'],
    ],
    handler: async () => (await import('./message.ts')).performMessage,
  },
  report: {
    usage: 'thredd report [run]',
    about:
      'render a stored run again, compare two, pack one as evidence, list all, join those of an environment, merge shards, or delete old ones',
    words: 'any',
    flags: {
      env: { value: 'name|path', about: 'join the stored runs of this environment: may we go live?' },
      format: {
        value: 'name',
        many: true,
        about:
          'html, md, junit, ctrf, har; several with commas (default: html, junit); with --env one of html, md, json',
      },
      out: { value: 'folder|file', about: 'where to write: a folder (default: that of the run), with --env a file' },
      reports: { value: 'folder', about: 'where runs are stored (default: reports)' },
      compare: { value: 'run', about: 'the earlier run; exit code 1 for a new failure' },
      baseline: { value: 'run', about: 'with --env: the run to compare with; wins over the decisions file' },
      index: { about: 'write index.html: the stored runs, and the answer of each environment' },
      pack: { value: 'folder|file.zip', about: 'write a signed evidence pack' },
      key: { value: 'file', about: 'PEM key that signs the pack (default: a made one)' },
      prune: {
        about: 'delete old runs (with --env its own), after a list; none whose client is still open, no baseline',
      },
      older: { value: 'duration', about: 'with --prune: how old, such as 90d or 12w' },
      yes: { about: 'with --prune: delete without a question' },
      help: HELP,
    },
    examples: [
      ['thredd report', 'HTML and JUnit of the newest run again'],
      ['thredd report <run> --format md,ctrf,har', 'the other formats of a run'],
      ['thredd report --compare <run>', 'what has changed since'],
      ['thredd report --env uat', 'may we go live, by all stored runs on UAT'],
      [
        'thredd report merge shard-1 shard-2',
        'one record of the shards of a list: of record.json files or folders of reports',
      ],
      ['thredd report --pack evidence.zip', 'a file for an auditor; without .zip a folder'],
      ['thredd report --prune --older 90d', 'what would be deleted, and why what stays does'],
    ],
    handler: async () => (await import('./report.ts')).performReports,
  },
  verify: {
    usage: 'thredd verify <pack> --signer=<key>',
    about: 'is an evidence pack whole, unchanged, and signed by that key',
    words: 'any',
    flags: {
      signer: { value: 'key', about: 'fingerprint of the key that must have signed it; without it, exit code 3' },
      help: HELP,
    },
    examples: [
      ['thredd verify evidence.zip --signer=<key>', 'recompute every hash, the signature, the verdict and the counts'],
    ],
    handler: async () => (await import('./verify.ts')).performVerify,
  },
  doctor: {
    usage: 'thredd doctor',
    about:
      'settings, certificates, keys, vault and flows of an environment, a line each with its remedy; with --online its servers too',
    words: 'none',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      online: { about: 'also ask the servers: hosts, clock, discovery, keystore, what is registered; changes nothing' },
      'min-days': { value: 'number', about: 'exit code 1 where a certificate has fewer days left' },
      out: { value: 'folder', about: 'where the reports of --online go (default: reports)' },
      json: { about: 'one JSON object instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd doctor --env uat', 'what is missing, and what to do about each'],
      ['thredd doctor --env uat --online', 'whether the servers agree with it'],
      ['thredd doctor --env prod --min-days 30', 'for a nightly CI job'],
    ],
    handler: async () => (await import('./doctor.ts')).performDoctor,
  },
  csr: {
    usage: 'thredd csr transport|signing',
    about:
      'a private key and a certificate signing request for Thredd CA; with --certificate: whether the certificate issued for it fits',
    words: 'any',
    flags: {
      env: ENV,
      subject: {
        value: 'text',
        about: 'subject, or the whole openssl command that Thredd CA shows (default: of ORG_ID and SOFTWARE_ID)',
      },
      bits: { value: 'number', about: 'size of the RSA key: 2048 (default) or 3072' },
      encrypt: { about: 'encrypt the key with a passphrase, which is asked for' },
      'passphrase-file': { value: 'file', about: 'file whose first line is the passphrase of the key' },
      certificate: { value: 'file', about: 'the certificate that was downloaded: compare it with the key and keep it' },
      name: { value: 'word', about: 'beginning of the file names (default: the name of the environment)' },
      out: { value: 'folder', about: 'where the files go (default: certificates, beside the environment file)' },
      help: HELP,
    },
    examples: [
      ['thredd csr transport --env uat', 'key and request, and what to click in Thredd CA'],
      ['thredd csr transport --env uat --certificate ~/Downloads/rtstransport.pem', 'does it fit; what to set'],
      ['thredd csr signing --env uat --name uat-2', 'a second one, to replace the first before it expires'],
    ],
    handler: async () => (await import('./csr.ts')).performCsr,
  },
  completion: {
    usage: 'thredd completion bash|zsh|fish',
    about: 'a script that completes commands, flags and flows in a shell',
    words: 'any',
    flags: { help: HELP },
    examples: [
      ['eval "$(thredd completion bash)"', 'in ~/.bashrc; with zsh in ~/.zshrc, after compinit'],
      ['thredd completion fish | source', 'in ~/.config/fish/config.fish'],
    ],
    handler: async (): Promise<Handler> => (await import('./completion.ts')).completionOf(COMMANDS),
  },
  mock: {
    usage: 'thredd mock [compare <run>]',
    about:
      "the offline twin of Thredd's servers as a server for any client, until Ctrl-C; compare: how it differs from a stored run",
    words: 'any',
    flags: {
      out: {
        value: 'folder',
        about: 'where CA, client certificates, keys, an env file and curl lines go (default: .twin)',
      },
      urls: {
        value: 'form',
        about: 'loopback (default): everything on https://localhost:PORT; or documented host names',
      },
      port: { value: 'number', about: 'default 8443, with documented names 443; 0 takes any free one' },
      host: { value: 'address', about: 'address to listen on (default: 127.0.0.1)' },
      switch: { value: 'name=value', many: true, about: 'a fact that no page settles, see below' },
      switches: { value: 'file', about: 'switches from a file: JSON, or lines of name=value' },
      fault: { value: 'name[:operation][=value]', many: true, about: 'misbehave, see below' },
      seed: { value: 'file', about: 'further applications, each with certificates and an env file (JSON)' },
      state: { value: 'file', about: 'keep what is registered over a restart' },
      admin: { value: 'port', about: "open a port for what Thredd's staff and the CA's dashboard do" },
      help: HELP,
    },
    examples: [
      ['thredd mock', 'then: thredd run register --env .twin/.env.twin'],
      ['thredd mock --switch scopeMode=strict --state twin.json', 'refuse scopes beyond the roles; remember clients'],
      ['thredd mock --fault answer-lost:registerClient', 'lose the answer of a registration that takes effect'],
      [
        'thredd mock compare latest',
        'send the requests of the newest run to the twin: what differs, and the switch for it',
      ],
      ['thredd mock --urls documented', 'under the documented names; prints the line for /etc/hosts'],
    ],
    handler: async () => (await import('./mock.ts')).performMock,
    sections: async () => (await import('./mock.ts')).mockSections(),
  },
  vault: {
    usage: 'thredd vault [list|show|history|export|import|rotate-key|forget|recover|check] [file] [client]',
    about: 'look after the stored registrations; without a word list them',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      json: { about: 'list, show, history, check: JSON instead of text' },
      reveal: { about: 'show secrets: on a terminal, or in an export that holds them in clear' },
      format: { value: 'name', about: 'export: encrypted (default), dotenv or postman' },
      out: { value: 'file', about: 'export: the new file' },
      'passphrase-file': { value: 'file', about: 'export, import: file whose first line is the passphrase' },
      'from-other-environment': { about: 'import: take an export of another environment' },
      online: { about: 'check, recover: read the client with the stored token' },
      'deleted-by-thredd': { about: 'recover: Thredd has confirmed that it deleted the client' },
      'drop-earlier': { about: 'rotate-key: remove the earlier keys from the key file' },
      confirm: {
        value: 'name',
        many: true,
        about: 'forget, import: the whole client id; rotate-key: the environment',
      },
      help: HELP,
    },
    examples: [
      ['thredd vault list --env uat', 'clients, and calls that are open with their next step'],
      ['thredd vault show --env uat --reveal', 'one registration with its token'],
      ['thredd vault check --env uat --online', 'prove that every line decrypts and every token works'],
      ['thredd vault recover --env uat --online', 'settle calls whose answer was lost'],
      ['thredd vault export --env uat --out backup.jwe', 'everything, under a passphrase'],
      ['thredd vault import --env uat postman.json', 'a file of Postman, a .env file, a saved answer or an export'],
      ['thredd vault import --env uat --confirm uat shard-2/vault', 'all that the vault of another machine holds'],
    ],
    handler: async () => (await import('./vault-command.ts')).performVaultCommand,
  },
  cleanup: {
    usage: 'thredd cleanup',
    about: 'delete the clients that a run was to delete and did not; what "register" made on purpose is never touched',
    words: 'none',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      confirm: { value: 'client_id', many: true, about: 'repeat the client id of a live client that is to be deleted' },
      out: { value: 'folder', about: 'where reports go (default: reports)' },
      'dry-run': { about: 'list what was left behind, and send nothing' },
      json: { about: 'one JSON object instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd cleanup --env uat --dry-run', 'clients that runs have left behind, and calls whose outcome is unknown'],
      ['thredd cleanup --env uat', 'delete it; at a terminal each client id is typed'],
      ['thredd cleanup --env uat --confirm <client_id>', 'the same in a CI job'],
    ],
    handler: async () => (await import('./cleanup.ts')).performCleanup,
  },
  init: {
    usage: 'thredd init',
    about:
      'write your own environment file, with a line for each value that is missing, and in a project that depends on this package a first flow and a vitest configuration; for UAT unless --env says otherwise',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      set: { value: 'NAME=value', many: true, about: 'a setting to write, such as ORG_ID=…' },
      'from-postman': {
        value: 'file',
        many: true,
        about: 'a collection or environment of Postman, as thredd import takes it',
      },
      yes: { about: 'replace values that are there' },
      confirm: {
        value: 'client_id',
        many: true,
        about: 'the whole client id, where the vault takes in a registration',
      },
      'dry-run': { about: 'show which files would be written, and write nothing' },
      help: HELP,
    },
    examples: [
      ['thredd init --env uat', '.env.uat.local with a line for each value to fill in'],
      ['thredd init --env uat --set ORG_ID=… --set SOFTWARE_ID=…', 'with these values'],
      ['thredd init --env uat --from-postman thredd.json --from-postman uat.json', 'from what stands in Postman'],
    ],
    handler: async () => (await import('./init.ts')).performInit,
  },
  import: {
    usage: 'thredd import postman <collection.json> [environment.json …]',
    about:
      'take over a collection of Postman: settings, keys and registration first, then the requests that no flow makes yet; for UAT unless --env says otherwise',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      set: {
        value: 'NAME=value',
        many: true,
        about: 'a setting that is in no file of Postman, such as TRANSPORT_CERT_FILE=client.crt',
      },
      yes: { about: 'replace what is there: values of the environment file, key files, imported flows' },
      confirm: {
        value: 'client_id',
        many: true,
        about: 'the whole client id, where the vault takes in a registration',
      },
      'dry-run': { about: 'show what would be written, and write nothing' },
      help: HELP,
    },
    examples: [
      ['thredd import postman thredd.json uat.json --env uat --dry-run', 'what would become of each value and request'],
      [
        'thredd import postman thredd.json uat.json --env uat',
        'write .env.uat.local, keys, flows/imported and the list',
      ],
    ],
    handler: async () => (await import('./import.ts')).performImport,
  },
  export: {
    usage: 'thredd export curl|postman|har [flow…]',
    about:
      'the requests of a flow, of one step, or of a stored run, for other tools; secrets and values of answers are variables; sends nothing',
    words: 'any',
    flags: {
      env: ENV,
      server: SERVER,
      'allow-env': ALLOW_ENV,
      input: { short: 'i', value: 'name=value', many: true, about: 'value of a workflow input, as with run' },
      workflow: { value: 'id', about: 'only this workflow of the flows' },
      step: { value: 'id', about: 'only this step, with just the steps it needs' },
      run: { value: 'run', about: 'a stored run, or latest, instead of what a run would send' },
      out: { value: 'file', about: 'write to this file instead of the screen' },
      yes: { about: 'replace the file' },
      help: HELP,
    },
    examples: [
      ['thredd export postman register --env uat --out register.json', 'a collection that Postman and newman run'],
      ['thredd export curl register --env uat --step api-token', 'one step, with those that it needs'],
      ['thredd export har --run latest', 'what the newest run sent'],
    ],
    handler: async () => (await import('./export.ts')).performExport,
  },
  lint: {
    usage: 'thredd lint [file|folder|flow…]',
    about: 'find every mistake in flow files before anything is sent; without names in the folder flows',
    words: 'any',
    flags: {
      strict: { about: 'warnings fail too' },
      'structure-only': {
        about:
          'judge as the JSON Schemas of Arazzo do: no API description is needed; names, expressions and rules only warn',
      },
      json: { about: 'one JSON object instead of text' },
      help: HELP,
    },
    examples: [
      ['thredd lint', 'every flow of the folder flows'],
      ['thredd lint ./my-flow.arazzo.yaml', 'a flow of your own'],
      ['thredd lint specs --structure-only', 'every Arazzo document below a folder, without its API descriptions'],
      ['thredd lint --strict --json', 'for a CI job'],
    ],
    handler: async () => (await import('./lint.ts')).performLint,
  },
} as const satisfies Record<string, Command>

export type CommandName = keyof typeof COMMANDS
