#!/usr/bin/env node
// The launcher: plain JavaScript that any Node can read, so that an old one gets a sentence instead of a stack trace.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `thredd needs Node 24 or newer; this is ${process.version}.\n` +
      'In a clone of the repository "npm ci" brings Node 24 along: use "npm start", "npx thredd …" or "npm exec thredd -- …".\n',
  )
  process.exitCode = 2
} else {
  const { enableCompileCache } = await import('node:module')
  const { fileURLToPath } = await import('node:url')
  enableCompileCache?.()
  try {
    const { main } = await import('../dist/cli.js')
    await main(fileURLToPath(new URL('..', import.meta.url)))
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('dist')) throw error
    process.stderr.write('thredd is not built yet: run "npm ci" (or "npm run prepare") in the repository.\n')
    process.exitCode = 2
  }
}
