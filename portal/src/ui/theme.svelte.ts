import { getStored, setStored } from "../app/localStorage";

type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
let theme = $state<Theme>(document.documentElement.dataset["theme"] === "dark" ? "dark" : "light");

function show(next: Theme): void {
  theme = next;
  document.documentElement.dataset["theme"] = next;
}

system.addEventListener("change", () => {
  if (getStored("theme") === null) show(system.matches ? "dark" : "light");
});

// Print in the light theme. Charts redraw themselves at the same events.
addEventListener("beforeprint", () => (document.documentElement.dataset["theme"] = "light"));
addEventListener("afterprint", () => (document.documentElement.dataset["theme"] = theme));

export function currentTheme(): Theme {
  return theme;
}

/**
 * Switch between light and dark. A choice that equals the system's theme is not stored, so that the
 * portal follows the system again.
 */
export function switchTheme(): void {
  show(theme === "dark" ? "light" : "dark");
  setStored("theme", (theme === "dark") === system.matches ? null : theme);
}
