import type { ApiProblem } from "../../api/problem";
import type { Call } from "../../api/model";
import type { Words } from "../../i18n/ru";
import { callerLabel } from "../calls/labels";
import { partyLabel } from "../../app/directory.svelte";

/** Who talks to whom now; while it rings, who calls what. */
export function partiesOf(call: Call, words: Words): string[] {
  const parties = call.live?.parties ?? [];
  const rung = call.direction === "in" ? (call.employee?.name ?? "") : "";
  if (parties.length === 0)
    return [callerLabel(partyLabel(call.src), words), call.dst, rung].filter((one) => one !== "");
  return parties.map((one) =>
    one.name === null || one.name === "" ? callerLabel(one.who, words) : `${one.name} (${one.who})`,
  );
}

/** Since when it talks, or rings. */
export function sinceMs(call: Call): number {
  return Date.parse(call.live?.talking_since ?? call.started_at);
}

/** Whether somebody talks in it now. */
export function isTalking(call: Call): boolean {
  return call.live === null ? call.answered_at !== null : call.live.talking_since !== null;
}

/** Why what was asked of a recording did not come about, in words. */
export function refusalLabel(problem: ApiProblem, words: Words): string {
  if (problem.offline) return words.problem.offline;
  const known: Record<string, string> = words.now.refused;
  return known[problem.kind] ?? words.problem.server;
}
