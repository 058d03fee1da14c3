import { inLanguage } from "../../i18n/words.svelte";

const ru = {
  subtitle: "Запись телефонных разговоров",
  domain: "Домен",
  login: "Пользователь (логин)",
  password: "Пароль",
  enter: "Войти",
  entering: "Входим…",
  required: "Заполните это поле",
  show: "Показать пароль",
  hide: "Скрыть пароль",
  remember: "Запомнить домен и логин",
  refused: "Войти не удалось. Проверьте:",
  checks: [
    "все ли поля заполнены;",
    "не перепутаны ли значения местами — например, домен введён вместо логина;",
    "раскладку клавиатуры (русская или латинская) и не нажат ли CapsLock;",
    "действует ли договор и не менялось ли дополнительное соглашение к нему.",
  ],
  support: "Не помогло — обратитесь в службу поддержки, чтобы восстановить пароль.",
  cyrillic: "Здесь есть русские буквы — проверьте раскладку клавиатуры",
  expired: "Сеанс закончился. Войдите ещё раз.",
};

const en: typeof ru = {
  subtitle: "Telephone call recording",
  domain: "Domain",
  login: "User (login)",
  password: "Password",
  enter: "Log in",
  entering: "Logging in…",
  required: "Fill in this field",
  show: "Show password",
  hide: "Hide password",
  remember: "Remember domain and login",
  refused: "Could not log in. Please check:",
  checks: [
    "that every field is filled in;",
    "that values are not swapped, for example the domain typed as the login;",
    "the keyboard layout (Russian or Latin) and CapsLock;",
    "that the contract is in force and its supplement has not changed.",
  ],
  support: "If that does not help, ask support to restore the password.",
  cyrillic: "There are Cyrillic letters here: check the keyboard layout",
  expired: "The session has ended. Please log in again.",
};

/** The words of the login page. They are loaded with it. */
export function loginWords(): typeof ru {
  return inLanguage({ ru, en });
}
