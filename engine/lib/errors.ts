/** An error of the host's side (file, option, resource), told so that a person can act on it. */
export class HostError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly todo: string;

  /** @param parts what failed (naming the thing), why, and what is accepted or to be done */
  constructor(code: string, parts: { what: string; why: string; todo: string }) {
    super(`${parts.what}: ${parts.why}. ${parts.todo}`);
    this.name = 'HostError';
    this.code = code;
    this.what = parts.what;
    this.why = parts.why;
    this.todo = parts.todo;
  }
}
