import * as api from "../api/client";
import type { Action, Call, LiveMessage } from "../api/model";
import { asProblem, type ApiProblem } from "../api/problem";
import { listen } from "./live";

const reloadEveryMs = 60_000;
const endedShownMs = 4000;

/** A request to start, stop, pause or resume a recording. `refused` is null while it runs. */
export interface RecordingRequest {
  action: Action;
  refused: ApiProblem | null;
}

/**
 * The calls in progress, for the number in the menu and for the page «Сейчас». The oldest call comes
 * first: a call that begins moves no other call under the pointer.
 */
class OngoingCalls {
  calls = $state.raw<Call[]>([]);
  phase = $state<"loading" | "ready" | "failed">("loading");
  problem = $state.raw<ApiProblem | null>(null);
  /** The last request for each call (by id) that is running or was refused. */
  requests = $state.raw<ReadonlyMap<string, RecordingRequest>>(new Map());

  /** Messages received while the list is loaded; they may be newer than the answer. */
  #messages: LiveMessage[] | null = null;

  get count(): number {
    return this.calls.filter((call) => call.ended_at === null).length;
  }

  /** Load the calls and follow their changes until the returned function is called. */
  follow(): () => void {
    const onConnected = (connected: boolean): void => {
      if (connected || this.phase === "loading") void this.load();
    };
    const unsubscribe = listen({ onMessage: (message) => this.#receive(message), onConnected });
    // The end of a call is not repeated after the connection was down.
    const timer = setInterval(() => this.count > 0 && void this.load(), reloadEveryMs);
    return () => {
      unsubscribe();
      clearInterval(timer);
      this.calls = [];
      this.requests = new Map();
      this.phase = "loading";
    };
  }

  async load(): Promise<void> {
    this.#messages = [];
    try {
      this.calls = byStart(await api.liveCalls());
      this.phase = "ready";
      this.problem = null;
    } catch (failure) {
      this.problem = asProblem(failure);
      if (this.calls.length === 0) this.phase = "failed";
    }
    const messages = this.#messages ?? [];
    this.#messages = null;
    for (const message of messages) this.#receive(message);
  }

  /** Control the recording of a call. A refusal stays in `requests` until the next request. */
  async controlRecording(id: string, action: Action): Promise<void> {
    if (this.requests.get(id)?.refused === null) return;
    this.#setRequest(id, { action, refused: null });
    try {
      this.#put(await api.controlRecording(id, action));
      this.#setRequest(id, null);
    } catch (failure) {
      this.#setRequest(id, { action, refused: asProblem(failure) });
    }
  }

  #receive(message: LiveMessage): void {
    if (this.#messages !== null) this.#messages.push(message);
    if (message.type === "call") this.#put(message.call);
    else if (message.type === "gone") this.#remove(message.id);
    else if (message.type === "resync") void this.load();
  }

  /** Add or replace a call. A call that ended stays for a moment, so that no row jumps at once. */
  #put(call: Call): void {
    if (call.ended_at !== null) {
      if (!this.#has(call.id)) return;
      setTimeout(() => this.#remove(call.id), endedShownMs);
    }
    this.calls = byStart([...this.calls.filter(({ id }) => id !== call.id), call]);
  }

  #has(id: string): boolean {
    return this.calls.some((call) => call.id === id);
  }

  #remove(id: string): void {
    if (this.#has(id)) this.calls = this.calls.filter((call) => call.id !== id);
    if (this.requests.has(id)) this.#setRequest(id, null);
  }

  #setRequest(id: string, request: RecordingRequest | null): void {
    const requests = new Map(this.requests);
    if (request === null) requests.delete(id);
    else requests.set(id, request);
    this.requests = requests;
  }
}

function byStart(calls: readonly Call[]): Call[] {
  const startOf = (call: Call): number => Date.parse(call.started_at);
  return [...calls].sort((a, b) => startOf(a) - startOf(b) || (a.id < b.id ? -1 : 1));
}

export const ongoing = new OngoingCalls();
