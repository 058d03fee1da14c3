import { client, unwrap } from "./client";
import type { CallQuery } from "./model";
import type { components } from "./schema";

type Shapes = components["schemas"];

export type Counts = Omit<Shapes["HourCounts"], "hour">;
export type Hourly = Shapes["Hourly"];
export type WeekHours = Shapes["WeekHours"];
export type Incoming = Shapes["Incoming"];
export type Outgoing = Shapes["Outgoing"];
export type Durations = Shapes["Durations"];
export type CallBacks = Shapes["CallBacks"];
export type Waiting = Shapes["Waiting"];
export type Speech = Shapes["api__schemas__statistics__Speech"];
export type Qualities = Shapes["Qualities"];

/** Which calls are formatCounted: a selection without what only a list has. */
export type ReportQuery = Omit<CallQuery, "sort" | "limit" | "cursor">;

export async function hourly(query: ReportQuery, signal: AbortSignal): Promise<Hourly> {
  return unwrap<Hourly>(await client.GET("/api/stats/hourly", { params: { query }, signal }));
}

export async function weekHours(query: ReportQuery, signal: AbortSignal): Promise<WeekHours> {
  return unwrap<WeekHours>(await client.GET("/api/stats/week", { params: { query }, signal }));
}

export async function incoming(query: ReportQuery, signal: AbortSignal): Promise<Incoming> {
  return unwrap<Incoming>(await client.GET("/api/stats/incoming", { params: { query }, signal }));
}

export async function outgoing(query: ReportQuery, signal: AbortSignal): Promise<Outgoing> {
  return unwrap<Outgoing>(await client.GET("/api/stats/outgoing", { params: { query }, signal }));
}

/** `longerThan`: also count the calls longer than so many seconds; empty for no such count. */
export async function durations(
  query: ReportQuery,
  longerThan: string,
  signal: AbortSignal,
): Promise<Durations> {
  const more = longerThan === "" ? {} : { longer_than: Number(longerThan) };
  return unwrap<Durations>(
    await client.GET("/api/stats/durations", { params: { query: { ...query, ...more } }, signal }),
  );
}

/** `within`: the seconds within which a call ought to be answered. */
export async function waiting(
  query: ReportQuery,
  within: string,
  signal: AbortSignal,
): Promise<Waiting> {
  return unwrap<Waiting>(
    await client.GET("/api/stats/waiting", {
      params: { query: { ...query, within: Number(within) } },
      signal,
    }),
  );
}

export async function callBacks(query: ReportQuery, signal: AbortSignal): Promise<CallBacks> {
  return unwrap<CallBacks>(await client.GET("/api/stats/callbacks", { params: { query }, signal }));
}

export async function speech(query: ReportQuery, signal: AbortSignal): Promise<Speech> {
  return unwrap<Speech>(await client.GET("/api/stats/speech", { params: { query }, signal }));
}

export async function quality(query: ReportQuery, signal: AbortSignal): Promise<Qualities> {
  return unwrap<Qualities>(await client.GET("/api/stats/quality", { params: { query }, signal }));
}
