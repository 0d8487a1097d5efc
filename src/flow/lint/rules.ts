/**
 * Every rule of lint beyond what reading a flow refuses: its level, why it exists, and what to do. docs/lint.md is printed
 * from this table.
 */

/** error: wrong; warning: probably not what was meant; hint: worth knowing, and never a reason to fail. */
export type Level = 'error' | 'warning' | 'hint'

interface Rule {
  readonly level: Level
  /** what is reported */
  readonly title: string
  readonly why: string
  readonly remedy: string
}

export const RULES = {
  'arazzo-structure': {
    level: 'error',
    title: 'a rule of Arazzo about members that thredd does not run',
    why: 'a document that is not valid Arazzo is read differently by every tool',
    remedy: 'follow the structure that the message names',
  },
  asyncapi: {
    level: 'error',
    title: 'an AsyncAPI source description or step',
    why: 'thredd calls HTTP operations; a step on a message channel cannot be run, and is never skipped in silence',
    remedy: 'describe the call with OpenAPI, or keep the step in a document of its own',
  },
  xpath: {
    level: 'error',
    title: 'an XPath criterion, selector or replacement',
    why: 'the servers of these flows answer with JSON, and XML is not read',
    remedy: 'write the criterion with jsonpath, or with regex on the text',
  },
  'not-run': {
    level: 'warning',
    title: 'valid, but this version does not run it (an error in a flow that uses x-dcr)',
    why: 'the document is good Arazzo; thredd run refuses it before anything is sent',
    remedy: 'express the same with the members that docs/flow-format.md lists',
  },
  'effect-missing': {
    level: 'warning',
    title: 'a workflow that does not say what it does to the client (an error in a flow that uses x-dcr)',
    why: 'without x-dcr.effect nobody can be protected from running it by accident, so thredd run refuses it',
    remedy: 'add x-dcr: { effect: read | register | update | delete }',
  },
  'effect-too-weak': {
    level: 'error',
    title: 'an effect that is weaker than what the steps do',
    why: 'on UAT and production the effect decides what may run unnamed and what must be confirmed',
    remedy: 'declare the strongest effect of the steps',
  },
  'notice-missing': {
    level: 'warning',
    title: 'a workflow that registers or updates and has no notice',
    why: 'registering or updating a client leaves work for a person, for example contacting Thredd about its metadata',
    remedy: 'say what a person must do afterwards: x-dcr: { notice: … }',
  },
  'call-unmarked': {
    level: 'warning',
    title: 'a call of which nothing says that it changes nothing, in a workflow that says it reads',
    why: 'on UAT and production such a call is named and confirmed like a change of the client, whatever the workflow says of itself',
    remedy: 'where it changes nothing, write x-dcr: { safe: true } on the operation in its API description',
  },
  'description-unread': {
    level: 'warning',
    title: 'a part of an API description that cannot be read, in an operation that the flow does not call',
    why: 'a flow that calls the operation is refused before anything is sent',
    remedy: 'correct the description',
  },
  'pattern-not-judged': {
    level: 'warning',
    title:
      'a pattern of an API description that RE2 cannot run: a lookaround, a backreference, a repetition beyond 1000',
    why: 'other engines can take endless time for it; whether a text matches is left open, so an answer with such a text does not pass',
    remedy: 'write the pattern without it, or check the value in a criterion',
  },
  'given-missing': {
    level: 'warning',
    title: 'a workflow that must have a stored registration and does not say so',
    why: 'on the embedded twin nobody then registers one first, and elsewhere its absence is explained less well',
    remedy: 'add given: [registration] to its x-dcr',
  },
  'criterion-always-holds': {
    level: 'error',
    title: 'a criterion that can never fail',
    why: 'a check that no answer turns red proves nothing, and looks in a report as if it did',
    remedy: 'say what the answer must be, or remove the criterion',
  },
  'criterion-never-holds': {
    level: 'error',
    title: 'a criterion that no answer can fulfil',
    why: 'the step fails whatever the server does',
    remedy: 'correct the comparison',
  },
  'criterion-repeated': {
    level: 'error',
    title: 'a criterion that repeats another of the same step',
    why: 'it counts twice in a report and proves nothing more; Arazzo wants the items of the list to be unique',
    remedy: 'remove one of the two, or correct the one that was meant to differ',
  },
  'null-in-filter': {
    level: 'error',
    title: 'a JSONPath filter that compares with null',
    why: 'where a member is missing, != null holds and == null does not (RFC 9535 section 2.3.5.2.2), so an error answer can pass',
    remedy: 'test for existence: $.member holds where it is there, $[?!$.member] where it is not',
  },
  'compared-without-case': {
    level: 'warning',
    title: 'an id, token or URL compared with == or != in a simple condition',
    why: 'Arazzo compares text without case: two tokens that differ only in case would count as equal',
    remedy:
      'add x-dcr: { exact: true } to a comparison with ==, or compare by JSONPath or an anchored regex, which are exact',
  },
  'no-criteria': {
    level: 'hint',
    title: 'a step without criteria',
    why: 'it holds on any 2xx answer that its API description documents',
    remedy: 'name the status that is meant: condition: $statusCode == 200',
  },
  'should-without-clause': {
    level: 'warning',
    title: 'a criterion of level should without a clause',
    why: 'a should is worth what its standard says; without the clause a reader of the report cannot weigh the warning',
    remedy: 'name the clause: x-dcr: { level: should, clauses: [RFC7591-3.2.1] }',
  },
  'secret-literal': {
    level: 'error',
    title: 'a text that looks like a secret',
    why: 'flows are committed and shared; a secret in one is lost. The text is not shown here',
    remedy:
      'declare an input with format: password and put the value into .env.<name>.local; replace the secret that was written here',
  },
  'secret-input': {
    level: 'warning',
    title: 'an input that is a secret by its name and is not marked as one',
    why: 'format: password keeps the value out of every report and of the console',
    remedy: 'add format: password to its schema',
  },
  'host-in-flow': {
    level: 'hint',
    title: 'an absolute URL in a flow',
    why: 'a flow runs unchanged against the twin, UAT and production; hosts belong to the environment',
    remedy: 'read it from an input such as $inputs.server_authorization',
  },
  'unused-input': {
    level: 'warning',
    title: 'an input that nothing reads',
    why: 'a person must find a value for it, for nothing; often it is a misspelt name elsewhere',
    remedy: 'remove it, or use it',
  },
  'unused-output': {
    level: 'warning',
    title: 'an output of a step that nothing reads',
    why: 'it must have a value or the step is inconclusive, for nothing',
    remedy: 'remove it, or make it an output of the workflow',
  },
  'output-without-expression': {
    level: 'warning',
    title: 'an output that is a fixed text',
    why: 'an output takes its value from an expression; mostly the $ was forgotten',
    remedy: 'start the expression with $, as in $response.body#/client_id',
  },
  'unreachable-step': {
    level: 'warning',
    title: 'a step that can never run',
    why: 'an action before it always goes elsewhere, and none comes here; its checks never happen and its outputs are never set',
    remedy: 'give the action criteria, or go to the step from somewhere',
  },
} as const satisfies Record<string, Rule>

export type RuleName = keyof typeof RULES
