/** The four kinds of calls with the outside, each of one colour everywhere. */
export type Tone = "out" | "out_failed" | "in" | "in_missed";

/** The tokens' colours as a chart takes them: it knows no CSS variables. */
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

/** The colours of the theme that the page, or an element with a theme of its own, is in. */
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
    // Unquoted, as CSS allows: ECharts writes it into a quoted attribute as it is.
    font: token("font").replaceAll('"', ""),
  };
}

/** The light theme's colours, whatever the page's: for paper and files. */
export function paperPalette(): Palette {
  const paper = document.createElement("div");
  paper.dataset["theme"] = "light";
  document.body.append(paper);
  const palette = paletteOf(paper);
  paper.remove();
  return palette;
}
