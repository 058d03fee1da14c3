import { fileName, type Sheet } from "./sheet";

/** What a block can be saved as, in the order of its menu; to be printed comes last. */
export const exportFormats = ["png", "svg", "pdf", "csv", "xlsx", "print"] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Save a sheet, or print it. What a way needs is loaded when it is first chosen. */
export async function exportSheet(sheet: Sheet, way: ExportFormat): Promise<void> {
  if (way === "print") await (await import("./print")).printSheet(sheet);
  else save(await content(sheet, way), fileName(sheet, way));
}

async function content(sheet: Sheet, way: Exclude<ExportFormat, "print">): Promise<Blob> {
  if (way === "csv")
    return new Blob([(await import("./csv")).asCsv(sheet)], { type: "text/csv;charset=utf-8" });
  if (way === "xlsx") return (await import("./xlsx")).asXlsx(sheet);
  if (way === "pdf") return (await import("./pdf")).asPdf(sheet);
  const { asPng, sheetPicture } = await import("./picture");
  const picture = await sheetPicture(sheet);
  return way === "png" ? asPng(picture) : new Blob([picture.svg], { type: "image/svg+xml" });
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads it after the click: it goes once it surely has.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
