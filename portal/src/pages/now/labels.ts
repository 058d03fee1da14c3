import type { Call } from "../../api/model";
import type { ApiProblem } from "../../api/problem";
import { partyLabel } from "../../app/directory.svelte";
import type { Words } from "../../i18n/ru";
import { callerLabel } from "../calls/labels";
import type { NowWords } from "./words";

/** The parties that talk now; while the call rings, the caller and the number dialled. */
export function partiesOf(call: Call, words: Words): string[] {
  const parties = call.live?.parties ?? [];
  const rung = call.direction === "in" ? (call.employee?.name ?? "") : "";
  if (parties.length === 0)
    return [callerLabel(partyLabel(call.src), words), call.dst, rung].filter(
      (party) => party !== "",
    );
  return parties.map((party) =>
    party.name === null || party.name === ""
      ? callerLabel(party.who, words)
      : `${party.name} (${party.who})`,
  );
}

/** When the talk, or else the call, began; in milliseconds since 1970. */
export function sinceMs(call: Call): number {
  return Date.parse(call.live?.talking_since ?? call.started_at);
}

/** Whether the parties talk. */
export function isTalking(call: Call): boolean {
  return call.live === null ? call.answered_at !== null : call.live.talking_since !== null;
}

/** The label of the reason why a recording request was refused. */
export function refusalLabel(problem: ApiProblem, own: NowWords, words: Words): string {
  if (problem.offline) return words.problem.offline;
  const labels: Record<string, string> = own.refused;
  return labels[problem.kind] ?? words.problem.server;
}
