import { currentLanguage } from "../words.svelte";
import { en } from "./en";
import { ru, type StatisticsWords } from "./ru";

/** The words of the reports in the current language. */
export function reportWords(): StatisticsWords {
  return currentLanguage() === "ru" ? ru : en;
}
