import type { AuditEntry, RecordRule } from "../../api/model";
import type { Words } from "../../i18n/ru";
import type { AuditWords } from "./words";

/** Stands for the logins and addresses of failures that were too many to be told one by one. */
const many = "*";

/** What was done, in words; an action that this portal does not know yet is told as it is called. */
export function actionSaid(action: string, words: AuditWords): string {
  return (words.action as Record<string, string>)[action] ?? action;
}

/** Who did it: the name, else the login as it was typed. */
export function whoSaid(entry: AuditEntry, words: AuditWords): string {
  if (entry.login === many) return words.many;
  return entry.login === "" ? words.operator : (entry.name ?? entry.login);
}

/** The particulars of an entry in words, empty where there are none. */
export function detailSaid(entry: AuditEntry, own: AuditWords, words: Words): string {
  const { detail } = entry;
  if (entry.action === "login_failed") {
    const count = Number(detail["count"]);
    return count > 1 ? own.attempts(count) : "";
  }
  if (entry.action === "recording_asked")
    return askedSaid(String(detail["action"]), String(detail["answer"]), words);
  if (entry.action === "held" || entry.action === "released")
    return typeof detail["note"] === "string" ? detail["note"] : "";
  return Object.entries(detail)
    .map(([key, value]) => particular(key, value, own, words))
    .join("; ");
}

function askedSaid(action: string, answer: string, words: Words): string {
  const said = (words.now.action as Record<string, string>)[action] ?? action;
  if (answer === "done") return said;
  const kind = answer === "withdrawn" ? "pbx-does-not-answer" : answer.replaceAll("_", "-");
  return `${said}: ${(words.now.refused as Record<string, string>)[kind] ?? answer}`;
}

function particular(key: string, value: unknown, own: AuditWords, words: Words): string {
  const name = (own.detail as Record<string, string>)[key] ?? key;
  if (key === "password") return name;
  if (typeof value !== "object" || value === null || !("from" in value) || !("to" in value))
    return `${name}: ${valueSaid(key, value, words)}`;
  return `${name}: ${valueSaid(key, value.from, words)} → ${valueSaid(key, value.to, words)}`;
}

function valueSaid(key: string, value: unknown, words: Words): string {
  if (value === null || value === "") return "—";
  if (key === "record") return words.rule[value as RecordRule] ?? String(value);
  if (key === "role")
    return (words.users.roles as Record<string, string>)[String(value)] ?? String(value);
  if (Array.isArray(value)) return value.join(", ") || "—";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
