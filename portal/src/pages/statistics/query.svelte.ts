import { asProblem, isAborted, type ApiProblem } from "../../api/problem";
import type { ReportQuery } from "../../api/statistics";
import { callQuery, type Selection } from "../../app/selection";
import { me } from "../../app/session.svelte";
import { yieldToMain } from "../../ui/yieldToMain";

/**
 * The figures of a report and the selection they were counted for. A click opens the calls of that
 * selection, even if the filters have been changed since.
 */
export interface Report<T> {
  selection: Selection;
  figures: T;
}

// The last reports, so that Back shows a report at once and at its scroll position.
const cache = new Map<string, Report<unknown>>();
const mostCached = 40;

/** The query for one report. The previous report is shown, greyed, until the answer comes. */
export class Query<T> {
  report = $state.raw<Report<T> | null>(null);
  problem = $state.raw<ApiProblem | null>(null);
  busy = $state(false);

  #abort = new AbortController();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Load the report for a selection. `detail` is anything else that `fetch` depends on. */
  async load(
    selection: Selection,
    fetch: (query: ReportQuery, signal: AbortSignal) => Promise<T>,
    detail = "",
  ): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const query = reportQuery(selection);
    const { domain, login } = me();
    const key = JSON.stringify([domain.name, login, this.#name, detail, query]);
    const cached = cache.get(key);
    if (cached !== undefined) this.report = cached as Report<T>;
    this.busy = true;
    try {
      await yieldToMain();
      const figures = await fetch(query, abort.signal);
      await yieldToMain();
      if (abort.signal.aborted) return;
      this.report = { selection, figures };
      this.problem = null;
      addToCache(key, this.report);
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

function addToCache(key: string, report: Report<unknown>): void {
  cache.delete(key);
  cache.set(key, report);
  const oldest = cache.keys().next();
  if (cache.size > mostCached && oldest.done !== true) cache.delete(oldest.value);
}

function reportQuery(selection: Selection): ReportQuery {
  const { sort: _sort, limit: _limit, cursor: _cursor, ...query } = callQuery(selection);
  return query;
}
