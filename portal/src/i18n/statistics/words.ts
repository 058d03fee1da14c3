import { currentLanguage } from "../words.svelte";
import { en } from "./en";
import { ru, type StatisticsWords } from "./ru";

/** The words of the reports in the current language. */
export function reportWords(): StatisticsWords {
  return currentLanguage() === "ru" ? ru : en;
}

/** Templates for a range of seconds whose ends may be missing. */
interface RangeWords {
  between: (from: string, to: string) => string;
  from: (seconds: string) => string;
  to: (seconds: string) => string;
}

/** The label of a range of seconds; empty if both ends are empty. */
export function rangeLabel(words: RangeWords, from: string, to: string): string {
  if (from !== "" && to !== "") return words.between(from, to);
  if (from !== "") return words.from(from);
  return to === "" ? "" : words.to(to);
}
