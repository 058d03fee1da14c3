import { inLanguage } from "../../i18n/words.svelte";

const ru = {
  label: "Кого показывать",
  users: "Пользователи",
  numbers: "Номера",
  login: "Логин",
  number: "Номер",
  record: "Запись",
  show: "Отобразить",
  showOnly: (who: string) => `Отобразить: ${who}`,
  recordOf: (who: string) => `Запись: ${who}`,
  find: "Найти",
  clear: "Снять все отметки",
  none: "Ничего не отмечено — показаны все",
  chosen: (count: number) => `Отмечено: ${count}`,
  noNumbers: "У компании нет номеров",
  noUsers: "Никого не нашлось",
  switched: (who: string, rule: string) => `${who}: ${rule}. Действует со следующего звонка.`,
  switchFailed: (who: string) => `Не удалось изменить запись: ${who}`,
  columns: "Столбцы",
  silence: "Тишина дольше, секунд",
  share: "Сотрудник говорит больше, %",
  notKnown: "нет данных",
};

const en: typeof ru = {
  label: "Whom to show",
  users: "Users",
  numbers: "Numbers",
  login: "Login",
  number: "Number",
  record: "Record",
  show: "Show",
  showOnly: (who) => `Show: ${who}`,
  recordOf: (who) => `Record: ${who}`,
  find: "Find",
  clear: "Untick all",
  none: "None ticked: all are shown",
  chosen: (count) => `Ticked: ${count}`,
  noNumbers: "The company has no numbers",
  noUsers: "Nobody was found",
  switched: (who, rule) => `${who}: ${rule}. In force from the next call.`,
  switchFailed: (who) => `Recording could not be changed: ${who}`,
  columns: "Columns",
  silence: "Silence longer than, seconds",
  share: "Employee speaks more than, %",
  notKnown: "not known",
};

/** The words of lists beside and above the calls. They are not part of the first paint. */
export function panelWords(): typeof ru {
  return inLanguage({ ru, en });
}
