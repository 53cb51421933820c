/**
 * Errors on their way to a person: whatever was thrown becomes a Problem with what, why and what to do.
 *
 * @spec   engine/contract/engine_api.ts, Problem
 * @cover  #Y own problems, the engine's HostError, zod errors, anything else
 * @differ none
 */
import { z } from 'zod';
import { HostError } from '../engine/index.ts';
import type { Problem } from '../engine/contract/engine_api.ts';

/** An Error that carries a Problem; EngineApi.call rejects with it. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.what}: ${problem.why}. ${problem.todo}`);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

/** @param what the action that failed, naming its object, used when the error does not say it itself */
export function toProblem(error: unknown, what = 'The request failed'): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof HostError || isHostErrorLike(error)) {
    return { code: error.code, what: error.what, why: error.why, todo: error.todo };
  }
  if (error instanceof z.ZodError) {
    return {
      code: 'BAD_REQUEST',
      what,
      why: error.issues.map((issue) => `${issue.path.join('.') || 'request'}: ${issue.message}`).join('; '),
      todo: 'Send the request in the form the contract gives',
    };
  }
  const systemCode = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL';
  return {
    code: systemCode,
    what,
    why: error instanceof Error ? error.message : String(error),
    todo: 'Try again; if it happens again, report it with this message',
  };
}

/** HostError of a second copy of the module (a bundled one), told by its shape. */
function isHostErrorLike(error: unknown): error is HostError {
  if (!(error instanceof Error) || error.name !== 'HostError') return false;
  const fields = error as Partial<Record<'code' | 'what' | 'why' | 'todo', unknown>>;
  return [fields.code, fields.what, fields.why, fields.todo].every((field) => typeof field === 'string');
}
