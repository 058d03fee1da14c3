import type { LineListener } from "./connection";

/** What a page says to the worker. `lock`: a lock that it holds while it lives, null where there are none. */
export type ToLine = { type: "join"; lock: string | null } | { type: "leave" } | { type: "open" };
/** What the worker says to a page. */
export type FromLine =
  { type: "heard"; message: string } | { type: "connected"; up: boolean } | { type: "ended" };

/** A page's share in the browser's line. */
export interface Share {
  open: () => void;
  close: () => void;
}

/**
 * Join the line of all pages that give the same `name`, in a worker that lives while one of them does. Null where this browser has no
 * such workers; `failed` is called where it has but this one does not run.
 */
export function joined(name: string, listener: LineListener, failed: () => void): Share | null {
  if (typeof SharedWorker === "undefined") return null;
  const worker = new SharedWorker(new URL("./live.worker.ts", import.meta.url), {
    type: "module",
    name,
  });
  const { port } = worker;
  let isMine = true;
  let letGo: () => void = () => undefined;
  const say = (said: ToLine): void => port.postMessage(said);
  const close = (): void => {
    if (!isMine) return;
    isMine = false;
    say({ type: "leave" });
    letGo();
    removeEventListener("pagehide", close);
  };
  worker.onerror = () => {
    if (!isMine) return;
    close();
    failed();
  };
  port.onmessage = ({ data }: MessageEvent<FromLine>) => {
    if (!isMine) return;
    if (data.type === "heard") listener.heard(data.message);
    else if (data.type === "connected") listener.connected(data.up);
    else {
      close();
      listener.ended();
    }
  };
  const locks = navigator.locks as LockManager | undefined; // only where the page came over https, or from this machine
  if (locks === undefined) {
    addEventListener("pagehide", close);
    say({ type: "join", lock: null });
  } else {
    const lock = `fonoteka.live.${Math.random()}`;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    void locks.request(lock, () => {
      if (isMine) say({ type: "join", lock });
      return isMine ? held : undefined;
    });
  }
  return { open: () => say({ type: "open" }), close };
}
