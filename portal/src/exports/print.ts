import { pages } from "./picture";
import type { Sheet } from "./sheet";

/** Print one block: its pages are drawn as for a PDF, and the rest of the page is hidden. */
export async function printSheet(sheet: Sheet): Promise<void> {
  const drawn = await pages(sheet);
  const paper = document.createElement("div");
  paper.className = "sheets";
  const across = (drawn[0]?.width ?? 0) > (drawn[0]?.height ?? 0);
  const addresses = drawn.map(({ svg }) =>
    URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })),
  );
  for (const address of addresses) {
    const image = new Image();
    image.alt = sheet.title;
    image.src = address;
    paper.append(image);
  }
  document.body.append(paper);
  document.documentElement.dataset["printing"] = across ? "across" : "upright";
  addEventListener("afterprint", clear, { once: true });
  await Promise.all([...paper.querySelectorAll("img")].map((image) => image.decode()));
  print();

  function clear(): void {
    paper.remove();
    delete document.documentElement.dataset["printing"];
    addresses.forEach((address) => URL.revokeObjectURL(address));
  }
}
