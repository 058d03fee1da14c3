import type { ConnectionListener } from "./connection";

/** A page's messages to the worker. `lock` is held while the page is open; null without locks. */
export type ToWorker = { type: "join"; lock: string | null } | { type: "leave" } | { type: "open" };
/** The worker's messages to a page. */
export type FromWorker =
  | { type: "joined" }
  | { type: "message"; message: string }
  | { type: "connected"; connected: boolean }
  | { type: "end" };

/** How long a worker may take to answer a page. A failed start may give no `error` event. */
const longestStartMs = 20_000;

/** A connection that other pages may use too. */
export interface SharedConnection {
  /** Connect now, if the connection is down. */
  open: () => void;
  close: () => void;
}

/**
 * Join the connection of all pages that pass the same `name`. Returns null in a browser without
 * SharedWorker. `onWorkerError` is called if the worker does not start, or not in time.
 */
export function joinSharedConnection(
  name: string,
  listener: ConnectionListener,
  onWorkerError: () => void,
): SharedConnection | null {
  if (typeof SharedWorker === "undefined") return null;
  const worker = new SharedWorker(new URL("./live.worker.ts", import.meta.url), {
    type: "module",
    name,
  });
  const { port } = worker;
  let joined = true;
  let releaseLock: () => void = () => undefined;
  const send = (message: ToWorker): void => port.postMessage(message);
  const close = (): void => {
    if (!joined) return;
    joined = false;
    clearTimeout(startTimer);
    send({ type: "leave" });
    releaseLock();
    removeEventListener("pagehide", close);
  };
  const fail = (): void => {
    if (!joined) return;
    close();
    onWorkerError();
  };
  worker.onerror = fail;
  const startTimer = setTimeout(fail, longestStartMs);
  port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (!joined) return;
    if (data.type === "joined") clearTimeout(startTimer);
    else if (data.type === "message") listener.onMessage(data.message);
    else if (data.type === "connected") listener.onConnected(data.connected);
    else {
      close();
      listener.onEnd();
    }
  };
  // The browser offers locks only to pages that came over https or from localhost.
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) {
    addEventListener("pagehide", close);
    send({ type: "join", lock: null });
  } else {
    const lock = `fonoteka.live.${Math.random()}`;
    const held = new Promise<void>((resolve) => (releaseLock = resolve));
    void locks.request(lock, () => {
      if (joined) send({ type: "join", lock });
      return joined ? held : undefined;
    });
  }
  return { open: () => send({ type: "open" }), close };
}
