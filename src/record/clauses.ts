/** The clauses of standards and of Thredd's page that flows and requirements refer to, and the documents that they are in. */
import catalogue from '../../fixtures/requirements/clauses.json' with { type: 'json' }

export interface Clause {
  /** document and section: RFC7591-3.2.1, THREDD-DCR-3.3.2 */
  readonly id: string
  /** the document with its status where that is not a standard, the section, and the section's literal title */
  readonly title: string
  /** absent for a document that is not known */
  readonly href?: string | undefined
  /** the text itself could not be read when the catalogue was written: only quotations of it were */
  readonly unverified?: true | undefined
}

interface Document {
  readonly title: string
  /** as its publisher has it: Proposed Standard, Experimental, Best Current Practice … */
  readonly status: string
  /** `{section}` stands for the section's number */
  readonly href: string
  readonly unverified?: true
}

const DOCUMENTS: Readonly<Record<string, Document>> = catalogue.documents as Readonly<Record<string, Document>>
const SECTIONS: Readonly<Record<string, { readonly title: string; readonly href?: string }>> = catalogue.clauses

/** By the id of a clause. An RFC that is not in the table still gets its title and link. */
export function clauseOf(id: string): Clause {
  const name = Object.keys(DOCUMENTS).find((one) => id.startsWith(`${one}-`))
  const document = name === undefined ? undefined : DOCUMENTS[name]
  if (name !== undefined && document !== undefined) return clauseIn(document, id, id.slice(name.length + 1))
  const [, number, section] = /^RFC(\d{1,5})-([\dA-Z.]+)$/.exec(id) ?? []
  if (number === undefined || section === undefined) return { id, title: id }
  return {
    id,
    title: `RFC ${number}, ${kindOf(section)} ${section}`,
    href: rfc(number, section),
  }
}

/** Titles are printed without these statuses; any other, such as Experimental, is printed in parentheses. */
const EXPECTED = ['Internet Standard', 'Proposed Standard', 'Best Current Practice', 'Final', 'Documentation']

function clauseIn({ title, status, href, unverified }: Document, id: string, section: string): Clause {
  const known = SECTIONS[id]
  const document = EXPECTED.includes(status) ? title : `${title} (${status})`
  const kind = kindOf(section)
  return {
    id,
    title: `${document}, ${kind} ${section}${known === undefined ? '' : `, ${known.title}`}`,
    href: known?.href ?? href.replace('{section}', `${kind}-${section}`),
    unverified,
  }
}

function kindOf(section: string): 'section' | 'appendix' {
  return /^\d/.test(section) ? 'section' : 'appendix'
}

function rfc(number: string, section: string): string {
  return `https://www.rfc-editor.org/rfc/rfc${number}.html#${kindOf(section)}-${section}`
}
