import * as api from "../api/client";
import type { Me } from "../api/model";
import { asProblem } from "../api/problem";
import { dayOf, setTimeZone } from "../i18n/format";
import { close as closeLive, open as openLive, resetConnection } from "../live/live";
import { getStored, setStored } from "./localStorage";
import { announceSession, onOtherTabSession } from "./tabChannel";

/** The disk of the recordings is filling up or full; the quota of the domain is nearly used up. */
export type StoreNotice = "low" | "full" | "quota";
type Phase = "loading" | "out" | "in" | "offline";

let user = $state.raw<Me | null>(null);
let phase = $state<Phase>("loading");
let expired = $state(false);
let notices = $state.raw<StoreNotice[]>([]);

const ACCOUNT_EACH_MS = 60_000;

function setUser(next: Me | null): void {
  if (next !== null) setTimeZone(next.domain.timezone);
  user = next;
  notices = noticesOf(next);
  phase = next === null ? "out" : "in";
  setStored("session", next === null ? null : "open");
}

api.onSessionEnd(() => {
  if (phase !== "in") return;
  expired = true;
  setUser(null);
});

/** The current day in the domain's time zone, as `2017-02-14`. */
export function currentDay(): string {
  return dayOf(api.serverNow());
}

/**
 * The user who is logged in. Throws if there is none: only call it where the page needs a login.
 */
export function me(): Me {
  if (user === null) throw new Error("nobody is logged in");
  return user;
}

export function sessionPhase(): Phase {
  return phase;
}

/** What an administrator should know of the store. */
export function storeNotices(): StoreNotice[] {
  return notices;
}

function noticesOf(next: Me | null): StoreNotice[] {
  const disk = next?.store_disk;
  const found: StoreNotice[] = disk === "low" || disk === "full" ? [disk] : [];
  return next?.quota_nearly_used === true ? [...found, "quota"] : found;
}

/** Ask each minute for the notices, if an administrator looks at the page. */
export function followStoreNotices(): () => void {
  const timer = setInterval(() => {
    if (user?.role === "admin" && !document.hidden) void api.me().then(setNotices, () => undefined);
  }, ACCOUNT_EACH_MS);
  return () => clearInterval(timer);
}

function setNotices(next: Me | null): void {
  if (next !== null && user !== null && accountName(next) === accountName(user))
    notices = noticesOf(next);
}

/** Whether the login page is shown because the session expired. */
export function sessionExpired(): boolean {
  return expired;
}

/** Whether this browser logged in and did not log out. Scripts cannot read the session cookie. */
export function mayHaveSession(): boolean {
  return getStored("session") !== null;
}

/**
 * Load the logged-in user. Without a stored session the API is not asked, as the browser would
 * report its refusal as an error in the console.
 */
export async function restoreSession(): Promise<void> {
  if (mayHaveSession()) await loadUser();
  else setUser(null);
}

async function loadUser(): Promise<void> {
  try {
    setUser(await api.me());
  } catch (failure) {
    phase = asProblem(failure).status === 401 ? "out" : "offline";
  }
}

export async function logIn(domain: string, login: string, password: string): Promise<void> {
  const next = await api.login(domain, login, password);
  resetConnection("new");
  setUser(next);
  expired = false;
  announceSession(accountName(next));
}

export async function logOut(): Promise<void> {
  closeLive(); // the server ends it with the session, which is no news to who logs out
  try {
    await api.logout();
  } catch (failure) {
    openLive();
    throw failure;
  }
  resetConnection("none");
  expired = false;
  setUser(null);
  announceSession(null);
}

function accountName(account: Me): string {
  return `${account.login}@${account.domain.name}`;
}

// All tabs share the session cookie: a tab must not show one user and send requests as another.
onOtherTabSession((account) => {
  if (account === null) {
    expired = false; // the live connection may have reported the end of the session before
    if (user !== null) setUser(null);
  } else if (user === null) void loadUser();
  else if (account !== accountName(user)) location.reload();
});
