/** A refusal by the API (RFC 9457), or an unreachable server: `status` 0. */
export class ApiProblem extends Error {
  readonly status: number;
  /** The last part of the problem's type, which does not change; empty if there is none. */
  readonly kind: string;

  constructor(status: number, message: string, kind = "") {
    super(message);
    this.status = status;
    this.kind = kind;
  }

  get offline(): boolean {
    return this.status === 0;
  }
}

/** Whether a request failed only because a newer request replaced it. */
export function isAborted(failure: unknown): boolean {
  return failure instanceof DOMException && failure.name === "AbortError";
}

/** Any failure as an ApiProblem. The browser throws a TypeError if it cannot reach the server. */
export function asProblem(failure: unknown): ApiProblem {
  if (failure instanceof ApiProblem) return failure;
  return new ApiProblem(0, failure instanceof Error ? failure.message : "");
}
