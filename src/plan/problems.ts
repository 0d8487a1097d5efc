import type { Problem } from '../record/errors.ts'

/** Problems by subject, so that a missing setting is reported once, however many steps and workflows need it. */
export class Problems {
  readonly bySubject = new Map<string, Problem>()

  /** `subject` is what is wrong: a variable, an identity, a host. */
  add(subject: string, problem: Problem): void {
    if (!this.bySubject.has(subject)) this.bySubject.set(subject, problem)
  }
}
