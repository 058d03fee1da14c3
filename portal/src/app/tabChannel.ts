/** Who is logged in, told from one tab to the others: `login@domain`, null for nobody. */
type Said = { who: string | null };

const channel =
  typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("fonoteka.session");

/** Tell the other tabs who is logged in now. */
export function tellOtherTabs(who: string | null): void {
  channel?.postMessage({ who } satisfies Said);
}

/** Hear it from them. */
export function whenOtherTabsTell(then: (who: string | null) => void): void {
  channel?.addEventListener("message", ({ data }: MessageEvent<Said>) => then(data.who));
}
