import { currentLanguage } from "../words.svelte";
import { en } from "./en";
import { ru, type StatisticsWords } from "./ru";

/** The reports' words in the language chosen now; reading them in a component follows every change. */
export function said(): StatisticsWords {
  return currentLanguage() === "ru" ? ru : en;
}
