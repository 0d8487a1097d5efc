/** Hands out documents with their URLs as the twin is reached. */
import { json } from './content.ts'

export type Publish = (url: string) => string

/** Documents never change and `publish` is one function for as long as a twin lives: each answer is made once. */
const made = new WeakMap<Publish, Map<string, Response>>()

/** Answers with a JSON document, every https URL of its strings passed through `publish`; `moved` first takes it to another base. */
export function publishedDocument(
  document: { readonly issuer: string },
  publish: Publish,
  moved: readonly [from: string, to: string] = ['', ''],
): Response {
  const answers = made.get(publish) ?? new Map<string, Response>()
  made.set(publish, answers)
  const key = `${document.issuer} ${moved[1]}`
  const known = answers.get(key)
  if (known !== undefined) return known
  const [from, to] = moved
  const published: unknown = JSON.parse(JSON.stringify(document), (_, member: unknown) =>
    typeof member === 'string' && member.startsWith('https://')
      ? publish(from === '' ? member : member.replace(from, () => to))
      : member,
  )
  const answer = json(published)
  answers.set(key, answer)
  return answer
}
