import { asQuery, go, newestFirst, place, type Selection } from "../../app/route.svelte";
import * as api from "../../api/client";
import type { Call, CallPage, LiveMessage } from "../../api/model";
import { asProblem, isAborted, type ApiProblem } from "../../api/problem";

const betweenLooksMs = 1200;

/**
 * The calls of a selection, as shown. The server alone decides what belongs to the selection: news of a call not yet
 * shown leads to asking again, at most once in 1.2 s. What is new then is put in at once, or held back as `fresh` while
 * the reader is in the table (`isRead`), so that no row moves under the eye or the pointer.
 */
export class CallList {
  items = $state.raw<Call[]>([]);
  total = $state<number | null>(null);
  totalIsExact = $state(true);
  next = $state<string | null>(null);
  phase = $state<"loading" | "ready" | "failed">("loading");
  /** What went wrong at the last request; the rows of the one before stay. */
  problem = $state.raw<ApiProblem | null>(null);
  fresh = $state(0);

  #selection: Selection | null = null;
  #abort = new AbortController();
  #held: CallPage | null = null;
  /** What was heard while the list was being asked for, and so may be newer than the answer. */
  #meanwhile: LiveMessage[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lookedAt = 0;
  readonly #isRead: () => boolean;

  constructor(isRead: () => boolean) {
    this.#isRead = isRead;
  }

  /** Show another selection (or the same one anew); the rows shown stay until the answer is there. */
  async load(selection: Selection): Promise<void> {
    this.#selection = selection;
    this.phase = "loading";
    const page = await this.#ask(selection);
    if (page !== null) this.#show(page);
  }

  /** Take in news: a call shown is changed where it stands; of one not shown we only hear that it is time to look. */
  heard(news: LiveMessage): void {
    this.#meanwhile?.push(news);
    if (this.#held !== null) this.#held = { ...this.#held, items: after(this.#held.items, news) };
    if (news.type === "gone") this.#drop(news.id);
    else if (news.type === "recording" || (news.type === "call" && this.has(news.call.id)))
      this.items = after(this.items, news);
    else this.lookSoon();
  }

  /** Whether a call is among those shown. */
  has(id: string): boolean {
    return this.items.some((one) => one.id === id);
  }

  /** Ask the server again for the same selection, soon, without losing what is shown. */
  lookSoon(): void {
    if (this.#timer !== undefined) return;
    this.#lookIn(Math.max(0, this.#lookedAt + betweenLooksMs - Date.now()));
  }

  /** Put in the calls held back. */
  takeFresh(): void {
    if (this.#held !== null) this.#show(this.#held);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => void this.#look(), ms);
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    const selection = this.#selection;
    if (selection === null) return;
    if (this.phase === "loading") {
      this.#lookIn(betweenLooksMs); // the answer under way may be older than the news
      return;
    }
    const page = await this.#ask(selection);
    if (page === null) return;
    const shown = new Set(this.items.map((one) => one.id));
    const news = page.items.filter((one) => !shown.has(one.id)).length;
    const announced = selection.cursor === null && selection.sort === newestFirst && news > 0;
    if (announced && this.#isRead()) this.#hold(page, news);
    else if (selection.cursor === null) this.#show(page);
    else this.#changeRows(page);
  }

  async #ask(selection: Selection): Promise<CallPage | null> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#lookedAt = Date.now();
    const meanwhile: LiveMessage[] = (this.#meanwhile = []);
    try {
      const page = await api.calls(asQuery(selection), abort.signal);
      this.problem = null;
      return { ...page, items: meanwhile.reduce(after, page.items) };
    } catch (failure) {
      if (abort.signal.aborted || isAborted(failure)) return null;
      this.problem = asProblem(failure);
      this.phase = this.items.length > 0 ? "ready" : "failed";
      return null;
    } finally {
      if (this.#meanwhile === meanwhile) this.#meanwhile = null;
    }
  }

  /** No row of its own any more: it goes at once, also from under the reader, who would only find it gone. */
  #drop(id: string): void {
    if (!this.has(id)) return;
    this.items = this.items.filter((one) => one.id !== id);
    if (this.total !== null && this.totalIsExact) this.total -= 1;
    if (place().call === id) go({ ...place(), call: null }, "replace");
  }

  #hold(page: CallPage, news: number): void {
    this.#changeRows(page);
    this.#held = page;
    this.fresh = news;
  }

  #changeRows(page: CallPage): void {
    const newer = new Map(page.items.map((one) => [one.id, one]));
    this.items = this.items.map((one) => newer.get(one.id) ?? one);
  }

  #show(page: CallPage): void {
    this.items = page.items;
    this.total = page.total;
    this.totalIsExact = page.total_is_exact;
    this.next = page.next;
    this.phase = "ready";
    this.#held = null;
    this.fresh = 0;
  }
}

/** The calls as some news leaves them; whether a call that is not among them belongs there, only the server knows. */
function after(calls: Call[], news: LiveMessage): Call[] {
  if (news.type === "gone") return calls.filter((one) => one.id !== news.id);
  if (news.type === "call") return calls.map((one) => (one.id === news.call.id ? news.call : one));
  if (news.type === "recording")
    return calls.map((one) => (one.id === news.id ? { ...one, recording: news.recording } : one));
  return calls;
}
