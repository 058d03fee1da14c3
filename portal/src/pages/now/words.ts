import { inLanguage } from "../../i18n/words.svelte";

export const ru = {
  subtitle: "Звонки, которые идут в эту минуту. Записью можно управлять прямо во время разговора.",
  none: "Сейчас никто не разговаривает",
  noneHint: "Звонок появится здесь сам, как только начнётся.",
  notFound: "Среди идущих звонков такого нет",
  ringing: "Вызов",
  talking: "Разговор",
  over: "Завершён",
  on: "Идёт запись",
  off: "Не записывается",
  action: { start: "Записать", stop: "Остановить", pause: "Пауза", resume: "Продолжить" },
  actionOf: (action: string, who: string) => `${action}: ${who}`,
  refused: {
    "call-is-over": "Звонок уже завершён",
    "not-found": "Звонок уже завершён или вам недоступен",
    "not-talking": "Сейчас в этом звонке нет разговора, записью которого вы управляете",
    "already-recording": "Разговор уже записывается",
    "not-recording": "Разговор не записывается",
    "already-paused": "Запись уже на паузе",
    "not-paused": "Запись не на паузе",
    "recording-is-off": "Для этого сотрудника запись по запросу не включена",
    "never-recorded": "Переадресованные на межгород или за границу разговоры не записываются",
    "recorded-by-rule":
      "Запись ведётся по настройке компании, остановить её может только администратор",
    "asked-too-often": "Запись этого разговора уже слишком часто включали и приостанавливали",
    "pbx-failed": "АТС не смогла этого сделать. Сообщите администратору",
    "pbx-did-not-say": "АТС не сказала, сделано ли это. Посмотрите, идёт ли запись",
    "pbx-does-not-answer": "АТС не отвечает, ничего не изменилось. Попробуйте ещё раз",
  },
};

export const en: NowWords = {
  subtitle: "Calls in progress. Their recording can be controlled during the conversation.",
  none: "Nobody is talking now",
  noneHint: "A call appears here by itself as soon as it begins.",
  notFound: "There is no such call in progress",
  ringing: "Ringing",
  talking: "Talking",
  over: "Ended",
  on: "Recording",
  off: "Not recorded",
  action: { start: "Record", stop: "Stop", pause: "Pause", resume: "Resume" },
  actionOf: (action, who) => `${action}: ${who}`,
  refused: {
    "call-is-over": "The call is over",
    "not-found": "The call is over, or you may not see it",
    "not-talking": "Nobody whose recording you control is talking in this call now",
    "already-recording": "The talk is being recorded already",
    "not-recording": "The talk is not being recorded",
    "already-paused": "The recording is paused already",
    "not-paused": "The recording is not paused",
    "recording-is-off": "Recording on demand is not switched on for this employee",
    "never-recorded": "Talks forwarded long-distance or abroad are never recorded",
    "recorded-by-rule":
      "It is recorded by the company's setting; only an administrator may stop it",
    "asked-too-often": "The recording of this call was started and paused too often",
    "pbx-failed": "The PBX could not do it. Tell the administrator",
    "pbx-did-not-say":
      "The PBX did not confirm the change. Check whether the call is being recorded",
    "pbx-does-not-answer": "The PBX does not answer; nothing was changed. Try again",
  },
};

export type NowWords = typeof ru;

/** The words of calls in progress. They are loaded with the page, or with a call's path. */
export function nowWords(): NowWords {
  return inLanguage({ ru, en });
}
