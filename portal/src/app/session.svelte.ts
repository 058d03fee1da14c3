import * as api from "../api/client";
import { renewLine } from "../live/live";
import type { Me } from "../api/model";
import { asProblem } from "../api/problem";
import { dayBy } from "../i18n/dates";
import { tellOtherTabs, whenOtherTabsTell } from "./tabChannel";
import { recalled, remember } from "./localStorage";

type Phase = "asking" | "out" | "in" | "offline";

let who = $state.raw<Me | null>(null);
let phase = $state<Phase>("asking");
let expired = $state(false);

function put(person: Me | null): void {
  who = person;
  phase = person === null ? "out" : "in";
  remember("session", person === null ? null : "open");
}

api.whenSessionEnds(() => {
  if (phase !== "in") return;
  expired = true;
  put(null);
});

/** The day it is by the domain's clock, as `2017-02-14`. */
export function todayNow(): string {
  return dayBy(me().domain.clock, api.serverNow());
}

/** Who is logged in; components that need someone are only shown when there is. */
export function me(): Me {
  if (who === null) throw new Error("nobody is logged in");
  return who;
}

export function sessionPhase(): Phase {
  return phase;
}

/** Whether the login page is shown because a session ended by itself. */
export function sessionExpired(): boolean {
  return expired;
}

/** Whether somebody logged in here and has not logged out: the cookie itself is not ours to read. */
export function mayBeIn(): boolean {
  return recalled("session") !== null;
}

/** Ask the API who we are. For a browser that never logged in it is not asked: the refusal would stand in its console as an error. */
export async function findSession(): Promise<void> {
  if (!mayBeIn()) {
    put(null);
    return;
  }
  await askWho();
}

async function askWho(): Promise<void> {
  try {
    put(await api.me());
  } catch (failure) {
    phase = asProblem(failure).status === 401 ? "out" : "offline";
  }
}

export async function enter(domain: string, login: string, password: string): Promise<void> {
  const person = await api.login(domain, login, password);
  renewLine("new");
  put(person);
  expired = false;
  tellOtherTabs(named(person));
}

export async function leave(): Promise<void> {
  await api.logout();
  renewLine("none");
  expired = false;
  put(null);
  tellOtherTabs(null);
}

function named(person: Me): string {
  return `${person.login}@${person.domain.name}`;
}

// The cookie is this browser's, not a tab's: what is shown in one must not be somebody else's than what is asked in it.
whenOtherTabsTell((whoElse) => {
  if (whoElse === null) {
    expired = false; // the line may have told of the end already
    if (who !== null) put(null);
  } else if (who === null) void askWho();
  else if (whoElse !== named(who)) location.reload();
});
