import { playing } from "./playing.svelte";

const skipS = 10;

/** Whether the focused element handles the key: a field or list, or a button for the space key. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null;
  if (target === null || event.ctrlKey || event.metaKey || event.altKey) return true;
  if (
    target.closest(
      "input, select, textarea, [contenteditable], .air-datepicker, [role='tablist'], [role='slider']",
    )
  )
    return true;
  return event.key === " " && target.closest("button, a") !== null;
}

/** The keys of the player: space, arrows, < and > (also on the Russian layout), Escape. */
export function onPlayerKey(event: KeyboardEvent): void {
  if (playing.call === null || event.defaultPrevented || isTaken(event)) return;
  if (event.key === " ") playing.toggle();
  else if (event.key === "ArrowLeft") playing.skip(-skipS);
  else if (event.key === "ArrowRight") playing.skip(skipS);
  else if (event.key === "<" || (event.code === "Comma" && event.shiftKey)) playing.changeSpeed(-1);
  else if (event.key === ">" || (event.code === "Period" && event.shiftKey)) playing.changeSpeed(1);
  else if (event.key === "Escape") playing.close();
  else return;
  event.preventDefault();
}
