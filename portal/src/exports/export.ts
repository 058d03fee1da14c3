import { fileName, type Sheet } from "./sheet";

/** The formats of a block's export, in the order of its menu. */
export const exportFormats = ["png", "svg", "pdf", "csv", "xlsx", "print"] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Save or print a sheet. The code for a format is loaded when it is first chosen. */
export async function exportSheet(sheet: Sheet, format: ExportFormat): Promise<void> {
  if (format === "print") await (await import("./print")).printSheet(sheet);
  else save(await content(sheet, format), fileName(sheet, format));
}

async function content(sheet: Sheet, format: Exclude<ExportFormat, "print">): Promise<Blob> {
  if (format === "csv")
    return new Blob([(await import("./csv")).asCsv(sheet)], { type: "text/csv;charset=utf-8" });
  if (format === "xlsx") return (await import("./xlsx")).asXlsx(sheet);
  if (format === "pdf") return (await import("./pdf")).asPdf(sheet);
  const { asPng, sheetPicture } = await import("./picture");
  const picture = await sheetPicture(sheet);
  return format === "png" ? asPng(picture) : new Blob([picture.svg], { type: "image/svg+xml" });
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads the address after the click: revoke it much later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
