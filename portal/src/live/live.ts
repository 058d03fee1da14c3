import { recalled, remember } from "../app/localStorage";
import { endSession } from "../api/client";
import { Line, type LineListener } from "./connection";
import type { LiveMessage } from "../api/model";
import { joined, type Share } from "./sharedWorker";
import { turn } from "../ui/yieldToMain";

export interface LiveListener {
  /** A call or its recording changed, is no longer to be shown, or so much changed that the list is to be read again. */
  heard: (message: LiveMessage) => void;
  /** The line is up (what happened while it was down is to be looked up) or down. */
  connected: (up: boolean) => void;
}

const listeners = new Set<LiveListener>();
let line: Share | null = null;
let isUp = false;

/**
 * Listen to `/api/live` until the returned function is called. All pages of this browser share one socket, in a worker; where there
 * is no such worker, all listeners of this page do.
 */
export function listen(listener: LiveListener): () => void {
  listeners.add(listener);
  if (isUp) listener.connected(true);
  void turn().then(open);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) hangUp();
  };
}

/** A new session, or none: pages of another one must never share a line with those of this. */
export function renewLine(session: "new" | "none"): void {
  remember("line", session === "new" ? freshName() : null);
}

function freshName(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join(
    "",
  );
}

function nameOfLine(): string {
  const known = recalled("line");
  if (known !== null) return known;
  const fresh = freshName();
  remember("line", fresh);
  return fresh;
}

function open(): void {
  if (listeners.size === 0 || line !== null) return;
  const ears: LineListener = {
    heard: (message) => {
      const news = JSON.parse(message) as LiveMessage;
      for (const listener of listeners) listener.heard(news);
    },
    connected: (up) => {
      isUp = up;
      for (const listener of listeners) listener.connected(up);
    },
    ended: () => {
      line = null;
      isUp = false;
      endSession();
    },
  };
  const own = (): Share => new Line(ears);
  line = joined(nameOfLine(), ears, () => (line = own())) ?? own();
}

function hangUp(): void {
  const share = line;
  line = null;
  isUp = false;
  share?.close();
}

addEventListener("online", () => line?.open());
