#!/usr/bin/env node
// The launcher: plain JavaScript that any Node can read, so that an old one gets a sentence instead of a stack trace.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `thredd needs Node 24 or newer; this is ${process.version}.\n` +
      'npm brings Node 24 along, and "npx thredd …" and "npm start" use it: repeat "npm ci", or in a project of your own ' +
      '"npm install", with optional packages and install scripts.\n',
  )
  process.exitCode = 2
} else if (process.argv.length === 3 && process.argv[2] === '--version') {
  // Scripts ask often: nothing is loaded for it, not even what an import of node:fs brings along.
  const { readFileSync } = process.getBuiltinModule('node:fs')
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  process.stdout.write(`${version}\n`)
} else {
  const { fileURLToPath } = await import('node:url')
  await useCompileCache()
  try {
    const { main } = await import('../dist/cli.js')
    await main(fileURLToPath(new URL('..', import.meta.url)))
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('dist')) throw error
    process.stderr.write('thredd is not built yet: run "npm ci" (or "npm run prepare") in the repository.\n')
    process.exitCode = 2
  }
}

/** In a folder that nobody else can write to: Node itself would take one in the shared temporary folder. Without one, none. */
async function useCompileCache() {
  const [{ enableCompileCache }, { existsSync, lstatSync, mkdirSync }, { homedir }, { join }] = await Promise.all([
    import('node:module'),
    import('node:fs'),
    import('node:os'),
    import('node:path'),
  ])
  const isOwn = (folder, mode) => {
    const facts = lstatSync(folder)
    if (process.getuid === undefined) return facts.isDirectory()
    return facts.isDirectory() && facts.uid === process.getuid() && (facts.mode & mode) === 0
  }
  try {
    const home = homedir()
    const folders = [home, join(home, '.cache'), join(home, '.cache', 'thredd-dcr')]
    // A home folder that is not there is not made.
    for (const folder of folders.slice(1)) if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 })
    const [last] = folders.slice(-1)
    if (folders.every((folder) => isOwn(folder, folder === last ? 0o077 : 0o022))) enableCompileCache(last)
  } catch {
    // It starts more slowly.
  }
}
