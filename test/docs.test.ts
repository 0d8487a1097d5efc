/** Generated pages are what a fresh generation gives. */
import { test } from 'vitest'
import { expectFile } from './support/golden.ts'
import { PAGES } from './support/pages.ts'

test.each(Object.entries(PAGES))('%s says what the source says', (file, page) => {
  expectFile(page(), file)
})
