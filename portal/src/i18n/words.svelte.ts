import { getStored, setStored } from "../app/localStorage";
import { ru, type Words } from "./ru";

/** The languages of the portal. */
export type Language = "ru" | "en";

let language = $state<Language>("ru");
let current = $state.raw<Words>(ru);

/** The words in the current language. Components that read them follow a change of the language. */
export function words(): Words {
  return current;
}

/** The translation into the current language, for words that a page brings along. */
export function inLanguage<T>(translations: Record<Language, T>): T {
  return translations[language];
}

export function currentLanguage(): Language {
  return language;
}

/** Russian is part of the first chunk; English is loaded when it is needed. */
async function load(next: Language): Promise<void> {
  current = next === "ru" ? ru : (await import("./en")).en;
  language = next;
  document.documentElement.lang = next;
}

/** Load the stored language, otherwise the browser's; Russian if that is not English. */
export async function initLanguage(): Promise<void> {
  const browserLanguage = navigator.language.toLowerCase().startsWith("en") ? "en" : "ru";
  await load((getStored("language") ?? browserLanguage) === "en" ? "en" : "ru");
}

/** Change the language and store it in this browser. */
export async function setLanguage(next: Language): Promise<void> {
  await load(next);
  setStored("language", next);
}
