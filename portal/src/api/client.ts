import createClient from "openapi-fetch";

import type { AuditFilter } from "./auditFilter";
import type {
  Action,
  AuditPage,
  Call,
  CallPage,
  CallQuery,
  CallWithPath,
  CompanyNumber,
  LiveCalls,
  Me,
  Peaks,
  RecordRule,
  User,
} from "./model";
import type { Portal, SupportRequest } from "./model";
import { ApiProblem } from "./problem";
import type { paths } from "./schema";

let sessionEnded: () => void = () => undefined;
let serverAheadMs = 0;

/** Say what is to happen when the API no longer knows the session. */
export function whenSessionEnds(then: () => void): void {
  sessionEnded = then;
}

/** The API no longer knows the session. */
export function endSession(): void {
  sessionEnded();
}

/** The server's clock, as far as its last answer told: a call in progress is timed by it, not by a desk's wrong clock. */
export function serverNow(): number {
  return Date.now() + serverAheadMs;
}

/** The API by its generated types. */
export const client = createClient<paths>({ baseUrl: location.origin, credentials: "same-origin" });
client.use({
  onResponse({ response }) {
    const told = Date.parse(response.headers.get("date") ?? "");
    // A Date header is cut to the second: only a difference that it cannot explain counts.
    if (!Number.isNaN(told))
      serverAheadMs = Math.abs(told - Date.now()) > 1500 ? told - Date.now() : 0;
  },
});

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

function wordsOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { detail, title } = error as { detail?: unknown; title?: unknown };
  return typeof detail === "string" ? detail : typeof title === "string" ? title : "";
}

function kindOf(error: unknown): string {
  const type =
    typeof error === "object" && error !== null ? (error as { type?: unknown }).type : undefined;
  return typeof type === "string" ? (type.split(/[/:#]/).at(-1) ?? "") : "";
}

/** What an answer holds. Raises ApiProblem; an answer of 401 ends the session. */
export function taken<T>(answer: Answer<T>): T {
  if (answer.response.ok && answer.data !== undefined) return answer.data;
  if (answer.response.status === 401) endSession();
  throw new ApiProblem(answer.response.status, wordsOf(answer.error), kindOf(answer.error));
}

function done(answer: Answer<unknown>): void {
  if (!answer.response.ok) taken(answer);
}

/** Log in for a cookie. Raises ApiProblem: 401 whatever was wrong, 429 after too many failures. */
export async function login(domain: string, user: string, password: string): Promise<Me> {
  const answer = await client.POST("/api/login", { body: { domain, login: user, password } });
  if (answer.data === undefined)
    throw new ApiProblem(answer.response.status, wordsOf(answer.error));
  return answer.data.me;
}

export async function logout(): Promise<void> {
  await client.POST("/api/logout");
}

declare global {
  /** The answer of `/api/me`, where `before-paint.js` has asked for it. */
  var askedEarly: Promise<Response> | undefined;
}

/** Who is logged in, or null. */
export async function me(): Promise<Me | null> {
  const early = globalThis.askedEarly;
  globalThis.askedEarly = undefined; // it answers once
  const answer = await client.GET("/api/me", early === undefined ? {} : { fetch: () => early });
  return answer.response.status === 401 ? null : taken<Me>(answer);
}

/** Whom to turn to; for everybody. */
export async function portal(): Promise<Portal> {
  return taken<Portal>(await client.GET("/api/portal"));
}

/** «Нужна помощь»: comes back once the mail server has taken it. Raises ApiProblem. */
export async function askForHelp(asked: SupportRequest): Promise<void> {
  done(await client.POST("/api/support", { body: asked }));
}

/** Change one's own password. Raises ApiProblem: `wrong-password`, 429 after too many guesses. */
export async function changePassword(current: string, next: string): Promise<void> {
  done(await client.POST("/api/me/password", { body: { current, new: next } }));
}

/** One page of who did what, for administrators. */
export async function audit(filter: AuditFilter, signal: AbortSignal): Promise<AuditPage> {
  const { from, to, login, cursor, action } = filter;
  const query = {
    action,
    ...Object.fromEntries(Object.entries({ from, to, login, cursor }).filter(([, value]) => value)),
  };
  return taken<AuditPage>(await client.GET("/api/audit", { params: { query }, signal }));
}

/** Keep a call whatever its age, or no longer. Raises ApiProblem. */
export async function holdCall(id: string, hold: boolean, note: string): Promise<CallWithPath> {
  return taken<CallWithPath>(
    await client.PUT("/api/calls/{id}/hold", { params: { path: { id } }, body: { hold, note } }),
  );
}

/** One page of the calls of a selection. */
export async function calls(query: CallQuery, signal: AbortSignal): Promise<CallPage> {
  return taken<CallPage>(await client.GET("/api/calls", { params: { query }, signal }));
}

/** One call with its path; null when there is none or it is not ours to see. */
export async function call(id: string, signal: AbortSignal): Promise<CallWithPath | null> {
  const answer = await client.GET("/api/calls/{id}", { params: { path: { id } }, signal });
  return answer.response.status === 404 ? null : taken<CallWithPath>(answer);
}

/** The calls that are going on. */
export async function liveCalls(): Promise<CallWithPath[]> {
  return taken<LiveCalls>(await client.GET("/api/live/calls")).items;
}

/** Ask something of the recording of a call that is going on; answers once the PBX has done it. Raises ApiProblem. */
export async function askOfRecording(id: string, action: Action): Promise<CallWithPath> {
  return taken<CallWithPath>(
    await client.POST("/api/live/{id}/recording", { params: { path: { id } }, body: { action } }),
  );
}

export async function peaks(id: string, signal: AbortSignal): Promise<Peaks> {
  return taken<Peaks>(
    await client.GET("/api/calls/{id}/peaks", { params: { path: { id } }, signal }),
  );
}

export async function users(): Promise<User[]> {
  return taken<User[]>(await client.GET("/api/users"));
}

/** Change whose talks are recorded; holds from the next call. */
export async function setRecord(user: string, record: RecordRule): Promise<User> {
  return taken<User>(
    await client.PATCH("/api/users/{login}", {
      params: { path: { login: user } },
      body: { record },
    }),
  );
}

export async function numbers(): Promise<CompanyNumber[]> {
  return taken<CompanyNumber[]>(await client.GET("/api/numbers"));
}

/** Where a call's audio is; in MP3 for a browser that plays no Ogg Opus (Safari before 18.4). */
export function audioAddress(id: Call["id"], how: { download: boolean }): string {
  const query = new URLSearchParams();
  if (document.createElement("audio").canPlayType('audio/ogg; codecs="opus"') === "")
    query.set("format", "mp3");
  if (how.download) query.set("download", "1");
  const text = query.toString();
  return `/api/calls/${encodeURIComponent(id)}/audio${text === "" ? "" : `?${text}`}`;
}
