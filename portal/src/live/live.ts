import { endSession } from "../api/client";
import type { LiveMessage } from "../api/model";
import { getStored, setStored } from "../app/localStorage";
import { yieldToMain } from "../ui/yieldToMain";
import { LiveConnection, type ConnectionListener } from "./connection";
import { joinSharedConnection, type SharedConnection } from "./sharedWorker";

export interface LiveListener {
  /** A call or its recording changed, a call is gone, or the list must be loaded again. */
  onMessage: (message: LiveMessage) => void;
  /** The connection is up or down. Events that happen while it is down are not repeated. */
  onConnected: (connected: boolean) => void;
}

const listeners = new Set<LiveListener>();
let connection: SharedConnection | null = null;
let connected = false;

/**
 * Listen to `/api/live` until the returned function is called. All pages of a browser share one
 * socket in a SharedWorker. A browser without SharedWorker opens one socket per page.
 */
export function listen(listener: LiveListener): () => void {
  listeners.add(listener);
  if (connected) listener.onConnected(true);
  void yieldToMain().then(open);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) close();
  };
}

/** Change the connection's name, so that pages of different sessions never share a connection. */
export function resetConnection(session: "new" | "none"): void {
  setStored("line", session === "new" ? randomName() : null);
}

function randomName(): string {
  const parts = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(parts, (part) => part.toString(36)).join("");
}

function connectionName(): string {
  const stored = getStored("line");
  if (stored !== null) return stored;
  const name = randomName();
  setStored("line", name);
  return name;
}

const forward: ConnectionListener = {
  onMessage: (text) => {
    const message = JSON.parse(text) as LiveMessage;
    for (const listener of listeners) listener.onMessage(message);
  },
  onConnected: (up) => {
    connected = up;
    for (const listener of listeners) listener.onConnected(up);
  },
  onEnd: () => {
    connection = null;
    connected = false;
    endSession();
  },
};

/** Connect, if somebody listens. */
export function open(): void {
  if (listeners.size === 0 || connection !== null) return;
  const openOwn = (): SharedConnection => new LiveConnection(forward);
  const onWorkerError = (): void => void (connection = openOwn());
  connection = joinSharedConnection(connectionName(), forward, onWorkerError) ?? openOwn();
}

/** Close the connection of this page without calling its listeners. */
export function close(): void {
  const closing = connection;
  connection = null;
  connected = false;
  closing?.close();
}

addEventListener("online", () => connection?.open());
