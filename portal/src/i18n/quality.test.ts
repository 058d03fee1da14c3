import { expect, it } from "vitest";

import { formatMos, qualityText, shortQuality } from "./quality";

it("begins with the losses and names a round trip only where it is known", () => {
  const quality = { mos: 3.7, loss_pct: 7, jitter_ms: 12, rtt_ms: null };
  expect(qualityText(quality)).toBe("потери 7 %, джиттер 12 мс, MOS 3,70");
  expect(qualityText({ ...quality, rtt_ms: 31 })).toBe(
    "потери 7 %, джиттер 12 мс, туда и обратно 31 мс, MOS 3,70",
  );
  expect(shortQuality({ ...quality, loss_pct: 0.25 })).toBe("потери 0,3 % · MOS 3,70");
});

it("shows a score with two decimals", () => {
  expect(formatMos(4)).toBe("4,00");
});
