import { recalled, remember } from "../app/localStorage";
import { groupedIn } from "./numbers";
import { ru, type Words } from "./ru";

/** The languages of the portal. */
export type Language = "ru" | "en";

let language = $state<Language>("ru");
let spoken = $state.raw<Words>(ru);

/** The words of the language chosen now; reading it in a component follows every change. */
export function words(): Words {
  return spoken;
}

/** Of what is worded where it is used, the words of the language chosen now. */
export function inLanguage<T>(both: Record<Language, T>): T {
  return both[language];
}

export function currentLanguage(): Language {
  return language;
}

/** Change the language everywhere. Russian is always at hand; English comes when it is first wanted. */
async function change(next: Language): Promise<void> {
  spoken = next === "ru" ? ru : (await import("./en")).en;
  language = next;
  document.documentElement.lang = next;
}

/** The language to begin with: the one chosen here before, else the browser's; Russian for one that speaks neither. */
export async function speakFirst(): Promise<void> {
  const chosen =
    recalled("language") ?? (navigator.language.toLowerCase().startsWith("en") ? "en" : "ru");
  await change(chosen === "en" ? "en" : "ru");
}

/** Change the language and remember it in this browser. */
export async function speak(next: Language): Promise<void> {
  await change(next);
  remember("language", next);
}

const plurals: Record<Language, Intl.PluralRules> = {
  ru: new Intl.PluralRules("ru"),
  en: new Intl.PluralRules("en"),
};

/** `5 звонков`: the number in the language's own grouping with the right plural. `forms` are one, few, many. */
export function counted(count: number, forms: readonly string[]): string {
  const rule = plurals[language].select(count);
  const form = rule === "one" ? forms[0] : rule === "few" ? forms[1] : forms[2];
  return `${grouped(count)} ${form ?? ""}`;
}

/** A whole number with the language's separators of thousands. */
export function grouped(count: number): string {
  return groupedIn(language, count);
}
