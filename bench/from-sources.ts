/** The command line as bin/thredd.js starts it, from the sources instead of the bundle. */
import { fileURLToPath } from 'node:url'
import { main } from '../src/front/cli/main.ts'

await main(fileURLToPath(new URL('..', import.meta.url)))
