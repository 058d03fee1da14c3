import * as api from "../api/client";
import { listen } from "./live";
import type { Action, Call, LiveMessage } from "../api/model";
import { asProblem, type ApiProblem } from "../api/problem";

const lookedAgainMs = 60_000;
const overShownMs = 4000;

/** What was asked of a call's recording and is not answered yet, or was refused. */
export interface Asked {
  action: Action;
  refused: ApiProblem | null;
}

/**
 * The calls that are going on, for the menu's count and the page of them. They stand in the order in which they began,
 * the oldest first: a call that begins moves no other under the pointer.
 */
class Going {
  calls = $state.raw<Call[]>([]);
  phase = $state<"loading" | "ready" | "failed">("loading");
  problem = $state.raw<ApiProblem | null>(null);
  /** By call: what is being asked, or was refused last. */
  asked = $state.raw<ReadonlyMap<string, Asked>>(new Map());

  /** What came while the list was being read, and so may be newer than the answer. */
  #meanwhile: LiveMessage[] | null = null;

  get count(): number {
    return this.calls.filter((one) => one.ended_at === null).length;
  }

  /** Keep up with what happens until the returned function is called. */
  follow(): () => void {
    const connected = (up: boolean): void => {
      if (up || this.phase === "loading") void this.load();
    };
    const hush = listen({ heard: (news) => this.#heard(news), connected });
    // Whoever stops being rung while no line was up would never hear of it.
    const clock = setInterval(() => this.count > 0 && void this.load(), lookedAgainMs);
    return () => {
      hush();
      clearInterval(clock);
      this.calls = [];
      this.asked = new Map();
      this.phase = "loading";
    };
  }

  async load(): Promise<void> {
    this.#meanwhile = [];
    try {
      this.calls = inOrder(await api.liveCalls());
      this.phase = "ready";
      this.problem = null;
    } catch (failure) {
      this.problem = asProblem(failure);
      if (this.calls.length === 0) this.phase = "failed";
    }
    const missed = this.#meanwhile ?? [];
    this.#meanwhile = null;
    for (const news of missed) this.#heard(news);
  }

  /** Ask something of a call's recording. What is refused stands in `asked` until something else is asked. */
  async ask(id: string, action: Action): Promise<void> {
    if (this.asked.get(id)?.refused === null) return;
    this.#note(id, { action, refused: null });
    try {
      this.#put(await api.askOfRecording(id, action));
      this.#note(id, null);
    } catch (failure) {
      this.#note(id, { action, refused: asProblem(failure) });
    }
  }

  #heard(news: LiveMessage): void {
    if (this.#meanwhile !== null) this.#meanwhile.push(news);
    if (news.type === "call") this.#put(news.call);
    else if (news.type === "gone") this.#drop(news.id);
    else if (news.type === "resync") void this.load();
  }

  /** A call that ended stays for a moment, so that its row is seen to end and not another one slips under the pointer. */
  #put(call: Call): void {
    const known = this.calls.some((one) => one.id === call.id);
    if (call.ended_at !== null) {
      if (!known) return;
      setTimeout(() => this.#drop(call.id), overShownMs);
    }
    this.calls = inOrder([...this.calls.filter((one) => one.id !== call.id), call]);
  }

  #drop(id: string): void {
    if (this.calls.some((one) => one.id === id))
      this.calls = this.calls.filter((one) => one.id !== id);
    if (this.asked.has(id)) this.#note(id, null);
  }

  #note(id: string, asked: Asked | null): void {
    const notes = new Map(this.asked);
    if (asked === null) notes.delete(id);
    else notes.set(id, asked);
    this.asked = notes;
  }
}

function inOrder(calls: readonly Call[]): Call[] {
  return [...calls].sort(
    (one, other) =>
      Date.parse(one.started_at) - Date.parse(other.started_at) || (one.id < other.id ? -1 : 1),
  );
}

export const going = new Going();
