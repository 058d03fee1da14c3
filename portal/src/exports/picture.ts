import { paperPalette, type Palette } from "../charts/palette";
import { reportWords } from "../i18n/statistics/words";
import { drawSheet, heightOf, rowsThatFit, type Measure, type Paper } from "./drawing";
import type { Sheet } from "./sheet";

const wide = 1160;
const narrow = 760;
const a4 = Math.SQRT2;
const highestPixels = 16_000; // the limit of a canvas in Chromium and Firefox

/** One drawing: the text of an `<svg>` and its size in CSS pixels. */
export interface Picture {
  svg: string;
  width: number;
  height: number;
}

/** Draw a whole sheet as one picture. */
export async function sheetPicture(sheet: Sheet): Promise<Picture> {
  const paper = await paperFor(sheet, paperPalette());
  const height = heightOf(sheet, sheet.rows.length, paper.chart);
  return {
    svg: drawSheet(sheet, paper, [0, sheet.rows.length], "", height),
    width: paper.width,
    height,
  };
}

/** Draw a sheet as A4 pages; landscape if its table is wide. `font` replaces the page's font. */
export async function pages(sheet: Sheet, font: string | null = null): Promise<Picture[]> {
  const palette = paperPalette();
  const paper = await paperFor(sheet, font === null ? palette : { ...palette, font });
  const height = Math.round(paper.width === wide ? wide / a4 : narrow * a4);
  const cuts: [number, number][] = [];
  for (
    let from = 0;
    cuts.length === 0 || from < sheet.rows.length;
    from = cuts.at(-1)?.[1] ?? from
  ) {
    cuts.push([
      from,
      Math.min(
        sheet.rows.length,
        from + rowsThatFit(height, cuts.length === 0 ? paper.chart : null),
      ),
    ]);
  }
  return cuts.map((cut, page) => {
    const foot = cuts.length === 1 ? "" : reportWords().exports.page(page + 1, cuts.length);
    return {
      svg: drawSheet(sheet, page === 0 ? paper : { ...paper, chart: null }, cut, foot, height),
      width: paper.width,
      height,
    };
  });
}

/** A picture as PNG, at twice its size unless a canvas of that height is impossible. */
export async function asPng({ svg, width, height }: Picture): Promise<Blob> {
  const scale = Math.min(2, highestPixels / height);
  const image = new Image();
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, failed) =>
      canvas.toBlob(
        (blob) => (blob === null ? failed(new Error("no PNG")) : done(blob)),
        "image/png",
      ),
    );
  } finally {
    URL.revokeObjectURL(address);
  }
}

async function paperFor(sheet: Sheet, palette: Palette): Promise<Paper> {
  const width = sheet.columns.length > 12 ? wide : narrow;
  const drawing = sheet.chart?.(palette);
  const chart =
    drawing === undefined
      ? null
      : { svg: (await import("../charts/engine")).drawStill(drawing), height: drawing.height };
  return { palette, width, chart, measure: measuring(palette.font) };
}

function measuring(font: string): Measure {
  const pen = document.createElement("canvas").getContext("2d");
  return (text, size) => {
    if (pen === null) return text.length * size * 0.6;
    pen.font = `${size}px ${font}`;
    return pen.measureText(text).width;
  };
}
