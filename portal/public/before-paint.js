// Runs before the first paint: a page chosen dark never flashes white; who looks, and what the page needs besides the portal
// itself, is asked for while the portal is under way.
(() => {
  const recalled = (key) => {
    try {
      return localStorage.getItem(`fonoteka.${key}`);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const chosen = recalled("theme");
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const known = recalled("session") !== null;
  const files = JSON.parse(document.currentScript.dataset.files ?? "{}"); // built in by vite.config.ts
  for (const href of files[known ? location.pathname.split("/")[1] : "login"] ?? []) {
    const [rel, as] = href.endsWith(".css") ? ["preload", "style"] : ["modulepreload", "script"];
    document.head.append(Object.assign(document.createElement("link"), { rel, as, href, crossOrigin: "" }));
  }
  if (known) {
    globalThis.askedEarly = fetch("/api/me");
    globalThis.askedEarly.catch(() => undefined); // whoever takes it is told
  }
})();
