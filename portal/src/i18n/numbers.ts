/**
 * Numbers as Russian and English write them. The browser's own formatter says the same (a test holds them together), but to make
 * the first one takes a telephone a tenth of a second.
 */

import type { Language } from "./words.svelte";

const marks: Record<Language, { thousands: string; decimal: string; percent: string }> = {
  ru: { thousands: "\u00a0", decimal: ",", percent: "\u00a0%" },
  en: { thousands: ",", decimal: ".", percent: "%" },
};

/** A whole number with separators of thousands: `12345` → `12 345`. */
export function groupedIn(language: Language, count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, marks[language].thousands);
}

/** A share to a tenth of a percent: `0.125` → `12,5 %`; with a sign where it is no nought and one is wanted. */
export function percentIn(language: Language, share: number, signed: boolean): string {
  const { decimal, percent } = marks[language];
  const tenths = Math.round(Math.abs(share) * 1000);
  const [whole, tenth] = [Math.floor(tenths / 10), tenths % 10];
  const sign = tenths === 0 ? "" : share < 0 ? "−" : signed ? "+" : "";
  return `${sign}${groupedIn(language, whole)}${tenth === 0 ? "" : decimal + String(tenth)}${percent}`;
}
