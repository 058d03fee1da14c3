import { inLanguage } from "../../i18n/words.svelte";

const ru = {
  title: "Пользователи",
  subtitle: "Чьи разговоры записывать. Настройка действует со следующего звонка.",
  name: "Имя",
  extension: "Внутренний",
  role: "Права",
  failed: "Не удалось загрузить пользователей",
  callsOf: (who: string) => `Звонки: ${who}`,
  sessions: "Сеансы",
  sessionsOf: (who: string) => `Сеансы: ${who}`,
};

const en: typeof ru = {
  title: "Users",
  subtitle: "Whose calls are recorded. A change applies from the next call.",
  name: "Name",
  extension: "Extension",
  role: "Rights",
  failed: "The users could not be loaded",
  callsOf: (who) => `Calls: ${who}`,
  sessions: "Sessions",
  sessionsOf: (who) => `Sessions: ${who}`,
};

/** The words of the users page. They are not part of the first paint. */
export function userWords(): typeof ru {
  return inLanguage({ ru, en });
}
