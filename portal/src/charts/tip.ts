/** The tooltip, as an element so that no name is read as HTML. Its style is in Chart.svelte. */
export function tip(
  title: string,
  lines: readonly (readonly [mark: string, name: string, figure: string])[],
): HTMLElement {
  const box = document.createElement("div");
  box.className = "chart-tip";
  box.append(made("b", "", title));
  for (const [mark, name, figure] of lines) {
    const line = made("p", "", "");
    line.append(made("i", `mark ${mark}`, ""), made("span", "", name), made("strong", "", figure));
    box.append(line);
  }
  return box;
}

function made(tag: string, name: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
