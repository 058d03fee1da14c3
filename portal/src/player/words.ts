import { inLanguage } from "../i18n/words.svelte";

const ru = {
  label: "Проигрыватель",
  play: "Играть",
  pause: "Пауза",
  stop: "Остановить",
  back: "Назад на 10 секунд",
  ahead: "Вперёд на 10 секунд",
  save: "Сохранить запись",
  close: "Закрыть проигрыватель",
  speed: "Скорость",
  position: "Место в записи",
  outside: "Собеседник",
  employee: "Сотрудник",
  muted: "Запись на паузе",
  failed: "Запись не удалось загрузить",
  skipSilence: "Пропускать тишину",
  noSilence: "Пропускать тишину: нет данных, кто говорил",
  silence: (all: string, longest: string) => `Тишина ${all}, дольше всего ${longest}`,
  unknown: "Кто говорил: нет данных",
  of: (now: string, all: string) => `${now} из ${all}`,
  keys: "Пробел — играть или пауза, ← → — на 10 секунд, < > — скорость, Esc — закрыть",
};

const en: typeof ru = {
  label: "Player",
  play: "Play",
  pause: "Pause",
  stop: "Stop",
  back: "Back 10 seconds",
  ahead: "Ahead 10 seconds",
  save: "Save the recording",
  close: "Close the player",
  speed: "Speed",
  position: "Position in the recording",
  outside: "Other party",
  employee: "Employee",
  muted: "Recording paused",
  failed: "The recording could not be loaded",
  skipSilence: "Skip silence",
  noSilence: "Skip silence: no data on who spoke",
  silence: (all, longest) => `Silence ${all}, longest ${longest}`,
  unknown: "Who spoke: no data",
  of: (now, all) => `${now} of ${all}`,
  keys: "Space: play or pause, ← →: 10 seconds, < >: speed, Esc: close",
};

/** The words of the player. They are loaded with it. */
export function playerWords(): typeof ru {
  return inLanguage({ ru, en });
}
