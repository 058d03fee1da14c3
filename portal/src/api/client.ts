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
  Portal,
  RecordRule,
  Session,
  Subject,
  SubjectErased,
  SupportRequest,
  User,
} from "./model";
import { ApiProblem } from "./problem";
import type { paths } from "./schema";

let sessionListener: () => void = () => undefined;
let serverAheadMs = 0;

/** Call `listener` when the API no longer accepts the session. */
export function onSessionEnd(listener: () => void): void {
  sessionListener = listener;
}

/** Report that the API no longer accepts the session. */
export function endSession(): void {
  sessionListener();
}

/**
 * The server's time, in milliseconds since 1970, from the Date header of its last answer. Calls in
 * progress are timed by it, as the clock of a desktop may be wrong.
 */
export function serverNow(): number {
  return Date.now() + serverAheadMs;
}

/** The API's client, with the types generated from its description. */
export const client = createClient<paths>({ baseUrl: location.origin, credentials: "same-origin" });
client.use({
  onResponse({ response }) {
    const aheadMs = Date.parse(response.headers.get("date") ?? "") - Date.now();
    // The header has whole seconds: ignore a difference that the missing fraction explains.
    if (!Number.isNaN(aheadMs)) serverAheadMs = Math.abs(aheadMs) > 1500 ? aheadMs : 0;
  },
});

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

function detailOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { detail, title } = error as { detail?: unknown; title?: unknown };
  return typeof detail === "string" ? detail : typeof title === "string" ? title : "";
}

function kindOf(error: unknown): string {
  const type =
    typeof error === "object" && error !== null ? (error as { type?: unknown }).type : undefined;
  return typeof type === "string" ? (type.split(/[/:#]/).at(-1) ?? "") : "";
}

/** The data of an answer. Throws ApiProblem if the API refused; status 401 ends the session. */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.response.ok && answer.data !== undefined) return answer.data;
  if (answer.response.status === 401) endSession();
  throw new ApiProblem(answer.response.status, detailOf(answer.error), kindOf(answer.error));
}

function checkOk(answer: Answer<unknown>): void {
  if (!answer.response.ok) unwrap(answer);
}

/**
 * Log in; the API sets a cookie. Throws ApiProblem: 401 for a wrong domain, login or password, 429
 * after too many failures.
 */
export async function login(domain: string, user: string, password: string): Promise<Me> {
  const answer = await client.POST("/api/login", { body: { domain, login: user, password } });
  if (answer.data === undefined)
    throw new ApiProblem(answer.response.status, detailOf(answer.error));
  return answer.data.me;
}

export async function logout(): Promise<void> {
  await client.POST("/api/logout");
}

declare global {
  /** The answer of `/api/me` that `before-paint.js` requested. */
  var earlyMe: Promise<Response> | undefined;
}

/** The user who is logged in, or null. */
export async function me(): Promise<Me | null> {
  const early = globalThis.earlyMe;
  globalThis.earlyMe = undefined; // a Response can be read only once
  const answer = await client.GET("/api/me", early === undefined ? {} : { fetch: () => early });
  return answer.response.status === 401 ? null : unwrap<Me>(answer);
}

/** The support contacts; needs no login. */
export async function portal(): Promise<Portal> {
  return unwrap<Portal>(await client.GET("/api/portal"));
}

/** «Нужна помощь»: comes back once the mail server has unwrap it. Raises ApiProblem. */
export async function requestSupport(request: SupportRequest): Promise<void> {
  checkOk(await client.POST("/api/support", { body: request }));
}

/**
 * Change the user's own password. Throws ApiProblem: `wrong-password`, 429 after too many attempts.
 */
export async function changePassword(current: string, next: string): Promise<void> {
  checkOk(await client.POST("/api/me/password", { body: { current, new: next } }));
}

/** The open sessions of a user, for administrators; `login` null: the user's own. */
export async function sessions(login: string | null): Promise<Session[]> {
  const answer =
    login === null
      ? await client.GET("/api/me/sessions")
      : await client.GET("/api/users/{login}/sessions", { params: { path: { login } } });
  return unwrap<Session[]>(answer);
}

/** End a session, as `sessions` lists it. Throws ApiProblem: 404 if it has ended already. */
export async function endSessionOf(login: string | null, session: string): Promise<void> {
  checkOk(
    login === null
      ? await client.DELETE("/api/me/sessions/{session}", { params: { path: { session } } })
      : await client.DELETE("/api/users/{login}/sessions/{session}", {
          params: { path: { login, session } },
        }),
  );
}

/** End all own sessions but this one. Throws ApiProblem. */
export async function endOtherSessions(): Promise<void> {
  checkOk(await client.POST("/api/me/sessions/end-others"));
}

/** One page of the audit log, for administrators. */
export async function audit(filter: AuditFilter, signal: AbortSignal): Promise<AuditPage> {
  const { from, to, login, call, cursor, action } = filter;
  const query = {
    action,
    ...Object.fromEntries(
      Object.entries({ from, to, login, call, cursor }).filter(([, value]) => value),
    ),
  };
  return unwrap<AuditPage>(await client.GET("/api/audit", { params: { query }, signal }));
}

/** What is kept of an outside party, for administrators. Throws ApiProblem: 422 for no number. */
export async function subject(number: string): Promise<Subject> {
  return unwrap<Subject>(
    await client.GET("/api/subjects/{number}", { params: { path: { number } } }),
  );
}

/** Erase the calls of an outside party for good. Throws ApiProblem. */
export async function eraseSubject(number: string): Promise<SubjectErased> {
  return unwrap<SubjectErased>(
    await client.POST("/api/subjects/{number}/erase", { params: { path: { number } } }),
  );
}

/** Exempt a call from retention, or end the exemption. Throws ApiProblem. */
export async function holdCall(id: string, hold: boolean, note: string): Promise<CallWithPath> {
  return unwrap<CallWithPath>(
    await client.PUT("/api/calls/{id}/hold", { params: { path: { id } }, body: { hold, note } }),
  );
}

/** One page of the calls of a selection. */
export async function calls(query: CallQuery, signal: AbortSignal): Promise<CallPage> {
  return unwrap<CallPage>(await client.GET("/api/calls", { params: { query }, signal }));
}

/** One call with its path; null if it does not exist or the user may not see it. */
export async function call(id: string, signal: AbortSignal): Promise<CallWithPath | null> {
  const answer = await client.GET("/api/calls/{id}", { params: { path: { id } }, signal });
  return answer.response.status === 404 ? null : unwrap<CallWithPath>(answer);
}

/** The calls in progress. */
export async function liveCalls(): Promise<CallWithPath[]> {
  return unwrap<LiveCalls>(await client.GET("/api/live/calls")).items;
}

/**
 * Start, stop, pause or resume the recording of a call in progress. Returns once the PBX did it.
 * Throws ApiProblem.
 */
export async function controlRecording(id: string, action: Action): Promise<CallWithPath> {
  return unwrap<CallWithPath>(
    await client.POST("/api/live/{id}/recording", { params: { path: { id } }, body: { action } }),
  );
}

export async function peaks(id: string, signal: AbortSignal): Promise<Peaks> {
  return unwrap<Peaks>(
    await client.GET("/api/calls/{id}/peaks", { params: { path: { id } }, signal }),
  );
}

export async function users(): Promise<User[]> {
  return unwrap<User[]>(await client.GET("/api/users"));
}

/** Change which calls of a user are recorded, from the next call on. */
export async function setRecord(user: string, record: RecordRule): Promise<User> {
  return unwrap<User>(
    await client.PATCH("/api/users/{login}", {
      params: { path: { login: user } },
      body: { record },
    }),
  );
}

export async function numbers(): Promise<CompanyNumber[]> {
  return unwrap<CompanyNumber[]>(await client.GET("/api/numbers"));
}

/** The address of a call's audio; MP3 for browsers without Ogg Opus (Safari before 18.4). */
export function audioUrl(id: Call["id"], options: { download: boolean }): string {
  const query = new URLSearchParams();
  if (document.createElement("audio").canPlayType('audio/ogg; codecs="opus"') === "")
    query.set("format", "mp3");
  if (options.download) query.set("download", "1");
  const text = query.toString();
  return `/api/calls/${encodeURIComponent(id)}/audio${text === "" ? "" : `?${text}`}`;
}

/** The address of a call's evidence package. */
export function evidenceUrl(id: string): string {
  return `/api/calls/${encodeURIComponent(id)}/evidence`;
}
