import { asQuery, type Selection } from "../../app/route.svelte";
import type { ReportQuery } from "../../api/statistics";
import { asProblem, isAborted, type ApiProblem } from "../../api/problem";
import { me } from "../../app/session.svelte";
import { turn } from "../../ui/yieldToMain";

/** Figures and the selection they were counted for: a click opens the calls of that one, whatever was chosen since. */
export interface Found<T> {
  of: Selection;
  figures: T;
}

// What was last found by whom, so that Back shows the report at once and where it was.
const kept = new Map<string, Found<unknown>>();
const keptAtMost = 40;

/** One block's figures: what was found stays, greyed, until the answer to what is asked now is there. */
export class Asked<T> {
  found = $state.raw<Found<T> | null>(null);
  problem = $state.raw<ApiProblem | null>(null);
  busy = $state(false);

  #abort = new AbortController();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Ask for the figures of a selection; `detail` is what else the question depends on. */
  async load(
    of: Selection,
    ask: (query: ReportQuery, signal: AbortSignal) => Promise<T>,
    detail = "",
  ): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const query = reportQuery(of);
    const { domain, login } = me();
    const key = JSON.stringify([domain.name, login, this.#name, detail, query]);
    const before = kept.get(key);
    if (before !== undefined) this.found = before as Found<T>;
    this.busy = true;
    try {
      await turn();
      const figures = await ask(query, abort.signal);
      await turn();
      if (abort.signal.aborted) return;
      this.found = { of, figures };
      this.problem = null;
      keep(key, this.found);
    } catch (failure) {
      if (abort.signal.aborted || isAborted(failure)) return;
      this.problem = asProblem(failure);
    }
    this.busy = false;
  }

  close(): void {
    this.#abort.abort();
  }
}

function keep(key: string, found: Found<unknown>): void {
  kept.delete(key);
  kept.set(key, found);
  const oldest = kept.keys().next();
  if (kept.size > keptAtMost && oldest.done !== true) kept.delete(oldest.value);
}

function reportQuery(of: Selection): ReportQuery {
  const { sort: _sort, limit: _limit, cursor: _cursor, ...query } = asQuery(of);
  return query;
}
