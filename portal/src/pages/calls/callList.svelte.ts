import * as api from "../../api/client";
import type { Call, CallPage, LiveMessage } from "../../api/model";
import { asProblem, isAborted, type ApiProblem } from "../../api/problem";
import { navigate, route } from "../../app/navigation.svelte";
import { callQuery, newestFirst, type Selection } from "../../app/selection";

const minPauseMs = 1200;

/**
 * The list of calls of a selection. Only the server knows which calls belong to the selection, so a
 * message about another call reloads the list, at most once in 1.2 s. New calls are shown at once;
 * while the user reads the list (`isReading`) they are only counted in `newCount`, so that no row
 * moves.
 */
export class CallList {
  items = $state.raw<Call[]>([]);
  total = $state<number | null>(null);
  totalIsExact = $state(true);
  next = $state<string | null>(null);
  phase = $state<"loading" | "ready" | "failed">("loading");
  /** The failure of the last request. The list keeps the previous calls. */
  problem = $state.raw<ApiProblem | null>(null);
  newCount = $state(0);

  #selection: Selection | null = null;
  #abort = new AbortController();
  #heldBack: CallPage | null = null;
  /** Messages received during a request; they may be newer than the answer. */
  #messages: LiveMessage[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #requestedAt = 0;
  readonly #isReading: () => boolean;

  constructor(isReading: () => boolean) {
    this.#isReading = isReading;
  }

  /** Load a selection. The previous calls are shown until the answer comes. */
  async load(selection: Selection): Promise<void> {
    this.#selection = selection;
    this.phase = "loading";
    const page = await this.#fetch(selection);
    if (page !== null) this.#show(page);
  }

  /** Apply a message to the calls shown, or reload the list if it is about another call. */
  receive(message: LiveMessage): void {
    this.#messages?.push(message);
    if (this.#heldBack !== null)
      this.#heldBack = { ...this.#heldBack, items: applyMessage(this.#heldBack.items, message) };
    if (message.type === "gone") this.#remove(message.id);
    else if (message.type === "recording" || (message.type === "call" && this.has(message.call.id)))
      this.items = applyMessage(this.items, message);
    else this.reloadSoon();
  }

  /** Whether the list shows a call. */
  has(id: string): boolean {
    return this.items.some((call) => call.id === id);
  }

  /** Load the same selection again soon. */
  reloadSoon(): void {
    if (this.#timer !== undefined) return;
    this.#reloadIn(Math.max(0, this.#requestedAt + minPauseMs - Date.now()));
  }

  /** Show the calls that were held back. */
  showNew(): void {
    if (this.#heldBack !== null) this.#show(this.#heldBack);
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
      this.#reloadIn(minPauseMs); // the running request may be older than the message
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

  /**
   * Remove a call that is gone, also while the user reads the list: it cannot be opened any more.
   */
  #remove(id: string): void {
    if (!this.has(id)) return;
    this.items = this.items.filter((call) => call.id !== id);
    if (this.total !== null && this.totalIsExact) this.total -= 1;
    if (route().call === id) navigate({ ...route(), call: null }, "replace");
  }

  #holdBack(page: CallPage, added: number): void {
    this.#changeRows(page);
    this.#heldBack = page;
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
    this.#heldBack = null;
    this.newCount = 0;
  }
}

/** Apply a message to calls. It never adds a call: only the server knows whether it belongs. */
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
