import fontAddress from "dejavu-fonts-ttf/ttf/DejaVuSansCondensed.ttf?url";
import { jsPDF } from "jspdf";
import { svg2pdf } from "svg2pdf.js";

import { currentLanguage } from "../i18n/words.svelte";
import { pages } from "./picture";
import type { Sheet } from "./sheet";

// The standard fonts of PDF have no Cyrillic letters, so a font is embedded.
const family = "DejaVu Sans Condensed";
const file = "DejaVuSansCondensed.ttf";
let loading: Promise<string> | null = null;

/** A sheet as a PDF of A4 pages, with vector graphics and text. */
export async function asPdf(sheet: Sheet): Promise<Blob> {
  const font = await (loading ??= loadFont());
  const drawn = await pages(sheet, family);
  const across = (drawn[0]?.width ?? 0) > (drawn[0]?.height ?? 0);
  const pdf = new jsPDF({
    orientation: across ? "landscape" : "portrait",
    unit: "pt",
    format: "a4",
    compress: true,
    putOnlyUsedFonts: true,
  });
  pdf.setProperties({ title: `${sheet.title}. ${sheet.report}`, creator: "Fonoteka" });
  pdf.setLanguage(currentLanguage());
  pdf.addFileToVFS(file, font);
  for (const weight of ["normal", "bold"]) pdf.addFont(file, family, weight);
  const [width, height] = [pdf.internal.pageSize.getWidth(), pdf.internal.pageSize.getHeight()];
  for (const [page, { svg }] of drawn.entries()) {
    if (page > 0) pdf.addPage();
    const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    await svg2pdf(root, pdf, { x: 0, y: 0, width, height });
  }
  return pdf.output("blob");
}

/**
 * Load the font as a binary string for jsPDF. The browser needs the font too, as it measures the
 * texts of the pages.
 */
async function loadFont(): Promise<string> {
  try {
    const answer = await fetch(fontAddress);
    if (!answer.ok) throw new Error(`${answer.status} ${fontAddress}`);
    const bytes = await answer.arrayBuffer();
    document.fonts.add(await new FontFace(family, bytes.slice(0)).load());
    return Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  } catch (failure) {
    loading = null;
    throw failure;
  }
}
