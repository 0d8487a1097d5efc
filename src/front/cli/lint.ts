/** `thredd lint`: findings in the form of compiler messages, or as JSON. */
import { relative } from 'node:path'
import { exitCode, type Finding, type LintReport, lint } from '../../flow/lint/index.ts'
import { plannedEffect } from '../../plan/effect.ts'
import { json, line } from '../../record/foreign.ts'
import { count } from '../../report/words.ts'
import type { Invocation, Program } from './command.ts'
import { consoleOn } from './console.ts'

/** Rejects with ToolError where the command itself is wrong, such as a path that does not exist. */
export async function performLint(invocation: Invocation, program: Program): Promise<number> {
  const { here, project, root, stdout, write } = program
  const report = await lint({
    paths: invocation.words,
    // The flows of the package are used where the current folder has none.
    folders: [...new Set([here, project, root])],
    structureOnly: invocation.has('structure-only'),
    effectOf: plannedEffect,
  })
  const code = exitCode(report, { strict: invocation.has('strict') })
  if (invocation.has('json')) write(`${json(asJson(report, code, here))}\n`)
  else {
    const problems = report.findings.map(({ rule, ...finding }) => ({ code: rule, ...finding }))
    if (problems.length > 0) consoleOn(stdout, program).problems(problems, report.sources)
    for (const [file, number] of report.beyond) write(line`\n… and ${number} more in ${relative(here, file)}\n`)
    write(`${problems.length > 0 ? '\n' : ''}${summary(report)}\n`)
  }
  return code
}

const LEVELS = ['error', 'warning', 'hint'] as const

function summary({ files, findings }: LintReport): string {
  const parts = LEVELS.flatMap((level) => {
    const number = findings.filter((finding) => finding.level === level).length
    return number === 0 ? [] : [count(number, level)]
  })
  return `${count(files.length, 'file')}: ${parts.length === 0 ? 'nothing found' : parts.join(', ')}`
}

/** The shape is documented in docs/lint.md; members are added, never changed. */
function asJson({ files, findings, beyond }: LintReport, code: number, here: string) {
  const path = (file: string) => relative(here, file).replaceAll('\\', '/')
  const place = ({ at }: Finding) => (at === undefined ? {} : { file: path(at.file), line: at.line, column: at.column })
  return {
    exitCode: code,
    files: files.map(path),
    ...Object.fromEntries(LEVELS.map((level) => [`${level}s`, findings.filter((one) => one.level === level).length])),
    notListed: [...beyond.values()].reduce((sum, number) => sum + number, 0),
    findings: findings.map(({ at, rule, level, message, ...more }) => ({
      rule,
      level,
      message: message.replaceAll(`${here}/`, ''),
      ...place({ at, rule, level, message }),
      ...more,
    })),
  }
}
