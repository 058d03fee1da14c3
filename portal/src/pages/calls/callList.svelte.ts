import { navigate, route } from "../../app/navigation.svelte";
import { callQuery, newestFirst, type Selection } from "../../app/selection";
import * as api from "../../api/client";
import type { Call, CallPage, LiveMessage } from "../../api/model";
import { asProblem, isAborted, type ApiProblem } from "../../api/problem";

const minPauseMs = 1200;

/**
 * The calls of a selection, as shown. The server alone decides what belongs to the selection: added of a call not yet
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
  newCount = $state(0);

  #selection: Selection | null = null;
  #abort = new AbortController();
  #held: CallPage | null = null;
  /** What was heard while the list was being asked for, and so may be newer than the answer. */
  #messages: LiveMessage[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #requestedAt = 0;
  readonly #isReading: () => boolean;

  constructor(isReading: () => boolean) {
    this.#isReading = isReading;
  }

  /** Show another selection (or the same one anew); the rows shown stay until the answer is there. */
  async load(selection: Selection): Promise<void> {
    this.#selection = selection;
    this.phase = "loading";
    const page = await this.#fetch(selection);
    if (page !== null) this.#show(page);
  }

  /** Take in added: a call shown is changed where it stands; of one not shown we only hear that it is time to look. */
  receive(message: LiveMessage): void {
    this.#messages?.push(message);
    if (this.#held !== null)
      this.#held = { ...this.#held, items: applyMessage(this.#held.items, message) };
    if (message.type === "gone") this.#remove(message.id);
    else if (message.type === "recording" || (message.type === "call" && this.has(message.call.id)))
      this.items = applyMessage(this.items, message);
    else this.reloadSoon();
  }

  /** Whether a call is among those shown. */
  has(id: string): boolean {
    return this.items.some((call) => call.id === id);
  }

  /** Ask the server again for the same selection, soon, without losing what is shown. */
  reloadSoon(): void {
    if (this.#timer !== undefined) return;
    this.#reloadIn(Math.max(0, this.#requestedAt + minPauseMs - Date.now()));
  }

  /** Put in the calls held back. */
  showNew(): void {
    if (this.#held !== null) this.#show(this.#held);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #reloadIn(ms: number): void {
    this.#timer = setTimeout(() => void this.#reload(), ms);
  }

  async #reload(): Promise<void> {
    this.#timer = undefined;
    const selection = this.#selection;
    if (selection === null) return;
    if (this.phase === "loading") {
      this.#reloadIn(minPauseMs); // the answer under way may be older than the added
      return;
    }
    const page = await this.#fetch(selection);
    if (page === null) return;
    const shown = new Set(this.items.map((call) => call.id));
    const added = page.items.filter((call) => !shown.has(call.id)).length;
    const announced = selection.cursor === null && selection.sort === newestFirst && added > 0;
    if (announced && this.#isReading()) this.#holdBack(page, added);
    else if (selection.cursor === null) this.#show(page);
    else this.#changeRows(page);
  }

  async #fetch(selection: Selection): Promise<CallPage | null> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#requestedAt = Date.now();
    const messages: LiveMessage[] = (this.#messages = []);
    try {
      const page = await api.calls(callQuery(selection), abort.signal);
      this.problem = null;
      return { ...page, items: messages.reduce(applyMessage, page.items) };
    } catch (failure) {
      if (abort.signal.aborted || isAborted(failure)) return null;
      this.problem = asProblem(failure);
      this.phase = this.items.length > 0 ? "ready" : "failed";
      return null;
    } finally {
      if (this.#messages === messages) this.#messages = null;
    }
  }

  /** No row of its own any more: it goes at once, also from under the reader, who would only find it gone. */
  #remove(id: string): void {
    if (!this.has(id)) return;
    this.items = this.items.filter((call) => call.id !== id);
    if (this.total !== null && this.totalIsExact) this.total -= 1;
    if (route().call === id) navigate({ ...route(), call: null }, "replace");
  }

  #holdBack(page: CallPage, added: number): void {
    this.#changeRows(page);
    this.#held = page;
    this.newCount = added;
  }

  #changeRows(page: CallPage): void {
    const newer = new Map(page.items.map((call) => [call.id, call]));
    this.items = this.items.map((call) => newer.get(call.id) ?? call);
  }

  #show(page: CallPage): void {
    this.items = page.items;
    this.total = page.total;
    this.totalIsExact = page.total_is_exact;
    this.next = page.next;
    this.phase = "ready";
    this.#held = null;
    this.newCount = 0;
  }
}

/** The calls as some added leaves them; whether a call that is not among them belongs there, only the server knows. */
function applyMessage(calls: Call[], message: LiveMessage): Call[] {
  if (message.type === "gone") return calls.filter((call) => call.id !== message.id);
  if (message.type === "call")
    return calls.map((call) => (call.id === message.call.id ? message.call : call));
  if (message.type === "recording")
    return calls.map((call) =>
      call.id === message.id ? { ...call, recording: message.recording } : call,
    );
  return calls;
}
