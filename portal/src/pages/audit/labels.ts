import type { AuditEntry, RecordRule } from "../../api/model";
import { deviceLabel } from "../../dialogs/device";
import { formatLength } from "../../i18n/format";
import type { Words } from "../../i18n/ru";
import type { AuditWords } from "./words";

/** The API's login and address of an entry that sums up many failed logins. */
const many = "*";
/** The API's login of an entry for what the server does by the clock. */
const system = "system";
/** Of more parts only the first ones are shown. */
const maxParts = 5;

type Detail = AuditEntry["detail"];

/** The label of an action; an action that this portal does not know keeps its name. */
export function actionLabel(action: string, words: AuditWords): string {
  return (words.action as Record<string, string>)[action] ?? action;
}

/** The label of the user who acted: the name, or the login as it was typed. */
export function actorLabel(entry: AuditEntry, words: AuditWords): string {
  if (entry.login === many) return words.many;
  if (entry.login === system && entry.name === null) return words.system;
  return entry.login === "" ? words.operator : (entry.name ?? entry.login);
}

/** The label of what an entry is about, if that is no call. */
export function subjectLabel(subject: string, words: AuditWords): string {
  return (words.subjects as Record<string, string>)[subject] ?? subject;
}

/** The details of an entry; empty if there are none. */
export function detailLabel(entry: AuditEntry, own: AuditWords, words: Words): string {
  const { detail } = entry;
  switch (entry.action) {
    case "login_failed":
      return failuresLabel(detail, own);
    case "listened":
    case "downloaded":
      return heardLabel(detail, own, words);
    case "recording_asked":
      return requestLabel(String(detail["action"]), String(detail["answer"]), own);
    case "held":
    case "released":
      return typeof detail["note"] === "string" ? detail["note"] : "";
    case "recordings_expired":
    case "calls_expired":
    case "subject_erased":
    case "subject_exported":
      return fieldLabels(withoutCalls(detail), own, words);
    default:
      return fieldLabels(detail, own, words);
  }
}

/** The details without the ids of the calls, which may be thousands. */
function withoutCalls(detail: Detail): Detail {
  return Object.fromEntries(Object.entries(detail).filter(([key]) => key !== "ids"));
}

function fieldLabels(detail: Detail, own: AuditWords, words: Words): string {
  return Object.entries(detail)
    .map(([key, value]) => fieldLabel(key, value, own, words))
    .join("; ");
}

function failuresLabel(detail: Detail, own: AuditWords): string {
  const count = Number(detail["count"]);
  const addresses = Number(detail["addresses"]);
  const labels = count > 1 ? [own.attempts(count)] : [];
  return (addresses > 1 ? [...labels, own.addresses(addresses)] : labels).join("; ");
}

/** The parts of a recording that were sent, and its length: "0:00–2:10 of 3:00". */
function heardLabel(detail: Detail, own: AuditWords, words: Words): string {
  const { heard_ms: heard, of_ms: length, peaks, ...others } = detail;
  const parts = Array.isArray(heard) ? (heard as [number, number][]) : [];
  const further = fieldLabels(others, own, words);
  if (parts.length === 0) return peaks === true ? own.waveformOnly : further;
  const shown = parts
    .slice(0, maxParts)
    .map(([from, to]) => `${formatLength(from)}–${formatLength(to)}`);
  if (parts.length > maxParts) shown.push("…");
  const label = own.heard(shown.join(", "), formatLength(Number(length)));
  return further === "" ? label : `${label}; ${further}`;
}

function requestLabel(action: string, answer: string, own: AuditWords): string {
  const label = (own.request.action as Record<string, string>)[action] ?? action;
  if (answer === "done") return label;
  const kind = answer === "withdrawn" ? "pbx-does-not-answer" : answer.replaceAll("_", "-");
  return `${label}: ${(own.request.refused as Record<string, string>)[kind] ?? answer}`;
}

function fieldLabel(key: string, value: unknown, own: AuditWords, words: Words): string {
  const name = (own.detail as Record<string, string>)[key] ?? key;
  if (key === "password" || key === "objects") return name;
  if (!isChange(value)) return `${name}: ${valueLabel(key, value, words)}`;
  return `${name}: ${valueLabel(key, value.from, words)} → ${valueLabel(key, value.to, words)}`;
}

function isChange(value: unknown): value is { from: unknown; to: unknown } {
  return typeof value === "object" && value !== null && "from" in value && "to" in value;
}

function valueLabel(key: string, value: unknown, words: Words): string {
  if (value === null || value === "") return "—";
  if (Array.isArray(value)) return value.join(", ") || "—";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (key === "record") return words.rule[text as RecordRule] ?? text;
  if (key === "device") return deviceLabel(text, "—");
  if (key === "role") return (words.role as Record<string, string>)[text] ?? text;
  return text;
}
