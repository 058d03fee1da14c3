import { recalled, remember } from "../app/localStorage";

type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
let theme = $state<Theme>(document.documentElement.dataset["theme"] === "dark" ? "dark" : "light");

function show(next: Theme): void {
  theme = next;
  document.documentElement.dataset["theme"] = next;
}

system.addEventListener("change", () => {
  if (recalled("theme") === null) show(system.matches ? "dark" : "light");
});

// Paper is light, whatever the screen; what is drawn by hand is drawn anew at the same events.
addEventListener("beforeprint", () => (document.documentElement.dataset["theme"] = "light"));
addEventListener("afterprint", () => (document.documentElement.dataset["theme"] = theme));

export function currentTheme(): Theme {
  return theme;
}

/** Change between light and dark; a choice that equals the system's is forgotten, so that the system leads again. */
export function switchTheme(): void {
  show(theme === "dark" ? "light" : "dark");
  remember("theme", (theme === "dark") === system.matches ? null : theme);
}
