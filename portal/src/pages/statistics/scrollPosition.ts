interface ScrollPosition {
  /** The scroll position of the page, in pixels. */
  scrolled: number;
  /** The block that was clicked, by its name, and its distance from the top of the window. */
  block: string | null;
  top: number;
}

const mostFrames = 60;
const stillFrames = 3;

/** Save in the report's history entry where the clicked block is in the window. */
export function saveScroll(event: MouseEvent): void {
  const block = (event.target as Element | null)?.closest("section.block") ?? null;
  const position: ScrollPosition = {
    scrolled: scrollY,
    block: block?.ariaLabel ?? null,
    top: block?.getBoundingClientRect().top ?? 0,
  };
  history.replaceState(position, "");
}

/**
 * Scroll to the position that was saved. The browser lays out a block when it comes near the
 * window, which may move the blocks below it. So this repeats until the clicked block stays where it
 * was.
 */
export async function restoreScroll(): Promise<void> {
  const position = savedPosition();
  if (position === null) return;
  scrollTo({ top: position.scrolled });
  const block = [...document.querySelectorAll("section.block")].find(
    ({ ariaLabel }) => ariaLabel === position.block,
  );
  if (block === undefined) return;
  let still = 0;
  for (let frame = 0; frame < mostFrames && still < stillFrames; frame += 1) {
    await new Promise(requestAnimationFrame);
    if (!block.isConnected) return;
    const moved = block.getBoundingClientRect().top - position.top;
    still = Math.abs(moved) < 1 ? still + 1 : 0;
    if (still === 0) scrollBy({ top: moved });
  }
}

function savedPosition(): ScrollPosition | null {
  const state: unknown = history.state;
  const isSaved = typeof state === "object" && state !== null && "scrolled" in state;
  return isSaved ? (state as ScrollPosition) : null;
}
