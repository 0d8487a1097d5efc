/** Writes plain data as a YAML document that this tool, and any other, reads back. */
import { stringify } from 'yaml'

/** Without aliases, and with long texts in one piece. */
export function writeDocument(data: unknown): string {
  return stringify(data, { aliasDuplicateObjects: false, lineWidth: 120 })
}
