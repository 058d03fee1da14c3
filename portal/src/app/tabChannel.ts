/** The user who is logged in, as `login@domain`; null after a logout. */
interface SessionMessage {
  user: string | null;
}

const channel =
  typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("fonoteka.session");

/** Tell the other tabs of this browser who is logged in now. */
export function announceSession(user: string | null): void {
  channel?.postMessage({ user } satisfies SessionMessage);
}

/** Call `listener` when another tab logs in or out. */
export function onOtherTabSession(listener: (user: string | null) => void): void {
  channel?.addEventListener("message", ({ data }: MessageEvent<SessionMessage>) =>
    listener(data.user),
  );
}
