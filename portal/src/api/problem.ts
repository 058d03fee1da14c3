/** The API refused (an RFC 9457 problem), or was not reached: `status` 0. */
export class ApiProblem extends Error {
  readonly status: number;
  /** The stable last part of the problem's type; empty where there is none. */
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

/** Whether a failure only means that a newer request took this one's place. */
export function isAborted(failure: unknown): boolean {
  return failure instanceof DOMException && failure.name === "AbortError";
}

/** A failure of any kind as an ApiProblem; what the browser throws when it reaches no server is a TypeError. */
export function asProblem(failure: unknown): ApiProblem {
  if (failure instanceof ApiProblem) return failure;
  return new ApiProblem(0, failure instanceof Error ? failure.message : "");
}
