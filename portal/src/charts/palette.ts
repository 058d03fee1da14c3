/** The four series of external calls. Each has the same colour everywhere. */
export type Tone = "out" | "out_failed" | "in" | "in_missed";

/** The values of the design tokens, for charts, which know no CSS variables. */
export interface Palette {
  surface: string;
  raised: string;
  text: string;
  muted: string;
  line: string;
  sunken: string;
  accent: string;
  tones: Record<Tone, string>;
  shares: readonly string[];
  font: string;
}

/** The palette of an element's theme; by default the page's. */
export function paletteOf(element: Element = document.documentElement): Palette {
  const style = getComputedStyle(element);
  const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    surface: token("surface"),
    raised: token("raised"),
    text: token("text"),
    muted: token("muted"),
    line: token("line"),
    sunken: token("sunken"),
    accent: token("accent"),
    tones: {
      out: token("chart-out"),
      out_failed: token("chart-out-failed"),
      in: token("chart-in"),
      in_missed: token("chart-in-missed"),
    },
    shares: [0, 1, 2, 3, 4].map((at) => token(`share-${at}`)),
    // ECharts writes the name into a quoted attribute without escaping it.
    font: token("font").replaceAll('"', ""),
  };
}

/** The palette of the light theme, for print and files. */
export function paperPalette(): Palette {
  const paper = document.createElement("div");
  paper.dataset["theme"] = "light";
  document.body.append(paper);
  const palette = paletteOf(paper);
  paper.remove();
  return palette;
}
